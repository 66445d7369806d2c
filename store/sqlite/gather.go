package sqlite

import (
	"runtime"
	"time"
)

// Callers that come back after each answer are in two groups by turns, of which one waits while the other is synced. When they are
// many, a group that has waited waits a moment more, for those of the one before it: fewer commits are worth more than the moment.
const (
	lingerFor  = 150 * time.Microsecond
	lingerFrom = 8 // calls of the last two groups
)

// gather takes the calls that are there already, and those that come before the group may land. Those who were answered a
// moment ago get one chance to come back first.
func (w *writer) gather() {
	yielded, waited := false, false
	for len(w.group) < maxGroup && w.bytes < maxGroupBytes {
		select {
		case c := <-w.calls:
			w.take(c)
			continue
		default:
		}
		if !w.cleared {
			waited = w.awaitLandingOrCall() || waited
			continue
		}
		if yielded {
			break
		}
		yielded = true
		runtime.Gosched()
	}
	if waited {
		w.linger()
	}
	w.sizes[0], w.sizes[1] = w.sizes[1], len(w.group)
}

// awaitLandingOrCall waits until the group may land, or takes a call. It says whether something else was landing.
func (w *writer) awaitLandingOrCall() bool {
	select {
	case w.landing <- struct{}{}:
		w.cleared = true
		return false
	default:
	}
	select {
	case w.landing <- struct{}{}:
		w.cleared = true
	case c := <-w.calls:
		w.take(c)
	}
	return true
}

// linger takes the calls that come within a moment, if so many are to be expected.
func (w *writer) linger() {
	expected := min(w.sizes[0]+w.sizes[1], maxGroup)
	if expected < lingerFrom || len(w.group) >= expected {
		return
	}
	t := time.NewTimer(lingerFor)
	defer t.Stop()
	for len(w.group) < expected && w.bytes < maxGroupBytes {
		select {
		case c := <-w.calls:
			w.take(c)
		case <-t.C:
			return
		}
	}
}
