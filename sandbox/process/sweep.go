package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// dirPrefix names a driver's directory after its server: process id and, where it can be known, its start time.
func dirPrefix() string {
	pid := os.Getpid()
	return fmt.Sprintf("process-%d-%s-", pid, startTime(pid))
}

// sweep removes the directories of dead servers. A directory that does not tell whose it is stays.
func sweep(state string) {
	entries, err := os.ReadDir(state)
	if err != nil {
		return
	}
	for _, e := range entries {
		parts := strings.Split(e.Name(), "-")
		if len(parts) != 4 || parts[0] != "process" || !e.IsDir() {
			continue
		}
		pid, err := strconv.Atoi(parts[1])
		if err != nil || alive(pid) && startTime(pid) == parts[2] {
			continue
		}
		dir := filepath.Join(state, e.Name())
		// Its functions may just be dying. What they still write is removed in the second round, or by the next server.
		if os.RemoveAll(dir) != nil {
			time.Sleep(10 * time.Millisecond)
			os.RemoveAll(dir)
		}
	}
}
