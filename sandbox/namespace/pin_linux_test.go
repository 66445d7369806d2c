//go:build amd64 || arm64

package namespace

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// threadsOf waits until a sandbox has at least so many threads.
func threadsOf(t *testing.T, s *box, n int) []int {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ids, err := s.blank.group.Threads()
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) >= n {
			return ids
		}
		if time.Now().After(until) {
			t.Fatalf("threads %v, want %d", ids, n)
		}
	}
}

// called are the processes of a sandbox with a name, once there are so many.
func called(t *testing.T, s *box, name string, n int) []int {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var found []int
		for _, id := range threadsOf(t, s, n) {
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id)); string(comm) == name+"\n" {
				found = append(found, id)
			}
		}
		if len(found) == n {
			return found
		}
		if time.Now().After(until) {
			t.Fatalf("%d are called %s, want %d", len(found), name, n)
		}
	}
}

// affinity is the cores that a thread may use.
func affinity(t *testing.T, thread int) unix.CPUSet {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(thread, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// Every thread of a sandbox is on the core, and what they start too; those that have chosen for themselves stay where they are.
func TestPin(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	all, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	if all.Count() < 2 {
		t.Skip("this machine has one core")
	}
	var numbers []int
	for n := 0; len(numbers) < 2; n++ {
		if all.IsSet(n) {
			numbers = append(numbers, n)
		}
	}
	made, err := d.Create(t.Context(), sandbox.Spec{ID: "pin", Owner: "a/b/c/d"})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Destroy()
	s := made.(*box)
	process, err := s.Start(t.Context(), sandbox.Command{
		Args: []string{"/bin/sh", "-c", "trap 'sleep 60 &' USR1; sleep 60 & sleep 60 & while :; do wait; done"}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	own := called(t, s, "sleep", 2)[0]
	if err := unix.SchedSetaffinity(own, new(only(numbers[0]))); errors.Is(err, unix.EPERM) {
		t.Skipf("this user may not pin a sandbox's processes: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	check := func(want unix.CPUSet) {
		t.Helper()
		for _, id := range threadsOf(t, s, 4) { // of the first process, the shell and those that sleep
			if got := affinity(t, id); id != own && got != want {
				t.Errorf("thread %d may use %v, want %v", id, got, want)
			}
		}
		if affinity(t, own) != only(numbers[0]) {
			t.Error("a thread that has chosen its core was moved")
		}
	}
	if err := s.Pin(numbers[1]); err != nil {
		t.Fatal(err)
	}
	check(only(numbers[1]))
	if err := unix.Kill(called(t, s, "sh", 1)[0], unix.SIGUSR1); err != nil { // it starts another one
		t.Fatal(err)
	}
	called(t, s, "sleep", 3)
	check(only(numbers[1]))
	if err := s.Pin(sandbox.AnyCore); err != nil {
		t.Fatal(err)
	}
	check(all)
	if err := s.Pin(1 << 20); !errors.Is(err, sandbox.ErrUnsupported) {
		t.Errorf("a core that is not there: %v", err)
	}
	if s.CPUTime() == 0 {
		t.Error("it has used no processor time")
	}
	if err := made.Destroy(); err != nil {
		t.Fatal(err)
	}
	if err := s.Pin(numbers[0]); !errors.Is(err, sandbox.ErrDestroyed) {
		t.Errorf("a destroyed sandbox: %v", err)
	}
}

// One with very many threads is left alone.
func TestPinMany(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	made, err := d.Create(t.Context(), sandbox.Spec{ID: "pinmany", Owner: "a/b/c/d"})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Destroy()
	s := made.(*box)
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 60 & i=$((i+1)); done; wait", mostPinned)
	process, err := s.Start(t.Context(), sandbox.Command{Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	ids := threadsOf(t, s, mostPinned+2)
	all, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	core := 0
	for !all.IsSet(core) {
		core++
	}
	if err := s.Pin(core); !errors.Is(err, sandbox.ErrUnsupported) {
		t.Errorf("%d threads were pinned: %v", len(ids), err)
	}
	if affinity(t, ids[len(ids)-1]) != all {
		t.Error("one was pinned")
	}
}

// A function that makes one thread after the other does not keep its sandbox from everything else.
func TestPinEnds(t *testing.T) {
	const none = 1 << 29 // no thread has an id that high
	looks := 0
	err := repin(func() ([]int, error) {
		if looks++; looks > 100 {
			return nil, errors.New("it goes on and on")
		}
		return []int{none + looks}, nil
	}, only(0), only(0), mostPinned)
	if err != nil || looks != passes {
		t.Errorf("%d looks, want %d: %v", looks, passes, err)
	}
}
