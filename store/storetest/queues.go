package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

func enqueue(t *testing.T, s store.Store, m ...store.Message) []store.Enqueued {
	t.Helper()
	var done []store.Enqueued
	update(t, s, func(tx store.Tx) (err error) {
		done, err = tx.Enqueue("q", here, m...)
		return err
	})
	return done
}

func claim(t *testing.T, s store.Store, limit int, now time.Time, lease time.Duration) []store.Claimed {
	t.Helper()
	var got []store.Claimed
	update(t, s, func(tx store.Tx) (err error) {
		got, err = tx.Claim("q", here, limit, now, lease)
		return err
	})
	return got
}

func ids(cs []store.Claimed) string {
	var b []byte
	for _, c := range cs {
		b = fmt.Appendf(b, "%s/%d ", c.ID, c.Tries)
	}
	return string(bytes.TrimSpace(b))
}

func wantClaim(t *testing.T, got []store.Claimed, want string) {
	t.Helper()
	if ids(got) != want {
		t.Errorf("claimed %q, want %q", ids(got), want)
	}
}

func wantDepth(t *testing.T, s store.Store, now time.Time, want store.Depth) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		got, err := tx.Depth("q", here, now)
		if err == nil && got != want {
			t.Errorf("depth %+v, want %+v", got, want)
		}
		return err
	})
}

// ack and extend answer the error of one step on a receipt.
func ack(t *testing.T, s store.Store, receipt string) error {
	t.Helper()
	return s.Update(t.Context(), func(tx store.Tx) error { return tx.Ack("q", here, receipt) })
}

func extend(t *testing.T, s store.Store, receipt string, due time.Time) error {
	t.Helper()
	return s.Update(t.Context(), func(tx store.Tx) error { return tx.Extend("q", here, receipt, due) })
}

func testQueue(t *testing.T, open Open) {
	s := opened(t, open)
	done := enqueue(t, s,
		store.Message{ID: "a", Body: []byte("A")},
		store.Message{ID: "late", Due: noon.Add(time.Hour)},
		store.Message{ID: "b"},
		store.Message{})
	if len(done) != 4 || done[3].ID == "" {
		t.Fatalf("enqueued %+v: want four, the last with an id", done)
	}
	if !slices.IsSortedFunc(done, func(a, b store.Enqueued) int { return int(a.Sequence - b.Sequence) }) || done[0].Sequence <= 0 {
		t.Errorf("sequences %+v: want positive and growing", done)
	}
	update(t, s, func(tx store.Tx) error { // a queue of the same name elsewhere
		_, err := tx.Enqueue("q", there, store.Message{ID: "theirs"})
		return err
	})
	wantDepth(t, s, noon, store.Depth{Due: 3, Delayed: 1})
	got := claim(t, s, 2, noon, time.Minute)
	wantClaim(t, got, "a/1 b/1")
	if string(got[0].Body) != "A" || got[0].Sequence != done[0].Sequence || got[0].Enqueued.IsZero() {
		t.Errorf("claimed %+v", got[0])
	}
	wantDepth(t, s, noon, store.Depth{Due: 1, Delayed: 1, Claimed: 2})
	if err := ack(t, s, got[0].Receipt); err != nil {
		t.Errorf("ack: %v", err)
	}
	if err := ack(t, s, got[0].Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("second ack: %v", err)
	}
	for _, r := range []string{"", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA", done[1].ID} {
		if err := ack(t, s, r); !errors.Is(err, store.ErrLease) {
			t.Errorf("ack of %q: %v", r, err)
		}
	}
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Ack("q", there, got[1].Receipt) })
	if !errors.Is(err, store.ErrLease) {
		t.Errorf("ack from another account: %v", err)
	}
	wantClaim(t, claim(t, s, 9, noon.Add(time.Hour), time.Minute), "late/1 b/2 "+done[3].ID+"/1")
	update(t, s, func(tx store.Tx) error { return tx.Purge("q", here) })
	wantDepth(t, s, noon, store.Depth{})
	wantClaim(t, claim(t, s, 9, noon.Add(9*time.Hour), time.Minute), "")
	view(t, s, func(tx store.Tx) error {
		d, err := tx.Depth("q", there, noon)
		if d.Due != 1 {
			t.Errorf("the purge took the messages of another account: %+v", d)
		}
		return err
	})
	if more := enqueue(t, s, store.Message{}); more[0].Sequence <= done[3].Sequence {
		t.Errorf("sequence %d after a purge, want more than %d", more[0].Sequence, done[3].Sequence)
	}
}

