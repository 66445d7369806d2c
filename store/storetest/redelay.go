package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// redelay gives the messages that were enqueued since noon another delay, so many in each transaction. It answers how many there were.
func redelay(t *testing.T, s store.Store, now time.Time, delay time.Duration, piece int) (pieces int) {
	t.Helper()
	r := store.Redelay{Delay: delay, Since: noon, Now: now, Max: piece}
	for pieces = 1; ; pieces++ {
		update(t, s, func(tx store.Tx) (err error) {
			next := r
			next.After, err = tx.Redelay("q", here, r)
			r = next
			return err
		})
		if r.After == "" {
			return pieces
		}
		if pieces > 100 {
			t.Fatalf("it does not end: %+v", r)
		}
	}
}

// testRedelay: another delay holds for all that was enqueued since and never claimed, in the order of their groups.
func testRedelay(t *testing.T, open Open) {
	for _, piece := range []int{1, 3, 1000} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			s := opened(t, open)
			at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
			for i, id := range []string{"a1", "a2", "b1", "c1", "a3", "c2"} {
				enqueue(t, s, store.Message{ID: id, Group: id[:1], Enqueued: at(i)})
			}
			enqueue(t, s, store.Message{ID: "x", Enqueued: at(6), Due: at(7)})
			wantClaim(t, claimRuns(t, s, 2, at(6), 3*time.Second), "a1/1 a2/1") // until 9
			wantDepth(t, s, at(6), store.Depth{Due: 4, Delayed: 1, Claimed: 2})

			redelay(t, s, at(6), time.Minute, piece)
			wantDepth(t, s, at(6), store.Depth{Delayed: 5, Claimed: 2})
			wantClaim(t, claimRuns(t, s, 9, at(6), time.Hour), "")
			wantClaim(t, claimRuns(t, s, 9, at(9), 100*time.Second), "a1/2 a2/2") // that they were delayed is over
			wantClaim(t, claimRuns(t, s, 9, at(61), time.Hour), "")
			wantClaim(t, claimRuns(t, s, 1, at(62), 0), "b1/1")

			redelay(t, s, at(62), 0, piece)
			wantDepth(t, s, at(62), store.Depth{Due: 5, Claimed: 2})
			wantClaim(t, claimRuns(t, s, 9, at(62), time.Hour), "b1/2 c1/1 c2/1 x/1")
			wantClaim(t, claimRuns(t, s, 9, at(109), time.Hour), "a1/3 a2/3 a3/1")
		})
	}
	t.Run("none", func(t *testing.T) {
		if n := redelay(t, opened(t, open), noon, time.Minute, 10); n != 1 {
			t.Errorf("a queue that is not there takes %d transactions", n)
		}
	})
	t.Run("many", func(t *testing.T) {
		s := opened(t, open)
		var all []store.Message
		for i := range 50 {
			all = append(all, store.Message{Group: fmt.Sprint(i % 5), Enqueued: noon.Add(-time.Hour)}) // long there
		}
		for i := range 10 {
			all = append(all, store.Message{Group: fmt.Sprint(i), Enqueued: noon})
		}
		enqueue(t, s, all...)
		if n := redelay(t, s, noon, time.Minute, 10); n > 4 {
			t.Errorf("10 of 60 messages take %d transactions of 10", n)
		}
		wantDepth(t, s, noon, store.Depth{Due: 50, Delayed: 10})
	})
}
