package http1

import (
	"sync/atomic"
	"time"
)

// watchEvery is how often the connections of running requests are looked at. A client that went away is noticed at the
// second look at the latest.
const watchEvery = 250 * time.Millisecond

// watch notices clients that go away while their request runs. A request that is over before two looks costs it nothing,
// and nothing is looked at while no request runs.
type watch struct {
	s     *Server
	awake atomic.Bool
	conns []*conn // reused
}

// Gone looks whether the client has gone, now and not when the watch does.
func (w *response) Gone() bool { return w.x.watchable.Load() && gone(w.c.raw) }

// wake is called when a request has begun.
func (w *watch) wake() {
	if !w.awake.Load() && w.awake.CompareAndSwap(false, true) {
		time.AfterFunc(watchEvery, w.look)
	}
}

// look cancels the requests whose clients have gone, and looks again later if any request runs.
func (w *watch) look() {
	running := false
	w.conns = w.s.crowd.conns(w.conns[:0])
	for _, c := range w.conns {
		x := c.current.Load()
		if x != nil {
			running = true
			if x == c.seen && x.watchable.Load() && gone(c.raw) {
				x.cancel()
			}
		}
		c.seen = x
	}
	clear(w.conns)
	if running {
		time.AfterFunc(watchEvery, w.look)
		return
	}
	w.awake.Store(false)
	for _, c := range w.s.crowd.conns(nil) { // one that began before awake was lowered did not wake us
		if c.current.Load() != nil {
			w.wake()
			return
		}
	}
}
