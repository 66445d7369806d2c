package worker

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

const (
	// brief is the processor time that an invocation may have had after which the next one has a core of ours: how long it took, divided
	// among all that ran.
	brief = 2 * time.Millisecond
	// tick is how often those are looked at that have run for long, and glance how often the cores are, in ticks.
	tick   = 10 * time.Millisecond
	long   = 2 * tick
	glance = 10
	// computing is how much of a tick somebody used who computes, and penance how many brief invocations must follow then.
	computing = tick / 3
	penance   = 16
	// Our cores are full if they are idle for no more than one part in fullPart, and the others have room if they are for one in roomPart.
	fullPart, roomPart = 16, 4
	// For so long the kernel decides when ours were full and others had room: twice as long as the last time if that is not long ago.
	firstSpread, lastSpread = time.Second, 32 * time.Second
	// lullTicks is how many ticks nobody must have run before nobody looks any more.
	lullTicks = 10
)

// cores keeps sandboxes with brief invocations to single cores of one half of the machine's, and leaves the others to the server and its
// clients. The threads of a function then wake each other up where they are, which takes less of the processor, and what they run stays
// in the caches of their core: on two cores a call of a Go function takes a fifth less time, and a third more of them fit in. A function
// that has no more than one core's share loses little: one that computes gets all cores again, and if ours are full while others have
// room, all functions do, for a while.
type cores struct {
	ours, rest []int // numbers of the host's; none are ours if there is no choice

	mu       sync.Mutex
	inFlight int                  // invocations, pinned or not
	pinned   map[*environment]int // those whose invocation has a core: its index in ours
	busy     []int                // how many of pinned are on each of ours
	spread   time.Time            // the kernel decides until then
	watching bool

	usage usage // of the watch alone
}

// pin is what cores knows of a sandbox.
type pin struct {
	box sandbox.Pinner // nil if it cannot

	// Guarded by cores.mu.
	off   bool          // it did not work
	brief int           // how many invocations in a row were, below zero if one has computed
	had   int           // the last core, an index in ours
	begun time.Time     // of the running invocation
	seen  bool          // the watch has looked at it
	used  time.Duration // processor time when it did

	moving sync.Mutex
	core   int // a number of the host's, or AnyCore
}

func newCores() *cores {
	c := &cores{pinned: map[*environment]int{}}
	if all := usable(); len(all) > 1 {
		c.rest, c.ours = all[:(len(all)+1)/2], all[(len(all)+1)/2:]
	}
	c.busy = make([]int, len(c.ours))
	return c
}

// pinnable readies a sandbox to be kept to a core, if its driver can. What has more than a core's share has use for more.
func (e *environment) pinnable() {
	e.pin.core = sandbox.AnyCore
	if e.function.MemoryMB <= coreMB && len(e.pool.cores.ours) > 0 {
		e.pin.box, _ = e.box.(sandbox.Pinner)
	}
}

// enter gives a sandbox a core for the invocation that begins, if it should have one. One that will look for its next event again and
// again should not: others of the core would wait for it.
func (c *cores) enter(e *environment) {
	c.mu.Lock()
	c.inFlight++
	e.pin.begun, e.pin.seen = time.Now(), false
	core := sandbox.AnyCore
	if e.pin.box != nil && !e.pin.off && e.pin.brief > 0 && e.looks == 0 && e.pin.begun.After(c.spread) {
		core = c.choose(e)
	}
	c.mu.Unlock()
	c.move(e, core)
}

// choose takes the core on which the fewest run, or that which the sandbox had if it is not much worse. The caller holds c.mu.
func (c *cores) choose(e *environment) (core int) {
	best := 0
	for i, n := range c.busy {
		if n < c.busy[best] {
			best = i
		}
	}
	if c.busy[e.pin.had] <= c.busy[best]+1 {
		best = e.pin.had
	}
	e.pin.had = best
	c.pinned[e] = best
	c.busy[best]++
	if !c.watching {
		c.watching = true
		e.pool.reaper.Go(func() { c.watch(e.pool.stop) })
	}
	return c.ours[best]
}

// leave says that the invocation is over.
func (c *cores) leave(e *environment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.ours) + len(c.rest)
	if took := time.Since(e.pin.begun); took*time.Duration(n) > brief*time.Duration(max(c.inFlight, n)) {
		e.pin.brief = min(e.pin.brief, 0)
	} else {
		e.pin.brief++
	}
	c.inFlight--
	c.forget(e)
}

// forget takes a sandbox from its core. The caller holds c.mu.
func (c *cores) forget(e *environment) {
	if i, ok := c.pinned[e]; ok {
		delete(c.pinned, e)
		c.busy[i]--
	}
}

// free gives a sandbox all cores again.
func (c *cores) free(e *environment) {
	c.mu.Lock()
	c.forget(e)
	c.mu.Unlock()
	c.move(e, sandbox.AnyCore)
}

// move has a sandbox use a core, or all.
func (c *cores) move(e *environment, core int) {
	p := &e.pin
	if p.box == nil {
		return
	}
	p.moving.Lock()
	defer p.moving.Unlock()
	if p.core == core {
		return
	}
	p.core = core
	err := p.box.Pin(core)
	if err == nil || errors.Is(err, sandbox.ErrDestroyed) {
		return
	}
	if !errors.Is(err, sandbox.ErrUnsupported) {
		e.pool.deps.Log.Error("keep a sandbox to a core", "owner", e.function.Owner, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.off = true
	c.forget(e)
}

// watch looks at those that run until there are none for a while.
func (c *cores) watch(stop <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	c.usage.forget()
	for n, quiet := 1, 0; ; n++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		c.look(time.Now())
		if n%glance == 0 {
			c.glance(time.Now())
		}
		c.mu.Lock()
		if quiet++; len(c.pinned) > 0 {
			quiet = 0
		}
		over := quiet > lullTicks
		c.watching = !over
		c.mu.Unlock()
		if over {
			return
		}
	}
}

// look frees those that have run for long and compute.
func (c *cores) look(now time.Time) {
	c.mu.Lock()
	var lasting []*environment
	for e := range c.pinned {
		if now.Sub(e.pin.begun) > long {
			lasting = append(lasting, e)
		}
	}
	c.mu.Unlock()
	for _, e := range lasting {
		if used := e.pin.box.CPUTime(); c.computes(e, used, now) {
			c.free(e)
		}
	}
}

// computes says whether a sandbox that has used that much computes since the last look at its invocation.
func (c *cores) computes(e *environment, used time.Duration, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &e.pin
	if now.Sub(p.begun) < long { // it is another one by now
		return false
	}
	before, seen := p.used, p.seen
	p.used, p.seen = used, true
	if !seen || used-before < computing {
		return false
	}
	p.brief = -penance
	return true
}

// glance looks at the cores, and gives all to everybody if ours are full while others have room.
func (c *cores) glance(now time.Time) {
	text, _ := os.ReadFile("/proc/stat") // without it nothing is known to be full
	full := c.usage.full(string(text), c.ours, c.rest)
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.spread) {
		c.usage.forget() // what it has seen is not ours alone
		return
	}
	if !full {
		return
	}
	c.spread = now.Add(c.usage.pause(now))
	for e := range c.pinned {
		c.forget(e)
		go c.move(e, sandbox.AnyCore)
	}
}
