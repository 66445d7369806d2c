package worker

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

const (
	// brief is the processor time that an invocation may have had after which the next one has a core of ours: how long it took, divided
	// among all that ran. After one that computed for longer two must be, and after one that was found at it so many as penance.
	brief   = 2 * time.Millisecond
	penance = 16
	// waitPart is the part of a longer invocation that it must have computed: it has waited otherwise. What it did since the last glance
	// is taken for that.
	waitPart = 4
	// tick is how often it is seen who has a core of ours and computes: those that have run for long, and used so much of a tick.
	tick      = 10 * time.Millisecond
	long      = 2 * tick
	computing = tick / 3
	// glance is how often the cores are looked at.
	glance = 10 * tick
	// Our cores are full if they are idle for no more than one part in fullPart, and the rest has room if it is for one in roomPart, for
	// so many glances: the kernel counts in hundredths of a second.
	fullPart, roomPart = 16, 4
	fullGlances        = 3
	// For so long the kernel decides then: twice as long as the last time if that is not long ago.
	firstSpread, lastSpread = time.Second, 32 * time.Second
	// Others compute if one part in othersPart of all cores was used by neither the server nor brief invocations, or one in hogPart of a
	// core by an invocation that has run for a glance, for so many glances, and until that was not so for aloneGlances.
	othersPart    = 3
	hogPart       = 10
	othersGlances = 2
	aloneGlances  = 3
	// At a glance no more are counted.
	mostActive, mostRunning = 256, 64
)

// cores keeps sandboxes with brief invocations to single cores of one half of the machine's, and leaves the others to the server and its
// clients. The threads of a function then wake each other up where they are, which takes less of the processor, and what they run stays
// in the caches of their core: on two cores a call of a Go function takes a fifth less time, and a third more of them fit in. A function
// that has no more than one core's share loses little: one that computes gets all cores again, and if ours are full while the rest has
// room, or others compute, all functions do.
type cores struct {
	ours, rest []int // numbers of the host's; none are ours if there is no choice: one core, or some that are slower

	mu       sync.Mutex
	inFlight int                       // invocations, of all sandboxes
	running  map[*environment]int      // those that could have a core, with the one of ours that they have, an index, or AnyCore
	busy     []int                     // how many have each of ours
	active   map[*environment]struct{} // those whose invocations are brief, if any was one, that have begun one since the last glance
	spread   time.Time                 // the kernel decides until then
	others   bool                      // and as long as they compute
	watching bool

	usage usage // of the watch alone
}

// pin is what cores knows of a sandbox.
type pin struct {
	box sandbox.Pinner // nil if it cannot

	// Guarded by cores.mu.
	off   bool          // it did not work
	brief int           // how many invocations in a row were; below zero so many must be before it is as if it were new
	had   int           // the last core, an index in ours, or AnyCore
	begun time.Time     // of the running invocation
	seen  bool          // the watch has looked at it
	used  time.Duration // processor time when it did

	counted atomic.Int64 // processor time, in nanoseconds, that is in usage.brief already, or does not belong there

	moving sync.Mutex
	core   int // a number of the host's, or AnyCore
}

func newCores() *cores {
	c := &cores{running: map[*environment]int{}, active: map[*environment]struct{}{}}
	if all := usable(); len(all) > 1 {
		c.rest, c.ours = all[:(len(all)+1)/2], all[(len(all)+1)/2:]
	}
	c.busy = make([]int, len(c.ours))
	return c
}

// pinnable readies a sandbox to be kept to a core, if its driver can. What has more than a core's share has use for more.
func (e *environment) pinnable() {
	e.pin.core, e.pin.had = sandbox.AnyCore, sandbox.AnyCore
	if e.function.MemoryMB <= coreMB && len(e.pool.cores.ours) > 0 {
		e.pin.box, _ = e.box.(sandbox.Pinner)
	}
}

// enter gives a sandbox a core for the invocation that begins, if it should have one. One that will look for its next event again and
// again should not: others of the core would wait for it.
func (c *cores) enter(e *environment) {
	c.mu.Lock()
	c.inFlight++
	p, core := &e.pin, sandbox.AnyCore
	p.begun, p.seen = time.Now(), false
	if p.box != nil {
		c.running[e] = sandbox.AnyCore
		if p.brief >= 0 {
			c.active[e] = struct{}{}
		}
		if p.brief > 0 && e.looks == 0 && !p.off && !c.others && p.begun.After(c.spread) {
			core = c.choose(e)
		}
		if !c.watching {
			c.watching = true
			e.pool.reaper.Go(func() { c.watch(e.pool.stop) })
		}
	}
	c.mu.Unlock()
	c.move(e, core)
}

