//go:build amd64 || arm64

package namespace

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// bomb starts processes that spin as soon as all of them are there, and says so.
const bomb = `i=0; while [ $i -lt 400 ]; do (while [ ! -e /tmp/go ]; do sleep 0.2; done; while :; do :; done) & i=$((i+1)); done; >/tmp/go; echo full; wait`

// A sandbox full of processes that spin, with next to no share of the processor, is killed and destroyed all the same, and takes the
// next process.
func TestBombIsKilled(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	ctx := context.Background()
	s, err := d.Create(ctx, sandbox.Spec{ID: "bomb", Owner: "o", Memory: 256 << 20, CPU: 72})
	if err != nil {
		t.Fatal(err)
	}
	explode := func() sandbox.Process {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		p, err := s.Start(ctx, sandbox.Command{Args: []string{"/bin/sh", "-c", bomb}, Dir: "/tmp", Env: []string{"PATH=/usr/bin:/bin"}, Stdout: w})
		if err != nil {
			t.Fatal(err)
		}
		r.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := r.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		s.EndInit()
		time.Sleep(500 * time.Millisecond) // they spin, and the share is used up
		return p
	}
	p := explode()
	begun := time.Now()
	p.Kill()
	select {
	case <-p.Done():
	case <-time.After(patience / 2):
		t.Fatal("it does not die")
	}
	t.Logf("dead after %v", time.Since(begun))
	if e := run(t, s, "exit 5"); e.Code != 5 {
		t.Errorf("the next process: %+v", e)
	}
	run(t, s, "rm /tmp/go")
	p = explode()
	begun = time.Now()
	if err := s.Destroy(); err != nil {
		t.Error(err)
	}
	<-p.Done()
	t.Logf("destroyed after %v", time.Since(begun))
}

// What the kernel counts and gives by thread is the function's own too: it sees no control group of the host.
func TestControlGroupsAreHidden(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	w, out := warmShell(t, d, "echo; cat /proc/self/cgroup; readlink /proc/self/ns/cgroup")
	s, p, err := w.Claim(context.Background(), sandbox.Spec{ID: "claimed", Owner: "o", Mounts: task(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink("/proc/self/ns/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 4096)
	n := 0
	for {
		m, err := out.Read(text[n:])
		if n += m; err != nil {
			break
		}
	}
	<-p.Done()
	if strings.Contains(string(text[:n]), own) || strings.Contains(string(text[:n]), "enfold-") {
		t.Errorf("a claimed process sees\n%s", text[:n])
	}
	if e := run(t, s, `grep enfold- /proc/self/cgroup && exit 1; test "$(readlink /proc/self/ns/cgroup)" = "`+own+`" && exit 2; exit 7`); e.Code != 7 {
		t.Errorf("a later process sees control groups of the host: %+v", e)
	}
	first, err := d.Create(context.Background(), sandbox.Spec{ID: "fresh", Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	if e := run(t, first, `grep enfold- /proc/self/cgroup && exit 1; test "$(readlink /proc/self/ns/cgroup)" = "`+own+`" && exit 2; exit 7`); e.Code != 7 {
		t.Errorf("a first process sees control groups of the host: %+v", e)
	}
	// Fields 19 and 41 are the nice value and the scheduling policy, SCHED_BATCH.
	if e := run(t, first, `set -- $(cat /proc/self/stat); shift 18; test "$1" = 0 || exit 1; shift 22; test "$1" = 3 || exit 2; exit 7`); e.Code != 7 {
		t.Errorf("a function has precedence, or takes the processor from who wakes it: %+v", e)
	}
}
