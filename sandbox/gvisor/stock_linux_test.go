//go:build amd64 || arm64

package gvisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// waitingBox waits until one waits.
func waitingBox(t *testing.T, s *stock) *box {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		var b *box
		if len(s.waiting) > 0 {
			b = s.waiting[0]
		}
		s.mu.Unlock()
		if b != nil {
			return b
		}
	}
	t.Fatal("no sandbox waits")
	return nil
}

// limitOf is the memory limit of a process's control group.
func limitOf(t *testing.T, pid int) string {
	t.Helper()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(groups)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(name, ":")
		file := "/sys/fs/cgroup" + path + "/memory.max"
		if controllers != "" {
			file = "/sys/fs/cgroup/" + controllers + path + "/memory.limit_in_bytes"
		}
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("no memory limit is found in %s", groups)
	return ""
}

// Once a sandbox was wanted another one waits, and is the next owner's with what that mounts and may use. A dead one is nobody's.
func TestStock(t *testing.T) {
	d := openWith(t, Options{})
	closed := false
	defer func() {
		if !closed {
			d.Close()
		}
	}()
	ctx := context.Background()
	if makes, _ := d.stock.lack(); makes {
		t.Error("one is to wait that nobody has wanted")
	}
	task := t.TempDir()
	if err := os.WriteFile(filepath.Join(task, "mine"), []byte("it is mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(task, 0o755); err != nil {
		t.Fatal(err)
	}
	create := func(id string) *box {
		t.Helper()
		s, err := d.Create(ctx, sandbox.Spec{ID: id, Owner: id, Memory: 256 << 20, Pids: 100, Mounts: []sandbox.Mount{{Source: task, Target: "/var/task"}}})
		if err != nil {
			t.Fatal(err)
		}
		return s.(*box)
	}
	create("first")
	waiting := waitingBox(t, d.stock)
	second := create("second")
	if second != waiting {
		t.Error("the sandbox that waited was not used")
	}
	r, w := pipe(t)
	if _, err := second.Start(ctx, sandbox.Command{Args: []string{"/bin/sh", "-c", "cat /var/task/mine; ls /var/task; ulimit -u"}, Dir: "/var/task", Stdout: w, Stderr: w}); err != nil {
		t.Fatal(err)
	}
	untilLine(t, r, "it is mine")
	if second.group != nil {
		want := strconv.FormatInt(second.spec.Memory+second.base+engineMemory, 10)
		if got := limitOf(t, second.engine.process.Pid); got != want {
			t.Errorf("its memory is limited to %s, want %s", got, want)
		}
	}
	dead := waitingBox(t, d.stock)
	dead.engine.kill()
	<-dead.engine.gone
	if third := create("third"); third == dead {
		t.Error("a sandbox whose gVisor is dead was used")
	}
	last := waitingBox(t, d.stock)
	closed = true
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left := processesOf(last.id); len(left) > 0 {
		t.Errorf("processes of one that waited live: %v", left)
	}
}

// A driver that is closed while sandboxes are made, for somebody or for the stock, leaves none.
func TestCloseDuringCreate(t *testing.T) {
	d := openWith(t, Options{})
	ctx := context.Background()
	if _, err := d.Create(ctx, sandbox.Spec{ID: "first", Owner: "a"}); err != nil {
		t.Fatal(err)
	}
	id := waitingBox(t, d.stock).id
	for _, n := range []string{"a", "b"} {
		go d.Create(ctx, sandbox.Spec{ID: n, Owner: n})
	}
	for d.count() < 4 { // the first, at least one of these, and what is made ahead
		time.Sleep(time.Millisecond)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i := id; i < id+8; i++ {
		if left := processesOf(i); len(left) > 0 {
			t.Errorf("processes live: %v", left)
		}
	}
}

func (d *Driver) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.boxes)
}
