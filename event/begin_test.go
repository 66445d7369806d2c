package event

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// counted is a store that counts claims that found something, and transactions.
type counted struct {
	store.Store
	claims, updates atomic.Int64
}

type countedTx struct {
	store.Tx
	s *counted
}

func (s *counted) Update(ctx context.Context, fn func(store.Tx) error) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, func(tx store.Tx) error { return fn(countedTx{tx, s}) })
}

func (tx countedTx) Claim(queue string, sc store.Scope, most int, now time.Time, lease time.Duration) ([]store.Claimed, error) {
	got, err := tx.Tx.Claim(queue, sc, most, now, lease)
	tx.s.claims.Add(int64(len(got)))
	return got, err
}

// begin stores a delivery as a caller does that wants it to begin.
func (w *world) begin(d *Delivery) {
	w.t.Helper()
	d.Scope = here
	if err := w.db.Update(w.t.Context(), func(tx store.Tx) error { return w.out.Begin(tx, d) }); err != nil {
		w.t.Fatal(err)
	}
	w.out.Wake(d)
}

func (w *world) depth(d *Delivery) (depth store.Depth) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx store.Tx) (err error) {
		depth, err = tx.Depth(d.lane().queue, here, time.Now())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return depth
}

// What begins is delivered once and settled, and nobody claims it.
func TestBegin(t *testing.T) {
	h := &script{places: 50}
	w := newWorld(t, map[string]Handler{"k": h})
	w.stop()
	db := &counted{Store: w.db}
	w.db = db
	w.start(map[string]Handler{"k": h})
	w.begin(&Delivery{Kind: "k", Target: "t", Payload: []byte("first")}) // the relay may not run yet, and this is claimed then
	eventually(t, "the relay runs", func() bool { _, end := h.seen(); return len(end) == 1 && w.empty() })
	before := db.claims.Load()
	const n = 50
	for i := range n {
		d := &Delivery{Kind: "k", Target: "t", Scope: here, Payload: fmt.Append(nil, i)}
		eventually(t, "there is room", func() bool { return w.relay.hasRoom(d.lane(), "k") }) // what has none is claimed
		w.begin(d)
	}
	eventually(t, "all are delivered and settled", func() bool { _, end := h.seen(); return len(end) >= n+1 && w.empty() })
	if got, _ := h.seen(); len(got) != n+1 {
		t.Errorf("%d tries of %d deliveries", len(got), n+1)
	}
	if claims := db.claims.Load() - before; claims > 0 {
		t.Errorf("%d deliveries were claimed by transactions of their own", claims)
	}
}

// However many begin at once, a lane has no more under way than it has places, and the others come to their turn.
func TestBeginKeepsPlaces(t *testing.T) {
	var mu sync.Mutex
	under, most := 0, 0
	h := &script{places: 3, deliver: func(context.Context, *Delivery) error {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		mu.Lock()
		under--
		mu.Unlock()
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": h})
	const n = 100
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { w.begin(&Delivery{Kind: "k", Target: "t", Payload: fmt.Append(nil, i)}) })
	}
	all.Wait()
	eventually(t, "all are delivered", func() bool { _, end := h.seen(); return len(end) >= n && w.empty() })
	if got, _ := h.seen(); len(got) != n {
		t.Errorf("%d tries of %d deliveries", len(got), n)
	}
	if most > 3 {
		t.Errorf("%d under way at once, there are 3 places", most)
	}
}

// A delivery that begins and is not heard of again, because its process ended, is tried when its lease ends; one of a group, one
// that is not due yet and one that nobody here can handle are not claimed to begin with.
func TestBeginAndNoMore(t *testing.T) {
	w := newWorld(t, map[string]Handler{"k": &script{}, "g": &script{}, "n": &script{}})
	d := &Delivery{Kind: "k", Target: "t", Scope: here}
	others := []*Delivery{
		{Kind: "g", Target: "t", Scope: here, Group: "g"},
		{Kind: "n", Target: "t", Scope: here, NotYet: time.Now().Add(time.Hour)},
		{Kind: "unknown", Target: "t", Scope: here},
	}
	eventually(t, "the relay runs", func() bool { return w.relay.hasRoom(d.lane(), "k") })
	err := w.db.Update(t.Context(), func(tx store.Tx) error {
		for _, other := range others {
			if err := w.out.Begin(tx, other); err != nil {
				return err
			}
			if other.claimed != nil {
				t.Errorf("%s was claimed", other.Kind)
			}
		}
		return w.out.Begin(tx, d)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.depth(d); got != (store.Depth{Claimed: 1}) {
		t.Errorf("depth %+v, want one that is claimed", got)
	}
	var again []store.Claimed
	err = w.db.Update(t.Context(), func(tx store.Tx) (err error) {
		again, err = tx.Claim(d.lane().queue, here, 10, time.Now().Add(lease+time.Second), lease)
		return err
	})
	if err != nil || len(again) != 1 || again[0].ID != d.ID || again[0].Tries != 2 {
		t.Errorf("claimed after the lease: %+v, %v", again, err)
	}
}

// What began when the relay had to stop is for the next one at once.
func TestBeginAndStop(t *testing.T) {
	h := &script{}
	w := newWorld(t, map[string]Handler{"k": h})
	d := &Delivery{Kind: "k", Target: "t", Scope: here}
	eventually(t, "the relay runs", func() bool { return w.relay.hasRoom(d.lane(), "k") })
	oops := errors.New("oops")
	err := w.db.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(w.out.Begin(tx, &Delivery{Kind: "k", Target: "t", Scope: here}), oops)
	})
	if !errors.Is(err, oops) {
		t.Fatal(err)
	}
	if err := w.db.Update(t.Context(), func(tx store.Tx) error { return w.out.Begin(tx, d) }); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.out.Wake(d)
	if got := w.depth(d); got != (store.Depth{Due: 1}) {
		t.Errorf("depth %+v, want one that is due", got)
	}
	w.start(map[string]Handler{"k": h})
	eventually(t, "it is delivered", func() bool { _, end := h.seen(); return len(end) == 1 && w.empty() })
}

// Endings that are settled together end each by itself: one whose claim was lost leaves the others alone, and so does one whose
// settling fails.
func TestSettledTogether(t *testing.T) {
	bad := make(chan struct{})
	h := &script{places: 50}
	w := newWorld(t, map[string]Handler{"k": &refusing{h, func(d *Delivery) bool {
		select {
		case <-bad:
			return false
		default:
			return string(d.Payload) == "bad"
		}
	}}})
	for i := range 20 {
		w.begin(&Delivery{Kind: "k", Target: "t", Payload: fmt.Append(nil, i)})
	}
	w.begin(&Delivery{Kind: "k", Target: "t", Payload: []byte("bad")})
	for i := range 20 {
		w.begin(&Delivery{Kind: "k", Target: "t", Payload: fmt.Append(nil, i)})
	}
	d := &Delivery{Kind: "k", Target: "t", Scope: here}
	eventually(t, "all but one are settled", func() bool { depth := w.depth(d); return depth.Claimed == 1 && depth.Due == 0 })
	close(bad)
	eventually(t, "the last is settled", w.empty)
	if got, _ := h.seen(); len(got) != 41 {
		t.Errorf("%d tries of 41 deliveries", len(got))
	}
}
