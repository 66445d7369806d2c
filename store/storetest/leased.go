package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// testEnqueueLeased adds messages that are claimed at once.
func testEnqueueLeased(t *testing.T, open Open) {
	s := opened(t, open)
	enqueue(t, s, store.Message{ID: "first"})
	began := time.Now()
	done := enqueue(t, s,
		store.Message{ID: "a", Lease: time.Hour},
		store.Message{ID: "b", Lease: time.Hour},
		store.Message{ID: "c", Lease: time.Hour, Body: make([]byte, 100_000)},
		store.Message{ID: "group", Lease: time.Hour, Group: "g"},
		store.Message{ID: "late", Lease: time.Hour, Due: began.Add(2 * time.Minute)},
		store.Message{ID: "dedup", Lease: time.Hour, Dedup: "d", DedupFor: time.Hour},
		store.Message{ID: "again", Lease: time.Hour, Dedup: "d", DedupFor: time.Hour})
	for i, leased := range []bool{true, true, true, false, false, true, false} {
		if got := done[i].Receipt != ""; got != leased {
			t.Errorf("message %d, %q: claimed is %v", i, done[i].ID, got)
		}
	}
	now := time.Now()
	wantDepth(t, s, now, store.Depth{Due: 2, Delayed: 1, Claimed: 4})
	wantClaim(t, claim(t, s, 10, now, time.Minute), "first/1 group/1")
	if err := ack(t, s, done[0].Receipt); err != nil {
		t.Errorf("ack: %v", err)
	}
	if err := ack(t, s, done[0].Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("second ack: %v", err)
	}
	if err := extend(t, s, done[1].Receipt, now.Add(3*time.Hour)); err != nil {
		t.Errorf("extend: %v", err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Return("q", here, done[5].Receipt, now) }); err != nil {
		t.Errorf("return: %v", err)
	}
	got := claim(t, s, 10, now, 4*time.Hour)
	wantClaim(t, got, "dedup/1")
	// The lease ends, and the next claim is the second try.
	got = claim(t, s, 10, now.Add(time.Hour+time.Minute), 3*time.Hour)
	wantClaim(t, got, "first/2 c/2 group/2 late/1")
	if n := len(got[1].Body); n != 100_000 {
		t.Errorf("a body of %d bytes", n)
	}
	if first := got[1].First; first.Before(began.Add(-time.Second)) || first.After(now.Add(time.Second)) {
		t.Errorf("claimed first at %v, want about %v", first, began)
	}
	if err := ack(t, s, done[2].Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("ack after another claim: %v", err)
	}
	wantClaim(t, claim(t, s, 10, now.Add(3*time.Hour+time.Second), time.Minute), "b/2")
}
