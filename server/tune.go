package server

import (
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
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

// When memory goes back to the system.
const (
	settled = time.Second     // after the start, what only that needed
	lookFor = 5 * time.Second // between looks for what a burst of calls has left
	calm    = 1 << 20         // bytes allocated between two looks by a server that does next to nothing
	worth   = 16 << 20        // bytes that are worth a collection
)

// giveBack returns memory to the system: what only the start needed, a while after it, and what a burst of calls has left once the
// server is calm. Go by itself would collect that after two minutes, and return it slowly. The function that it returns ends that.
func giveBack() (stop func()) {
	if !collects() {
		return func() {}
	}
	over := make(chan struct{})
	go func() {
		var h heap
		for wait := settled; ; wait = lookFor {
			select {
			case <-over:
				return
			case <-time.After(wait):
				h.look(debug.FreeOSMemory)
			}
		}
	}()
	return func() { close(over) }
}

// heap is the process's memory as it was seen last.
type heap struct {
	allocated uint64 // so far
	kept      uint64 // of the system's, after it was last given back
}

// look has free give memory back if there is enough of it and nobody is busy with it.
func (h *heap) look(free func()) {
	now, first := readHeap(), h.kept == 0
	busy := now.allocated-h.allocated > calm
	h.allocated, h.kept = now.allocated, min(now.kept, h.kept)
	if !first && (busy || now.kept < h.kept+worth) {
		return
	}
	free()
	*h = readHeap()
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	return heap{s[0].Value.Uint64(), s[1].Value.Uint64() + s[2].Value.Uint64() + s[3].Value.Uint64()}
}