// choose takes the core that the fewest have, or that which the sandbox had if it is not much worse. The caller holds c.mu.
func (c *cores) choose(e *environment) (core int) {
	best := 0
	for i, n := range c.busy {
		if n < c.busy[best] {
			best = i
		}
	}
	if had := e.pin.had; had != sandbox.AnyCore && c.busy[had] <= c.busy[best]+1 {
		best = had
	}
	e.pin.had = best
	c.running[e] = best
	c.busy[best]++
	return c.ours[best]
}

// leave says that the invocation is over.
func (c *cores) leave(e *environment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	p := &e.pin
	if p.box == nil {
		return
	}
	n, took := time.Duration(len(c.ours)+len(c.rest)), time.Since(p.begun)
	switch {
	case took*n <= brief*max(time.Duration(c.inFlight+1), n):
		if p.brief++; p.brief == 0 {
			p.count() // what it has computed
		}
	case p.box.CPUTime()-time.Duration(p.counted.Load()) > took/waitPart: // else it has waited, for its turn perhaps
		p.brief = min(p.brief, -1)
	}
	c.release(e)
	delete(c.running, e)
}

// release takes the core from a sandbox, and says whether it had one. The caller holds c.mu.
func (c *cores) release(e *environment) bool {
	i, ok := c.running[e]
	if !ok || i == sandbox.AnyCore {
		return false
	}
	c.running[e] = sandbox.AnyCore
	c.busy[i]--
	return true
}

// free gives a sandbox all cores again.
func (c *cores) free(e *environment) {
	c.mu.Lock()
	c.release(e)
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
	c.release(e)
}

// watch looks at those that run until there are none.
func (c *cores) watch(stop <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	c.usage.forget()
	for last := time.Now(); ; {
		var now time.Time
		select {
		case <-stop:
			return
		case now = <-ticker.C:
		}
		c.look(now)
		if now.Sub(last) < glance {
			continue
		}
		if !c.glance(now) {
			return
		}
		last = now
	}
}

// look frees those that have run for long and compute.
func (c *cores) look(now time.Time) {
	c.mu.Lock()
	var lasting []*environment
	for e, core := range c.running {
		if core != sandbox.AnyCore && now.Sub(e.pin.begun) > long {
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

// computes says whether a sandbox that has used so much processor time so far computes since the last look at its invocation.
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
	delete(c.active, e)
	return true
}

// glance looks at the cores, and gives all to everybody if ours are full while the rest has room, or if others compute. It says whether
// there is somebody to watch.
func (c *cores) glance(now time.Time) bool {
	active, running := c.seen(now)
	if active == nil && running == nil {
		return false
	}
	u := &c.usage
	if len(active) > mostActive {
		u.forget() // they would be taken for others
	} else {
		for e := range active {
			u.brief += e.pin.count()
		}
	}
	hog := false
	for _, e := range running {
		hog = e.pin.count() > glance/hogPart || hog
	}
	text, _ := os.ReadFile("/proc/stat") // without it nobody else computes
	u.look(string(text), ownTime()+u.brief, hog, c.ours, c.rest)
	c.judge(now)
	return true
}

// seen are the active sandboxes, and some that run since the last glance. There are none if the watch is over.
func (c *cores) seen(now time.Time) (active map[*environment]struct{}, running []*environment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watching = len(c.active) > 0 || len(c.running) > 0
	if !c.watching {
		return nil, nil
	}
	active, c.active = c.active, map[*environment]struct{}{}
	for e := range c.running {
		if now.Sub(e.pin.begun) > glance && len(running) < mostRunning {
			running = append(running, e)
			delete(active, e)
		}
	}
	return active, running
}

// judge decides by what was seen.
func (c *cores) judge(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &c.usage
	pinned := 0
	for _, n := range c.busy {
		pinned += n
	}
	if pinned <= len(c.ours) {
		u.full = 0 // it is not because of us
	}
	full := u.full >= fullGlances
	if full {
		c.spread = now.Add(u.pause(now))
	}
	c.others = u.others >= othersGlances || c.others && u.alone < aloneGlances
	if !full && !c.others {
		return
	}
	for e := range c.running {
		if c.release(e) {
			go c.move(e, sandbox.AnyCore)
		}
	}
}

// count is the processor time that was used since the last count.
func (p *pin) count() time.Duration {
	used := int64(p.box.CPUTime())
	return time.Duration(max(used-p.counted.Swap(used), 0))
}
