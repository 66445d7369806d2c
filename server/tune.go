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

// settled is when a server has started and gives back what only the start needed.
const settled = time.Second

// tune fits Go's runtime to what a server does, unless the environment says otherwise. Serving an invocation is a chain of
// short steps, each waiting for the function or the client. The runtime wakes another thread at each step, to look for work
// that is not there, on the core where the function is about to run: on two cores that cost a fifth of the time of a call.
// So the functions have half of the cores to themselves.
func tune() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(collectAt)
		time.AfterFunc(settled, debug.FreeOSMemory)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
}
