package server

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBatch(t *testing.T) {
	runtime.LockOSThread() // and it ends with the test: its nice value cannot be taken back by an ordinary user
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 1); err != nil {
		t.Fatal(err)
	}
	if err := batch(); err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	nices := 0
	for _, task := range all {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		a, err := unix.SchedGetAttr(id, 0)
		if err != nil {
			continue // it has ended
		}
		if a.Policy != unix.SCHED_BATCH {
			t.Errorf("thread %d has policy %d", id, a.Policy)
		}
		nices += int(a.Nice)
	}
	if nices == 0 {
		t.Error("a thread's nice value was lost")
	}
}
