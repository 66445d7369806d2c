package sqs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/enfold-run/enfold/store"
)

const (
	maxWaiting = 20_000               // requests that wait for messages, of all queues
	soonest    = 5 * time.Millisecond // an alarm does not ring before
)

// rooms are the waiting rooms of queues, by the queues' ids.
type rooms struct {
	mu      sync.Mutex
	all     map[string]*room
	waiting atomic.Int64
}

func (rs *rooms) of(id string) *room {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.all[id]
	if r == nil {
		if rs.all == nil {
			rs.all = map[string]*room{}
		}
		r = &room{house: rs}
		rs.all[id] = r
	}
	return r
}

// close wakes everybody in the room of a queue that was deleted.
func (rs *rooms) close(id string) {
	rs.mu.Lock()
	r := rs.all[id]
	delete(rs.all, id)
	rs.mu.Unlock()
	if r != nil {
		r.notify(maxWaiting)
	}
}

// room is where requests wait for messages of one queue, in the order in which they came.
//
// A request enters before it looks for messages, so that it misses none that comes meanwhile. Each message that becomes
// visible wakes one. Who was woken and does not need the message, because it left or found another, wakes the next.
type room struct {
	house *rooms

	mu      sync.Mutex
	waiters []*waiter
	timer   *time.Timer
	rings   time.Time // when the timer does; zero if it is not set

	held    atomic.Int64 // messages in flight at most, if known
	known   atomic.Bool
	counted time.Time // when held was last counted
	last    store.Depth
	until   time.Time // last holds
}

type waiter struct {
	woken chan struct{} // holds one value when it was
	in    bool          // the room's list has it
}

// enter answers nil if too many wait already.
func (r *room) enter() *waiter {
	if r.house.waiting.Add(1) > maxWaiting {
		r.house.waiting.Add(-1)
		return nil
	}
	w := &waiter{woken: make(chan struct{}, 1), in: true}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = append(r.waiters, w)
	return w
}

// stay puts a waiter that was woken back into the room.
func (r *room) stay(w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !w.in {
		w.in = true
		r.waiters = append(r.waiters, w)
	}
}

// leave takes a waiter out. If it was woken since it last looked, another is woken in its place.
func (r *room) leave(w *waiter) {
	if w == nil {
		return
	}
	r.house.waiting.Add(-1)
	r.mu.Lock()
	for i, o := range r.waiters {
		if o == w {
			r.waiters = append(r.waiters[:i], r.waiters[i+1:]...)
			break
		}
	}
	w.in = false
	if len(r.waiters) == 0 && r.timer != nil {
		r.timer.Stop()
		r.rings = time.Time{}
	}
	r.mu.Unlock()
	select {
	case <-w.woken:
		r.notify(1)
	default:
	}
}

// notify wakes the n who wait longest.
func (r *room) notify(n int) {
	if n <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, len(r.waiters))
	for _, w := range r.waiters[:n] {
		w.in = false
		w.woken <- struct{}{}
	}
	r.waiters = append(r.waiters[:0], r.waiters[n:]...)
}

// alarm wakes one at a time at which a message becomes visible, if anybody waits.
func (r *room) alarm(at, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiters) == 0 || !r.rings.IsZero() && !at.Before(r.rings) {
		return
	}
	r.rings = at
	in := max(at.Sub(now), soonest)
	if r.timer == nil {
		r.timer = time.AfterFunc(in, r.ring)
	} else {
		r.timer.Reset(in)
	}
}

func (r *room) ring() {
	r.mu.Lock()
	r.rings = time.Time{}
	r.mu.Unlock()
	r.notify(1)
}

// depth is the last count if it still holds.
func (r *room) depth(now time.Time) (store.Depth, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, now.Before(r.until)
}

func (r *room) keepDepth(d store.Depth, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.until = d, until
}

// left says that messages are not in flight any more.
func (r *room) left(n int) { r.held.Add(int64(-n)) }
