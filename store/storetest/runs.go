package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

func claimRuns(t *testing.T, s store.Store, limit int, now time.Time, lease time.Duration) []store.Claimed {
	t.Helper()
	var got []store.Claimed
	update(t, s, func(tx store.Tx) (err error) {
		got, err = tx.ClaimRuns("q", here, limit, now, lease)
		return err
	})
	return got
}

// testRuns: several messages of a group under one claim, and none of it while any is claimed.
func testRuns(t *testing.T, open Open) {
	s := opened(t, open)
	var all []store.Message
	for _, id := range []string{"a1", "b1", "a2", "a3", "b2", "a4"} {
		all = append(all, store.Message{ID: id, Group: id[:1]})
	}
	all = append(all, store.Message{ID: "x"}, store.Message{ID: "c1", Group: "c"}, store.Message{ID: "c2", Group: "c", Due: noon.Add(time.Minute)}, store.Message{ID: "c3", Group: "c"})
	enqueue(t, s, all...)
	first := claimRuns(t, s, 3, noon, time.Minute)
	wantClaim(t, first, "a1/1 a2/1 a3/1")
	rest := claimRuns(t, s, 99, noon, time.Hour)
	wantClaim(t, rest, "b1/1 b2/1 x/1 c1/1") // c2 is not due, and c3 behind it
	wantClaim(t, claimRuns(t, s, 9, noon, time.Hour), "")
	for _, m := range first[:2] {
		if err := ack(t, s, m.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	wantClaim(t, claimRuns(t, s, 9, noon, time.Hour), "") // a3 holds the group
	wantClaim(t, claim(t, s, 9, noon, time.Hour), "")     // for a plain claim too
	late := noon.Add(time.Minute)
	wantClaim(t, claimRuns(t, s, 9, late, time.Hour), "a3/2 a4/1")
	if err := ack(t, s, first[2].Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("ack of a claim that another followed: %v", err)
	}
	if err := ack(t, s, rest[3].Receipt); err != nil {
		t.Fatal(err)
	}
	wantClaim(t, claimRuns(t, s, 9, late, time.Hour), "c2/1 c3/1")
}

// testRunsComeBack: those of a run that come back one by one are claimed in order, and not before all have come.
func testRunsComeBack(t *testing.T, open Open) {
	s := opened(t, open)
	for i := range 4 {
		enqueue(t, s, store.Message{ID: fmt.Sprint(i), Group: "g"})
	}
	run := claimRuns(t, s, 3, noon, time.Minute)
	wantClaim(t, run, "0/1 1/1 2/1")
	if err := extend(t, s, run[1].Receipt, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := extend(t, s, run[0].Receipt, noon); err != nil {
		t.Fatal(err)
	}
	now := noon.Add(2 * time.Minute)
	wantClaim(t, claimRuns(t, s, 9, now, time.Minute), "") // 1 is still claimed
	if err := ack(t, s, run[1].Receipt); err != nil {
		t.Fatal(err)
	}
	wantClaim(t, claim(t, s, 9, now, time.Minute), "0/2")
	wantClaim(t, claimRuns(t, s, 9, now.Add(time.Minute), time.Minute), "0/3 2/2 3/1")
}

func testReturn(t *testing.T, open Open) {
	s := opened(t, open)
	enqueue(t, s, store.Message{ID: "a"}, store.Message{ID: "b", Group: "g"}, store.Message{ID: "c", Group: "g"})
	first := claim(t, s, 9, noon, time.Hour)
	wantClaim(t, first, "a/1 b/1")
	if first[0].First.IsZero() || !first[0].First.Equal(noon) {
		t.Errorf("first claimed at %v", first[0].First)
	}
	giveBack := func(receipt string) error {
		return s.Update(t.Context(), func(tx store.Tx) error { return tx.Return("q", here, receipt, noon) })
	}
	for _, m := range first {
		if err := giveBack(m.Receipt); err != nil {
			t.Errorf("return: %v", err)
		}
		if err := giveBack(m.Receipt); !errors.Is(err, store.ErrLease) {
			t.Errorf("second return: %v", err)
		}
		if err := ack(t, s, m.Receipt); !errors.Is(err, store.ErrLease) {
			t.Errorf("ack of what was returned: %v", err)
		}
	}
	wantDepth(t, s, noon, store.Depth{Due: 3})
	count := func(limit, want int) {
		t.Helper()
		view(t, s, func(tx store.Tx) error {
			n, err := tx.CountClaimed("q", here, limit, noon)
			if err == nil && n != want {
				t.Errorf("%d are claimed, want %d", n, want)
			}
			return err
		})
	}
	count(9, 0)
	later := noon.Add(time.Second)
	again := claim(t, s, 9, later, time.Hour)
	wantClaim(t, again, "a/1 b/1")
	count(9, 2)
	count(1, 1)
	if !again[0].First.Equal(later) {
		t.Errorf("first claimed at %v, and the claim before was returned", again[0].First)
	}
	if err := extend(t, s, again[0].Receipt, later); err != nil {
		t.Fatal(err)
	}
	third := claim(t, s, 9, later, time.Hour)
	wantClaim(t, third, "a/2")
	if !third[0].First.Equal(later) {
		t.Errorf("first claimed at %v", third[0].First)
	}
	if err := giveBack(third[0].Receipt); err != nil {
		t.Fatal(err)
	}
	fourth := claim(t, s, 9, later, time.Hour)
	wantClaim(t, fourth, "a/2")
}

func testLookup(t *testing.T, open Open) {
	s := opened(t, open)
	lookup := func(receipt string) (until time.Time, err error) {
		view(t, s, func(tx store.Tx) error {
			until, err = tx.Lookup("q", here, receipt)
			return nil
		})
		return until, err
	}
	enqueue(t, s, store.Message{ID: "a"})
	first := claim(t, s, 1, noon, time.Minute)[0]
	if until, err := lookup(first.Receipt); err != nil || !until.Equal(noon.Add(time.Minute)) {
		t.Errorf("held until %v, %v", until, err)
	}
	if _, err := lookup("x"); !errors.Is(err, store.ErrLease) {
		t.Errorf("a receipt that is none: %v", err)
	}
	second := claim(t, s, 1, noon.Add(time.Minute), time.Minute)[0]
	if _, err := lookup(first.Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("a claim that another followed: %v", err)
	}
	if err := ack(t, s, second.Receipt); err != nil {
		t.Fatal(err)
	}
	if _, err := lookup(second.Receipt); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a message that is gone: %v", err)
	}
}

func testExpire(t *testing.T, open Open) {
	s := opened(t, open)
	old := noon.Add(-time.Hour)
	big := make([]byte, 10_000)
	enqueue(t, s,
		store.Message{ID: "old", Enqueued: old, Body: big}, store.Message{ID: "claimed", Enqueued: old},
		store.Message{ID: "g1", Group: "g", Enqueued: old}, store.Message{ID: "g2", Group: "g", Enqueued: noon},
		store.Message{ID: "late", Enqueued: old, Due: noon.Add(time.Hour)}, store.Message{ID: "new", Enqueued: noon},
		store.Message{ID: "behind", Enqueued: old})
	view(t, s, func(tx store.Tx) error {
		if at, err := tx.Oldest("q", here); err != nil || !at.Equal(old) {
			t.Errorf("oldest %v, %v", at, err)
		}
		if at, err := tx.Oldest("none", here); err != nil || !at.IsZero() {
			t.Errorf("oldest of no queue %v, %v", at, err)
		}
		return nil
	})
	first := claim(t, s, 1, noon, time.Hour)
	wantClaim(t, first, "old/1")
	second := claim(t, s, 1, noon, 2*time.Hour)
	wantClaim(t, second, "claimed/1")
	if err := extend(t, s, first[0].Receipt, noon); err != nil {
		t.Fatal(err)
	}
	expire := func(limit, want int) {
		t.Helper()
		update(t, s, func(tx store.Tx) error {
			n, err := tx.Expire("q", here, limit, noon, noon.Add(-time.Minute))
			if err == nil && n != want {
				t.Errorf("removed %d, want %d", n, want)
			}
			return err
		})
	}
	expire(1, 1)
	expire(9, 1)
	expire(9, 0)
	got := claim(t, s, 9, noon, time.Hour)
	wantClaim(t, got, "g2/1 new/1 behind/1")
	if !got[0].Enqueued.Equal(noon) || !got[2].Enqueued.Equal(old) {
		t.Errorf("enqueued %v and %v", got[0].Enqueued, got[2].Enqueued)
	}
	if err := ack(t, s, second[0].Receipt); err != nil {
		t.Error(err)
	}
}
