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
	may := make(chan error)
	go func() {
		runtime.LockOSThread() // and it ends with the goroutine
		may <- unix.Setpriority(unix.PRIO_PROCESS, 0, serverNice)
	}()
	if err := <-may; err != nil {
		t.Skipf("this user may not raise a priority: %v", err)
	}
	raise()
	runtime.LockOSThread() // and it ends with the test
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
		want := int32(serverNice)
		if a != nil && a.Policy == unix.SCHED_BATCH { // of a driver of another test: it starts functions
			want = 0
		}
		if err == nil && a.Nice != want {
			t.Errorf("thread %d has nice value %d, want %d", id, a.Nice, want)
		}
	}
	if err := yielding(); err != nil {
		t.Fatal(err)
	}
	if a, err := unix.SchedGetAttr(0, 0); err != nil || a.Nice != 0 || a.Policy != unix.SCHED_BATCH {
		t.Errorf("what starts functions has nice value %d and policy %d: %v", a.Nice, a.Policy, err)
	}
}