func testLeases(t *testing.T, open Open) {
	s := opened(t, open)
	nextDue := func() (at time.Time) {
		t.Helper()
		view(t, s, func(tx store.Tx) (err error) {
			at, err = tx.NextDue("q", here)
			return err
		})
		return at
	}
	if at := nextDue(); !at.IsZero() {
		t.Errorf("next due of an empty queue: %v", at)
	}
	enqueue(t, s, store.Message{ID: "a"})
	if at := nextDue(); at.IsZero() || at.After(noon) {
		t.Errorf("next due of a message for at once: %v", at)
	}
	first := claim(t, s, 1, noon, time.Minute)
	wantClaim(t, first, "a/1")
	if at := nextDue(); !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("next due %v, want the end of the lease", at)
	}
	wantClaim(t, claim(t, s, 1, noon.Add(time.Minute-1), time.Minute), "")
	if err := extend(t, s, first[0].Receipt, noon.Add(time.Hour)); err != nil {
		t.Errorf("extend: %v", err)
	}
	wantClaim(t, claim(t, s, 1, noon.Add(time.Minute), time.Minute), "")
	if err := extend(t, s, first[0].Receipt, noon); err != nil {
		t.Errorf("extend to now: %v", err)
	}
	wantDepth(t, s, noon, store.Depth{Due: 1})
	second := claim(t, s, 1, noon, time.Minute)
	wantClaim(t, second, "a/2")
	if err := ack(t, s, first[0].Receipt); !errors.Is(err, store.ErrLease) {
		t.Errorf("ack of a claim that another followed: %v", err)
	}
	if err := extend(t, s, first[0].Receipt, noon); !errors.Is(err, store.ErrLease) {
		t.Errorf("extend of a claim that another followed: %v", err)
	}
	if err := ack(t, s, second[0].Receipt); err != nil {
		t.Errorf("ack: %v", err)
	}
	if err := extend(t, s, second[0].Receipt, noon); !errors.Is(err, store.ErrLease) {
		t.Errorf("extend after ack: %v", err)
	}
}

func testGroups(t *testing.T, open Open) {
	s := opened(t, open)
	enqueue(t, s,
		store.Message{ID: "a1", Group: "a"},
		store.Message{ID: "a2", Group: "a"},
		store.Message{ID: "b1", Group: "b", Due: noon.Add(time.Minute)},
		store.Message{ID: "b2", Group: "b"},
		store.Message{ID: "x"})
	wantDepth(t, s, noon, store.Depth{Due: 4, Delayed: 1})
	got := claim(t, s, 9, noon, time.Second)
	wantClaim(t, got, "a1/1 x/1")
	wantClaim(t, claim(t, s, 9, noon, time.Second), "")
	wantClaim(t, claim(t, s, 1, noon.Add(time.Second), time.Hour), "a1/2")
	enqueue(t, s, store.Message{ID: "a3", Group: "a"})
	got = claim(t, s, 9, noon.Add(time.Hour), time.Hour)
	wantClaim(t, got, "b1/1 x/2") // a1 still has its lease, for one second
	now := noon.Add(time.Hour)
	if err := ack(t, s, got[0].Receipt); err != nil {
		t.Fatal(err)
	}
	got = claim(t, s, 9, now.Add(time.Second), time.Hour)
	wantClaim(t, got, "a1/3 b2/1")
	for _, want := range []string{"a2/1", "a3/1", ""} {
		if err := ack(t, s, got[0].Receipt); err != nil {
			t.Fatal(err)
		}
		got = claim(t, s, 9, now.Add(time.Second), time.Hour)
		wantClaim(t, got, want)
	}
}

