package worker

import (
	"errors"
	"sync"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// ice is whether a sandbox stands still. Between invocations nothing of a function runs, as on AWS: threads of its own and
// extensions go on where they were when the next invocation begins.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.
type ice struct {
	box   sandbox.Freezer // nil if it cannot
	after time.Duration   // idle for so long, it is frozen

	mu     sync.Mutex
	idle   bool
	since  time.Time // when it became idle
	frozen bool
	queued bool // the freezer has it
	shrunk bool // its memory was reclaimed since it became idle
}

// freezer freezes sandboxes that have been idle for a while.
type freezer struct {
	log  func(msg string, args ...any)
	kick chan struct{} // one token: there is one again

	mu    sync.Mutex
	queue []*environment
}

func newFreezer(d Deps) *freezer { return &freezer{log: d.Log.Error, kick: make(chan struct{}, 1)} }

// skate readies a sandbox to be frozen, if its driver can.
func (e *environment) skate() {
	f, ok := e.box.(sandbox.Freezer)
	if !ok {
		return
	}
	if after := f.FreezeAfter(); after > 0 {
		e.ice.box, e.ice.after = f, after
	}
}

// rest says that an invocation is over.
func (f *freezer) rest(e *environment) {
	i := &e.ice
	if i.box == nil {
		return
	}
	i.mu.Lock()
	i.idle, i.since, i.shrunk = true, time.Now(), false
	first := !i.queued
	i.queued = true
	i.mu.Unlock()
	if !first {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, e)
	if len(f.queue) == 1 {
		select {
		case f.kick <- struct{}{}:
		default:
		}
	}
}

// thaw says that an invocation begins.
func (i *ice) thaw() error {
	if i.box == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.idle = false
	if !i.frozen {
		return nil
	}
	i.frozen = false
	return i.box.Thaw()
}

// run freezes what is due until stop is closed.
func (f *freezer) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-f.kick:
		}
		for wait := f.sweep(time.Now()); wait > 0; wait = f.sweep(time.Now()) {
			select {
			case <-stop:
				return
			case <-time.After(wait):
			}
		}
	}
}

// sweepEvery is between two looks at the queue at least: a thousand sandboxes that became idle one after the other are not looked
// at a thousand times.
const sweepEvery = 10 * time.Millisecond

// sweep freezes what is due, and says when to look again, 0 if nothing is left.
func (f *freezer) sweep(now time.Time) time.Duration {
	f.mu.Lock()
	queue := f.queue
	f.queue = nil
	f.mu.Unlock()
	var later []*environment
	next := time.Duration(0)
	for _, e := range queue {
		wait := f.freeze(e, now)
		if wait <= 0 {
			continue
		}
		later = append(later, e)
		if next == 0 || wait < next {
			next = wait
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(later, f.queue...)
	if len(f.queue) > 0 && next == 0 {
		return sweepEvery // it came meanwhile
	}
	if next > 0 {
		next = max(next, sweepEvery)
	}
	return next
}

// freeze freezes a sandbox if it is due, and says when to look at it again, 0 if never: it is busy and will come back, or it
// stands still. A runtime that has answered but does not ask for the next event yet still has the time of its invocation.
func (f *freezer) freeze(e *environment, now time.Time) time.Duration {
	i := &e.ice
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.idle {
		i.queued = false
		return 0
	}
	if wait := i.after - now.Sub(i.since); wait > 0 {
		return wait
	}
	if !e.session.Idle() && now.Before(e.deadline) {
		return i.after
	}
	i.queued = false
	switch err := i.box.Freeze(); {
	case err == nil:
		i.frozen = true
	case !errors.Is(err, sandbox.ErrDestroyed):
		f.log("freeze an idle sandbox", "owner", e.function.Owner, "error", err)
	}
	return 0
}

// shrink gives memory back that an idle sandbox does without. It says whether there was something to do.
func (i *ice) shrink() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.box == nil || !i.idle || i.shrunk {
		return false
	}
	i.shrunk = true
	return i.box.Reclaim() == nil
}
