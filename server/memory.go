package server

import (
	"os"
	"runtime/debug"
)

// collectAt is GOGC for a server: a live heap of a few megabytes would have to be collected ten times a second under load,
// at a tenth of the processor. It buys that for some megabytes.
const collectAt = 400

// collectLess sets it, unless the environment says otherwise.
func collectLess() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(collectAt)
	}
}
