//go:build amd64 || arm64

package namespace

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRaise: all threads of the server have precedence, and what starts functions has none.
func TestRaise(t *testing.T) {
	runtime.LockOSThread() // and it ends with the test
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -1); err != nil {
		t.Skipf("this user may not raise a priority: %v", err)
	}
	raise()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		a, err := unix.SchedGetAttr(id, 0)
		if err == nil && a.Nice != serverNice {
			t.Errorf("thread %d has nice value %d", id, a.Nice)
		}
	}
	if err := yielding(); err != nil {
		t.Fatal(err)
	}
	if a, err := unix.SchedGetAttr(0, 0); err != nil || a.Nice != 0 || a.Policy != unix.SCHED_BATCH {
		t.Errorf("what starts functions has nice value %d and policy %d: %v", a.Nice, a.Policy, err)
	}
}
