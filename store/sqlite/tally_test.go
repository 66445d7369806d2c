package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// tallied are the tallies of all queues, and what they should be.
func tallied(t *testing.T, s *db) (got, want map[int64]tally) {
	t.Helper()
	got, want = map[int64]tally{}, map[int64]tally{}
	c, err := s.writer.file.connect()
	if err != nil {
		t.Fatal(err)
	}
	err = c.each(&query{"SELECT space, state, count(*) FROM messages WHERE space IN (SELECT id FROM spaces WHERE kind = 3) GROUP BY 1, 2"}, func(row []driver.Value) error {
		n := want[asInt(row[0])]
		n[asInt(row[1])] = asInt(row[2])
		want[asInt(row[0])] = n
		return nil
	})
	err = errors.Join(err, c.each(&query{"SELECT space, delayed, ready, blocked, leased FROM counters WHERE space IN (SELECT id FROM spaces WHERE kind = 3)"}, func(row []driver.Value) error {
		n := tally{asInt(row[1]), asInt(row[2]), asInt(row[3]), asInt(row[4])}
		if n != (tally{}) {
			got[asInt(row[0])] = n
		}
		return nil
	}), c.close())
	if err != nil {
		t.Fatal(err)
	}
	return got, want
}

// tallyGame does things to queues at random.
type tallyGame struct {
	r        *rand.Rand
	now      time.Time
	receipts []string
}

func (g *tallyGame) step(tx store.Tx) error {
	q := fmt.Sprint("q", g.r.IntN(2))
	g.now = g.now.Add(time.Duration(g.r.IntN(20)) * time.Second)
	receipt := ""
	if len(g.receipts) > 0 {
		receipt = g.receipts[g.r.IntN(len(g.receipts))] // an old one more often than not
	}
	var err error
	switch n := g.r.IntN(40); {
	case n < 14:
		m := store.Message{Group: []string{"", "", "a", "b"}[g.r.IntN(4)], Lease: time.Duration(g.r.IntN(3)) * time.Minute}
		if g.r.IntN(3) == 0 {
			m.Due = g.now.Add(time.Duration(g.r.IntN(60)-10) * time.Second)
		}
		_, err = tx.Enqueue(q, scope, m, m)
	case n < 24:
		claim := tx.Claim
		if n%2 == 0 {
			claim = tx.ClaimRuns
		}
		var all []store.Claimed
		all, err = claim(q, scope, 1+g.r.IntN(4), g.now, time.Duration(g.r.IntN(40))*time.Second)
		for _, m := range all {
			g.receipts = append(g.receipts, m.Receipt)
		}
	case n < 30:
		err = tx.Ack(q, scope, receipt)
	case n < 34:
		err = tx.Extend(q, scope, receipt, g.now.Add(time.Duration(g.r.IntN(40))*time.Second))
	case n < 37:
		err = tx.Return(q, scope, receipt, g.now)
	case n < 39:
		_, err = tx.Expire(q, scope, 2, g.now, g.now.Add(time.Hour))
	case g.r.IntN(20) == 0:
		err = tx.Purge(q, scope)
	}
	if errors.Is(err, store.ErrLease) {
		return nil
	}
	return err
}

// The tallies are what counting would find, whatever was done and undone, alone or in a group.
func TestTallies(t *testing.T) {
	s := openWith(t, Options{noSync: true})
	g := &tallyGame{r: rand.New(rand.NewPCG(1, 2)), now: time.Now()}
	refusal := errors.New("no")
	one := func(tx store.Tx) error { // one at a time runs
		for range 1 + g.r.IntN(3) {
			if err := g.step(tx); err != nil {
				return err
			}
		}
		if g.r.IntN(5) == 0 {
			return refusal
		}
		return nil
	}
	for round := range 5 {
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for range 150 {
					if err := s.Update(context.Background(), one); err != nil && !errors.Is(err, refusal) {
						t.Error(err)
						return
					}
				}
			})
		}
		callers.Wait()
		if got, want := tallied(t, s); !maps.Equal(got, want) {
			t.Fatalf("in round %d the tallies are %v, counted are %v", round, got, want)
		}
	}
}
