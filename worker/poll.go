package worker

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pollTime is how long a runtime may look for its next event again and again instead of sleeping until it comes. A core that sleeps
	// takes some 30 µs to wake up, and has forgotten what it was about: where calls follow each other at once, a third of their time.
	pollTime = 500 * time.Microsecond
	// lull is how long there must have been no crowd: with a core for nobody else, who looks takes from who works.
	lull = 50 * time.Millisecond
	// look is how often it is seen how busy the machine is, and idlePart the part of it that must be idle, one in so many. Where others
	// compute, who looks for its event again and again has used up its turn when that comes.
	look     = 200 * time.Millisecond
	idlePart = 16
	// coreMB is the memory with which a function has a core. With less, looking would use up what it has for its work.
	coreMB = 1769
)

// crowd knows whether the machine has cores to spare.
type crowd struct {
	since time.Time
	last  atomic.Int64 // when there was one, in nanoseconds after since

	looked atomic.Int64 // when, likewise
	idle   atomic.Bool  // the machine was, in part, between the last two looks

	looking             sync.Mutex
	idleTicks, allTicks uint64
}

// note takes down how many invocations run.
func (c *crowd) note(busy int) {
	if busy > max(runtime.NumCPU()/2, 1) {
		c.last.Store(int64(time.Since(c.since)))
	}
}

// over says that there has been none for a while, and no other process of the machine that wants all of it.
func (c *crowd) over() bool {
	now := time.Since(c.since)
	if before := c.looked.Load(); now-time.Duration(before) > look && c.looked.CompareAndSwap(before, int64(now)) {
		go c.look() // no invocation waits for it
	}
	return c.idle.Load() && now-time.Duration(c.last.Load()) > lull
}

// look sees how busy the machine was since the last look.
func (c *crowd) look() {
	c.looking.Lock()
	defer c.looking.Unlock()
	text, _ := os.ReadFile("/proc/stat") // without it there is nothing to spare
	idle, all := ticks(string(text))
	c.idle.Store((idle-c.idleTicks)*idlePart > all-c.allTicks && c.allTicks > 0)
	c.idleTicks, c.allTicks = idle, all
}

// ticks are how long all cores have been idle so far, and altogether, from the first line of /proc/stat: user, nice, system, idle, iowait …
func ticks(stat string) (idle, all uint64) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	for i, f := range fields[min(1, len(fields)):] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil || i > 7 { // what follows is counted in user
			break
		}
		all += n
		if i == 3 || i == 4 {
			idle += n
		}
	}
	return idle, all
}

// poll is how long the runtime may look for the event after this one. Ours do if they have had little to wait last time.
func (e *environment) poll() time.Duration {
	if !e.channeled || e.function.MemoryMB < coreMB || !e.pool.crowd.over() {
		return 0
	}
	return pollTime
}
