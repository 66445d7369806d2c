package server

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// collectAt is GOGC for a server. A live heap of a few megabytes would have to be collected ten times a second under load, at
// a twentieth of the processor; this buys that for some megabytes.
const collectAt = 400

// diskWaiters is how many threads mostly wait for the disk: the store's, which sync what was committed.
const diskWaiters = 2

// tune fits the process to what a server does, unless the environment says otherwise. Without it, it is only slower.
func tune(log *slog.Logger) {
	if collects() {
		debug.SetGCPercent(collectAt)
	}
	// A thread that waits for the disk keeps a processor of Go's scheduler until the runtime takes that away, which is often
	// longer than the wait. On two cores that was half of what the server could run with.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + diskWaiters)
	}
	if err := batch(); err != nil {
		log.Warn("invocations will be slower under load", "error", err)
	}
}

// collects says that when to collect is ours to say.
func collects() bool { return os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" }

// settled is when a server has started.
const settled = time.Second

// giveBack returns to the system what only the start needed, a while after it. The function that it returns ends the wait.
func giveBack() (stop func() bool) {
	return time.AfterFunc(settled, func() {
		if collects() {
			debug.FreeOSMemory()
		}
	}).Stop
}
