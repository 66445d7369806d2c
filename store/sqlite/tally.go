package sqlite

import (
	"time"

	"github.com/enfold-run/enfold/store"
)

// A tally is how many messages of a queue are in each state. The counters table has it, because to count a million messages takes
// seconds; a group of transactions writes each queue's once.
type tally [4]int64

var (
	qTally     = &query{"SELECT delayed, ready, blocked, leased FROM counters WHERE space = ?"}
	qAddTally  = &query{"INSERT INTO counters (space, value, delayed, ready, blocked, leased) VALUES (?, 0, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET delayed = delayed + excluded.delayed, ready = ready + excluded.ready, blocked = blocked + excluded.blocked, leased = leased + excluded.leased"}
	qDropTally = &query{"DELETE FROM counters WHERE space = ?"}
	qDueNow    = &query{"SELECT (SELECT count(*) FROM messages WHERE space = ?1 AND state = 0 AND due <= ?2), (SELECT count(*) FROM messages WHERE space = ?1 AND state = 3 AND due <= ?2), (SELECT count(*) FROM messages WHERE space = ?1 AND state = 2 AND due > ?2)"}
)

// tallies are what is not written yet, by queue.
type tallies map[int64]*tally

func (ts *tallies) add(queue int64, by *tally) {
	if *ts == nil {
		*ts = tallies{}
	}
	sum := (*ts)[queue]
	if sum == nil {
		sum = new(tally)
		(*ts)[queue] = sum
	}
	sum.add(by)
}

func (t *tally) add(by *tally) {
	for state, n := range by {
		t[state] += n
	}
}

// count says that the transaction put n messages into a state, or took them out if n is negative.
func (t *txn) count(queue, state, n int64) {
	var by tally
	by[state] = n
	t.tallies.add(queue, &by)
}

// saveTallies writes what the transactions of the group counted.
func (w *writer) saveTallies() error {
	for queue, n := range w.tallies {
		if *n == (tally{}) {
			continue
		}
		if _, err := w.conn.exec(qAddTally, queue, n[delayed], n[ready], n[blocked], n[leased]); err != nil {
			return err
		}
	}
	return nil
}

// tally is how many messages of a queue the transaction sees in each state.
func (t *txn) tally(queue int64) (sum tally, err error) {
	row, ok, err := t.conn.one(qTally, queue)
	if err != nil {
		return sum, err
	}
	if ok {
		for state := range sum {
			sum[state] = asInt(row[state])
		}
	}
	if by := t.tallies[queue]; by != nil {
		sum.add(by)
	}
	if t.writer != nil && t.writer.tallies[queue] != nil {
		sum.add(t.writer.tallies[queue])
	}
	return sum, nil
}

// Depth is [store.Tx.Depth]. It counts what no claim has made ready yet, and reads the rest.
func (t *txn) Depth(queue string, s store.Scope, now time.Time) (store.Depth, error) {
	id, err := t.queue(queue, s)
	if err != nil || id == 0 {
		return store.Depth{}, err
	}
	sum, err := t.tally(id)
	if err != nil || sum == (tally{}) {
		return store.Depth{}, err
	}
	row, _, err := t.conn.one(qDueNow, id, nanos(now))
	if err != nil {
		return store.Depth{}, err
	}
	due, over, later := asInt(row[0]), asInt(row[1]), asInt(row[2])
	return store.Depth{
		Due: sum[ready] + due + over + sum[blocked] - later, Delayed: sum[delayed] - due + later, Claimed: sum[leased] - over,
	}, nil
}
