package server

import (
	"log/slog"
	"os"
	"runtime/debug"
	"time"
)

// collectAt is GOGC for a server. A live heap of a few megabytes would have to be collected ten times a second under load, at
// a twentieth of the processor; this buys that for some megabytes.
const collectAt = 400

// tune fits the process to what a server does, unless the environment says otherwise. Without it, it is only slower.
func tune(log *slog.Logger) {
	if collects() {
		debug.SetGCPercent(collectAt)
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
