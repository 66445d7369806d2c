//go:build amd64 || arm64

package namespace

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
const serverArg = "enfold-test-server"

// serve has a sandbox with a process that can be found by word, and a stock, and waits to be killed.
func serve(word string) {
	d, err := New(Options{Stock: 2, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		var s sandbox.Sandbox
		if s, err = d.Create(context.Background(), sandbox.Spec{ID: "a", Owner: "a"}); err == nil {
			_, err = s.Start(context.Background(), sandbox.Command{
				Args: []string{"/bin/sh", "-c", "trap '' TERM HUP; sleep 60 & sleep 60; : " + word}, Dir: "/tmp", Env: []string{"PATH=/bin"},
			})
		}
	}
	time.Sleep(100 * time.Millisecond) // for the stock
	fmt.Println("ready", err)
	time.Sleep(time.Minute)
	os.Exit(1)
}

// A server that is killed takes its sandboxes with it, and the next one removes what is left.
func TestServerIsKilled(t *testing.T) {
	openWith(t, -1).Close() // skips where there is no driver
	word := fmt.Sprintf("word-%d", time.Now().UnixNano())
	server := exec.Command("/proc/self/exe", serverArg, word)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready <nil>\n" {
		server.Process.Kill()
		server.Wait()
		t.Fatalf("the server says %q", line)
	}
	if n := len(processesWith(word)); n < 2 { // the server itself and the function
		t.Errorf("%d processes have the word: the test would see none left", n)
	}
	pid := server.Process.Pid
	groups := len(groupsOf(pid))
	server.Process.Kill()
	server.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for len(processesWith(word)) > 0 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if left := processesWith(word); len(left) > 0 {
		t.Errorf("processes of a dead server live: %v", left)
	}
	d := openWith(t, -1)
	defer d.Close()
	if d.tree != nil && groups == 0 {
		t.Error("the living server had no control groups: the test would see none left")
	}
	if left := groupsOf(pid); len(left) > 0 {
		t.Errorf("a new server has left the dead one's control groups: %v", left)
	}
}

func processesWith(word string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if args, err := os.ReadFile(f); err == nil && strings.Contains(string(args), word) {
			found = append(found, f)
		}
	}
	return found
}

func groupsOf(pid int) []string {
	var found []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), "enfold-") && strings.Contains(e.Name(), fmt.Sprintf("-%d-", pid)) {
			found = append(found, path)
		}
		return nil
	})
	return found
}
