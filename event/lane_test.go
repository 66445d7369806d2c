package event

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/enfold-run/enfold/store"
)

// What begins while a pump comes to rest is the next pump's: it would lie there for seconds if the first one gave it back. A relay
// that stops gives it back.
func TestWaitsForTheNextPump(t *testing.T) {
	w := newWorld(t, map[string]Handler{"k": &script{}})
	d := &Delivery{Kind: "k", Target: "t", Scope: here}
	eventually(t, "the relay runs", func() bool { return w.relay.hasRoom(d.lane(), "k") })
	if err := w.db.Update(t.Context(), func(tx store.Tx) error { return w.out.Begin(tx, d) }); err != nil {
		t.Fatal(err)
	}
	l := newLane(w.relay, d.lane())
	l.waiting = []job{{*d.claimed, d}}
	l.quit(t.Context())
	if got := w.depth(d); got != (store.Depth{Claimed: 1}) || len(l.waiting) != 1 {
		t.Errorf("after a pump: depth %+v, %d wait; want one that is claimed and waits", got, len(l.waiting))
	}
	w.stop()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	l.quit(stopped)
	if got := w.depth(d); got != (store.Depth{Due: 1}) || len(l.waiting) != 0 {
		t.Errorf("after the last pump: depth %+v, %d wait; want one that is due", got, len(l.waiting))
	}
}

// A lane does not keep what it has begun.
func TestFillForgets(t *testing.T) {
	s := &script{places: 50}
	w := newWorld(t, map[string]Handler{"k": s})
	d := &Delivery{Kind: "k", Target: "t", Scope: here}
	eventually(t, "the relay runs", func() bool { return w.relay.hasRoom(d.lane(), "k") })
	l := newLane(w.relay, d.lane())
	array := make([]job, perProcessor)
	for i := range array {
		array[i] = job{store.Claimed{ID: "x", Receipt: "gone"}, &Delivery{Kind: "k", Target: "t", Scope: here}}
	}
	l.waiting = array
	l.fill(t.Context())
	for i, j := range array {
		if j.delivery != nil || j.claimed.ID != "" {
			t.Errorf("job %d is kept", i)
		}
	}
	eventually(t, "all are delivered", func() bool { got, _ := s.seen(); return len(got) == len(array) })
}

// What waits for a place of the relay, longer than a lease, is delivered once.
func TestPlacesOfTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{places: 5}
		w := newWorld(t, map[string]Handler{"k": s})
		defer func() { w.stop(); w.close() }()
		for range atOnce {
			w.relay.places <- struct{}{}
		}
		w.emit(&Delivery{Kind: "k", Target: "t"})
		time.Sleep(5 * lease)
		for range atOnce {
			<-w.relay.places
		}
		for !w.empty() {
			time.Sleep(time.Second)
		}
		if got, end := s.seen(); len(got) != 1 || len(end) != 1 {
			t.Errorf("tried %q, ended %q; want once", got, end)
		}
	})
}
