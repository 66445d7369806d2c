package event

import (
	"errors"
	"math/rand/v2"
	"time"
)

// How a target is tried that had no room.
const (
	firstHold   = 50 * time.Millisecond
	longestHold = 5 * time.Second
	raiseEvery  = time.Second
)

// room is how many tries at once a lane's target was found to have room for. What finds none stays where it is in the queue, and the
// lane tries less at once: with a back-off of its own, each event would wait twice as long as before while the target has long had
// room again.
type room struct {
	most   int // 0: for as many as the lane may have
	raised time.Time
	until  time.Time // nothing begins before: there was no room for a single one
	holds  int       // in a row
}

// full notes that a try found no room beside others. It answers for how long nothing begins.
func (r *room) full(now time.Time, others int) (hold time.Duration) {
	r.most, r.raised = max(others, 1), now
	if others > 0 {
		return 0 // one of them ends
	}
	hold = min(firstHold<<min(r.holds, 10), longestHold)
	hold = hold/2 + rand.N(hold/2)
	r.holds++
	r.until = now.Add(hold)
	return hold
}

// found notes that a try found room, of a lane that may have limit at once.
func (r *room) found(now time.Time, limit int) {
	r.holds, r.until = 0, time.Time{}
	if r.most == 0 || now.Sub(r.raised) < raiseEvery {
		return
	}
	r.raised = now
	if r.most += max(r.most/4, 1); r.most >= limit {
		r.most = 0
	}
}

// free is how many tries may begin beside those that run, of a lane that may have limit at once.
func (r *room) free(now time.Time, limit, running int) int {
	if now.Before(r.until) {
		return 0
	}
	if r.most > 0 {
		limit = min(limit, r.most)
	}
	return max(limit-running, 0)
}

type busy struct{ error }

func (b busy) Unwrap() error { return b.error }

// Busy wraps the error of a try that found no room at its target. It does not count, and is made again when another of the same
// target has ended, or a moment later: after 50 milliseconds at first and 5 seconds at most.
func Busy(err error) error { return busy{err} }

func isBusy(err error) bool {
	var b busy
	return errors.As(err, &b)
}
