package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// collectAt is GOGC for a server. A live heap of a few megabytes would have to be collected ten times a second under load, at
// a twentieth of the processor; this buys that for some megabytes.
const collectAt = 400

// tune fits Go's runtime to what a server does, unless the environment says otherwise. Serving an invocation is a chain of
// short steps, each waiting for the function or the client. The runtime wakes another thread at each step, to look for work
// that is not there, on the core where the function is about to run: on two cores that cost a fifth of the time of a call.
// So the functions have half of the cores to themselves.
func tune() {
	if collects() {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2))
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
