//go:build amd64 || arm64

package gvisor

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// serverArg starts the test binary as a server that is going to be killed.
const serverArg = "enfold-test-gvisor-server"

// serve has a sandbox with a process, says which host user id it has, and waits to be killed.
func serve(program string) {
	d, err := New(Options{Program: program, Log: slog.New(slog.DiscardHandler)})
	id := 0
	if err == nil {
		var s sandbox.Sandbox
		if s, err = d.Create(context.Background(), sandbox.Spec{ID: "a", Owner: "a"}); err == nil {
			id = s.(*box).id
			_, err = s.Start(context.Background(), sandbox.Command{Args: []string{"/bin/sleep", "1000"}, Dir: "/tmp"})
		}
	}
	fmt.Println("ready", id, err)
	time.Sleep(10 * time.Minute)
	os.Exit(1)
}

// A server that is killed takes its sandboxes with it, and the next one removes what is left.
func TestServerIsKilled(t *testing.T) {
	d := open(t) // skips where there is no driver
	program := d.program.Name()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("/proc/self/exe", serverArg, program)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	line, _ := bufio.NewReader(out).ReadString('\n')
	var id int
	if _, err := fmt.Sscanf(line, "ready %d <nil>", &id); err != nil {
		t.Fatalf("the server says %q", line)
	}
	if len(processesOf(id)) == 0 {
		t.Fatal("no process has the sandbox's user id: the test would see none left")
	}
	pid := server.Process.Pid
	groups := len(groupsOf(pid))
	server.Process.Kill()
	server.Wait()
	deadline := time.Now().Add(time.Minute)
	for len(processesOf(id)) > 0 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if left := processesOf(id); len(left) > 0 {
		t.Errorf("processes of a dead server live: %v", left)
	}
	next := open(t)
	defer next.Close()
	if next.tree != nil && groups == 0 {
		t.Error("the living server had no control groups: the test would see none left")
	}
	if left := groupsOf(pid); len(left) > 0 {
		t.Errorf("a new server has left the dead one's control groups: %v", left)
	}
}

func processesOf(id int) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), fmt.Sprintf("\nUid:\t%d\t", id)) {
			found = append(found, f)
		}
	}
	return found
}

func groupsOf(pid int) (found []string) {
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), "enfold-") && strings.Contains(e.Name(), fmt.Sprintf("-%d-", pid)) {
			found = append(found, path)
		}
		return nil
	})
	return found
}
