package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// together runs fn in n goroutines and waits for them.
func together(n int, fn func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { fn(i) })
	}
	group.Wait()
}

func number(tx store.Tx, key string) (int, store.Record, error) {
	r, err := tx.Get("t", here, key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, r, nil
	}
	if err != nil {
		return 0, r, err
	}
	n, err := strconv.Atoi(string(r.Value))
	return n, r, err
}

func setNumber(tx store.Tx, key string, n int, c store.Cond) error {
	_, err := tx.Put("t", here, key, strconv.AppendInt(nil, int64(n), 10), c)
	return err
}

// Read, add one, write, without a condition: a lost update would be missing at the end.
func testCounters(t *testing.T, open Open) {
	s := opened(t, open)
	const callers, rounds = 32, 40
	together(callers, func(i int) {
		key := fmt.Sprint("counter", i%3)
		for range rounds {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				n, _, err := number(tx, key)
				if err != nil {
					return err
				}
				return setNumber(tx, key, n+1, store.Cond{})
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	total := 0
	view(t, s, func(tx store.Tx) error {
		total = 0
		for i := range 3 {
			n, _, err := number(tx, fmt.Sprint("counter", i))
			if err != nil {
				return err
			}
			total += n
		}
		return nil
	})
	if total != callers*rounds {
		t.Errorf("counted %d, want %d", total, callers*rounds)
	}
}

// Read in a View, write in an Update if nobody else did meanwhile.
func testContended(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, here, "n", "0")
	var won, lost atomic.Int64
	together(16, func(int) {
		for range 20 {
			var n int
			var r store.Record
			err := s.View(t.Context(), func(tx store.Tx) (err error) {
				n, r, err = number(tx, "n")
				return err
			})
			if err == nil {
				err = s.Update(t.Context(), func(tx store.Tx) error { return setNumber(tx, "n", n+1, store.IfVersion(r.Version)) })
			}
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		}
	})
	if got := get(t, s, here, "n"); got != fmt.Sprint(won.Load()) {
		t.Errorf("value %s after %d that won and %d that lost", got, won.Load(), lost.Load())
	}
	if won.Load() == 0 {
		t.Error("nobody won")
	}
	t.Logf("%d won, %d lost", won.Load(), lost.Load())
}

// Money moves between accounts while others count it: every snapshot has all of it.
func testTransfers(t *testing.T, open Open) {
	s := opened(t, open)
	const accounts, each = 300, 100
	update(t, s, func(tx store.Tx) error {
		for i := range accounts {
			if err := setNumber(tx, fmt.Sprintf("a%03d", i), each, store.Cond{}); err != nil {
				return err
			}
		}
		return nil
	})
	var busy atomic.Int64
	busy.Store(8)
	together(12, func(i int) {
		if i >= 8 {
			for busy.Load() > 0 {
				countMoney(t, s, accounts, accounts*each)
			}
			return
		}
		defer busy.Add(-1)
		for range 60 {
			from, to := fmt.Sprintf("a%03d", rand.IntN(accounts)), fmt.Sprintf("a%03d", rand.IntN(accounts))
			if err := s.Update(t.Context(), func(tx store.Tx) error { return transfer(tx, from, to) }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	countMoney(t, s, accounts, accounts*each)
}

func transfer(tx store.Tx, from, to string) error {
	n, _, err := number(tx, from)
	if err != nil {
		return err
	}
	if err := setNumber(tx, from, n-1, store.Cond{}); err != nil {
		return err
	}
	if n, _, err = number(tx, to); err != nil {
		return err
	}
	return setNumber(tx, to, n+1, store.Cond{})
}

func countMoney(t *testing.T, s store.Store, accounts, want int) {
	err := s.View(t.Context(), func(tx store.Tx) error {
		n, total := 0, 0
		for r, err := range tx.Scan("t", here, store.Range{}) {
			if err != nil {
				return err
			}
			v, err := strconv.Atoi(string(r.Value))
			if err != nil {
				return err
			}
			n, total = n+1, total+v
		}
		if n != accounts || total != want {
			t.Errorf("a snapshot has %d in %d accounts, want %d in %d", total, n, want, accounts)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Callers that fail, panic or fill a space nobody had share groups with callers that do not: each gets its own outcome.
func testNeighbours(t *testing.T, open Open) {
	s := opened(t, open)
	odd := errors.New("odd")
	const callers, rounds = 24, 15
	together(callers, func(i int) {
		for r := range rounds {
			table, key := fmt.Sprintf("t%d", (i+r)%7), fmt.Sprintf("%d-%d", i, r)
			err := neighbour(s, t, table, key, i%3, odd)
			if want := map[int]error{0: nil, 1: odd, 2: odd}[i%3]; !errors.Is(err, want) {
				t.Errorf("caller %d: got %v, want %v", i, err, want)
			}
		}
	})
	view(t, s, func(tx store.Tx) error {
		for i := range callers {
			for r := range rounds {
				_, err := tx.Get(fmt.Sprintf("t%d", (i+r)%7), here, fmt.Sprintf("%d-%d", i, r))
				if i%3 == 0 && err != nil || i%3 != 0 && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("row %d of caller %d, which %s: %v", r, i, []string{"succeeds", "fails", "panics"}[i%3], err)
				}
			}
		}
		d, err := tx.Depth("q", here, noon)
		if want := int64(callers / 3 * rounds); d.Due != want {
			t.Errorf("%d messages, want %d", d.Due, want)
		}
		return err
	})
}

func neighbour(s store.Store, t *testing.T, table, key string, kind int, odd error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err, _ = v.(error)
		}
	}()
	return s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Put(table, here, key, []byte(key), store.Cond{}); err != nil {
			return err
		}
		if _, err := tx.Enqueue("q", here, store.Message{ID: key}); err != nil {
			return err
		}
		switch kind {
		case 1:
			return odd
		case 2:
			panic(odd)
		}
		return nil
	})
}

// Every message is taken once, and those of a group in their order.
func testProducersConsumers(t *testing.T, open Open) {
	s := opened(t, open)
	const producers, consumers, each = 6, 6, 60
	var left atomic.Int64
	left.Store(producers * each)
	var mu sync.Mutex
	taken := make(map[string]int)
	last := make(map[string]int64)
	take := func(m store.Claimed) {
		mu.Lock()
		defer mu.Unlock()
		taken[m.ID]++
		if m.Group != "" && m.Sequence <= last[m.Group] {
			t.Errorf("group %s: message %d after %d", m.Group, m.Sequence, last[m.Group])
		}
		last[m.Group] = m.Sequence
	}
	together(producers+consumers, func(i int) {
		if i < producers {
			for n := range each {
				m := store.Message{ID: fmt.Sprintf("%d-%d", i, n), Group: []string{"", "x", "y"}[n%3]}
				if err := s.Update(t.Context(), func(tx store.Tx) error { return second(tx.Enqueue("q", here, m)) }); err != nil {
					t.Error(err)
				}
			}
			return
		}
		for left.Load() > 0 && !t.Failed() {
			left.Add(-int64(consume(t, s, 1+i%4, take)))
		}
	})
	for id, n := range taken {
		if n != 1 {
			t.Errorf("message %s was taken %d times", id, n)
		}
	}
	if len(taken) != producers*each {
		t.Errorf("%d messages were taken, want %d", len(taken), producers*each)
	}
	wantDepth(t, s, time.Now(), store.Depth{})
}

func consume(t *testing.T, s store.Store, limit int, take func(store.Claimed)) int {
	var got []store.Claimed
	err := s.Update(t.Context(), func(tx store.Tx) (err error) {
		got, err = tx.Claim("q", here, limit, time.Now(), time.Hour)
		return err
	})
	if err != nil {
		t.Error(err)
		return 0
	}
	for _, m := range got {
		take(m)
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Ack("q", here, m.Receipt) }); err != nil {
			t.Errorf("ack: %v", err)
		}
	}
	return len(got)
}