func testDedup(t *testing.T, open Open) {
	s := opened(t, open)
	m := func(id, dedup string, d time.Duration) store.Message {
		return store.Message{ID: id, Dedup: dedup, DedupFor: d}
	}
	first := enqueue(t, s, m("a", "x", time.Hour), m("b", "x", time.Hour), m("c", "y", time.Hour))
	if first[0].Duplicate || !first[1].Duplicate || first[1].ID != "a" || first[1].Sequence != first[0].Sequence || first[2].Duplicate {
		t.Errorf("enqueued %+v: want the second to be the first again", first)
	}
	got := claim(t, s, 9, noon, time.Minute)
	wantClaim(t, got, "a/1 c/1")
	if err := ack(t, s, got[0].Receipt); err != nil {
		t.Fatal(err)
	}
	if again := enqueue(t, s, m("d", "x", time.Hour)); !again[0].Duplicate || again[0].ID != "a" {
		t.Errorf("enqueued %+v after the first was removed: want a duplicate", again)
	}
	update(t, s, func(tx store.Tx) error {
		done, err := tx.Enqueue("q", there, m("e", "x", time.Hour))
		if err == nil && done[0].Duplicate {
			err = errors.New("a deduplication id holds in another account")
		}
		return err
	})
	undo := errors.New("undo")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Enqueue("q", here, m("f", "z", time.Hour)); err != nil {
			return err
		}
		return undo
	})
	if done := enqueue(t, s, m("g", "z", time.Hour)); !errors.Is(err, undo) || done[0].Duplicate {
		t.Errorf("the id of a transaction that was undone holds: %+v, %v", done, err)
	}
	short := 20 * time.Millisecond
	enqueue(t, s, m("h", "w", short))
	time.Sleep(2 * short)
	if done := enqueue(t, s, m("i", "w", short)); done[0].Duplicate {
		t.Errorf("the id holds after its time: %+v", done)
	}
	update(t, s, func(tx store.Tx) error { return tx.Purge("q", here) })
	if done := enqueue(t, s, m("j", "x", time.Hour)); done[0].Duplicate {
		t.Errorf("the id holds after a purge: %+v", done)
	}
}

func testLargeBodies(t *testing.T, open Open) {
	s := opened(t, open)
	body := func(i, n int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, n) }
	sizes := []int{0, 1, 2047, 2048, 2049, 100_000, 6 << 20}
	for i, n := range sizes {
		enqueue(t, s, store.Message{ID: fmt.Sprint(i), Body: body(i, n)})
	}
	for try := range 2 {
		got := claim(t, s, 100, noon.Add(time.Duration(try)*time.Hour), time.Minute)
		if len(got) != len(sizes) {
			t.Fatalf("claimed %d messages, want %d", len(got), len(sizes))
		}
		for i, m := range got {
			if !bytes.Equal(m.Body, body(i, sizes[i])) {
				t.Errorf("body of %d bytes came back as %d", sizes[i], len(m.Body))
			}
			if try == 1 && i%2 == 0 {
				if err := ack(t, s, m.Receipt); err != nil {
					t.Error(err)
				}
			}
		}
	}
	wantDepth(t, s, noon, store.Depth{Claimed: 3})
	update(t, s, func(tx store.Tx) error { return tx.Purge("q", here) })
	// A claim answers some, not all, of what would fill the memory.
	for range 5 {
		enqueue(t, s, store.Message{Body: make([]byte, store.MaxValue)}, store.Message{Body: make([]byte, 10)})
	}
	total, n := 0, 0
	for now := noon; n < 10; now = now.Add(time.Second) {
		got := claim(t, s, 1000, now, time.Hour)
		if len(got) == 0 {
			t.Fatalf("claimed %d messages of 10 and then none", n)
		}
		size := 0
		for _, m := range got {
			size += len(m.Body)
		}
		if size > 70<<20 {
			t.Errorf("one claim of %d MiB", size>>20)
		}
		n, total = n+len(got), total+size
	}
	if total != 5*(store.MaxValue+10) {
		t.Errorf("claimed %d bytes in all", total)
	}
}
