package reap

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Waiting for many first processes takes no thread for each, and ends when they do.
func TestAwait(t *testing.T) {
	const n = 40
	var waiting sync.WaitGroup
	var children [n]*exec.Cmd
	before := threads(t)
	for i := range children {
		children[i] = exec.Command("/bin/sleep", "600")
		if err := children[i].Start(); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			Await(children[i].Process)
			if err := children[i].Process.Signal(os.Kill); err != nil {
				t.Errorf("the child is gone already: %v", err) // it is a zombie until somebody waits for it
			}
		})
	}
	over := make(chan struct{})
	go func() { waiting.Wait(); close(over) }()
	select {
	case <-over:
		t.Error("nobody waits for children that run")
	case <-time.After(200 * time.Millisecond): // shorter sees less, and is right all the same
	}
	if more := threads(t) - before; more > n/2 {
		t.Errorf("%d threads more wait for %d children", more, n)
	}
	for _, c := range children {
		if err := c.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	waiting.Wait()
	for _, c := range children {
		_ = c.Wait() // it was killed
	}
	Await(children[0].Process) // one that is long gone
}

func threads(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
