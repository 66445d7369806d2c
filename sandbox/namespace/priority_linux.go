//go:build amd64 || arm64

package namespace

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// serverNice makes a thread of the server weigh as much as three functions.
const serverNice = -5

// raise gives the server precedence over functions that have their processor shares beside its own: all calls would wait for it where
// many functions compute. Threads to come inherit it, so once is enough; twice would take those along that start functions. Who may not,
// as an ordinary user, goes without.
var raise = sync.OnceFunc(func() {
	for range 2 { // a thread that was not there yet had its value from one that was
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil {
				_ = unix.Setpriority(unix.PRIO_PROCESS, tid, serverNice)
			}
		}
	}
})

// yielding makes the calling thread, and all that is started from it, as functions are: without precedence, and such that to wake one up
// does not interrupt who woke it (SCHED_BATCH). A group that wakes would take the core at once, an invocation wakes somebody some ten
// times, and who woke it has something left to do, as a rule. Where a core is free nothing waits.
func yielding() error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH}, 0)
}
