package worker

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// pollTime is how long a runtime may look for its next event again and again instead of sleeping until it comes. A core that sleeps
	// takes some 30 µs to wake up, and has forgotten what it was about: where calls follow each other at once, a third of their time.
	pollTime = 500 * time.Microsecond
	// lull is how long there must have been no crowd: with a core for nobody else, who looks takes from who works.
	lull = 50 * time.Millisecond
	// coreMB is the memory with which a function has a core. With less, looking would use up what it has for its work.
	coreMB = 1769
)

// crowd knows whether the machine has cores to spare.
type crowd struct {
	since time.Time
	last  atomic.Int64 // when there was one, in nanoseconds after since
}

// note takes down how many invocations run.
func (c *crowd) note(busy int) {
	if busy > max(runtime.NumCPU()/2, 1) {
		c.last.Store(int64(time.Since(c.since)))
	}
}

// over says that there has been none for a while.
func (c *crowd) over() bool { return time.Since(c.since)-time.Duration(c.last.Load()) > lull }

// poll is how long the runtime may look for the event after this one. Ours do if they have had little to wait last time.
func (e *environment) poll() time.Duration {
	if !e.channeled || e.function.MemoryMB < coreMB || !e.pool.crowd.over() {
		return 0
	}
	return pollTime
}
