package sqlite

import (
	"database/sql/driver"
	"math"
	"time"
)

// A claim first makes the messages ready whose time has come, some at a time, because a statement that moves a million messages
// would hold up everybody: those that remain come with the next claim.
var (
	qPromote = &query{"UPDATE messages SET state = 1 + (grp <> ''), due = 0 WHERE seq IN (SELECT seq FROM messages WHERE space = ? AND state = ? AND due <= ? LIMIT 1000) RETURNING grp"}
	qSoonest = &query{"SELECT (SELECT min(due) FROM messages WHERE space = ?1 AND state = 0), (SELECT min(due) FROM messages WHERE space = ?1 AND state = 3)"}
)

// dues remembers of queues that no delayed or leased message of theirs is due before a time, so that a claim need not look for
// one: that was a third of what a claim cost. Only the writer changes messages. A queue that is not known has to be looked at.
type dues struct{ soonest map[int64]int64 }

// maxDues bounds what is remembered.
const maxDues = 10_000

// never is later than every time that a message can be due at.
const never = math.MaxInt64

func (d *dues) later(queue, now int64) bool {
	at, ok := d.soonest[queue]
	return ok && at > now
}

// note says that a message is due at a time. It need not become true.
func (d *dues) note(queue, at int64) {
	if old, ok := d.soonest[queue]; ok && at < old {
		d.soonest[queue] = at
	}
}

func (d *dues) know(queue, soonest int64) {
	if len(d.soonest) >= maxDues {
		clear(d.soonest)
	}
	d.soonest[queue] = soonest
}

// forget is for queues whose transaction was taken back: what was promoted in it waits again.
func (d *dues) forget(queues []int64) {
	for _, q := range queues {
		delete(d.soonest, q)
	}
}

func (d *dues) forgetAll() { clear(d.soonest) }

// promote makes the messages ready whose time has come. One of a group is, if it is now the first and none is claimed.
func (t *txn) promote(queue int64, now time.Time) error {
	dues := &t.writer.dues
	if dues.later(queue, nanos(now)) {
		return nil
	}
	dues.forget([]int64{queue})
	t.promoted = append(t.promoted, queue)
	var groups map[string]bool
	for _, state := range []int64{delayed, leased} {
		err := t.conn.each(qPromote, func(row []driver.Value) error {
			t.count(queue, state, -1)
			g := asText(row[0])
			if g == "" {
				t.count(queue, ready, 1)
				return nil
			}
			t.count(queue, blocked, 1)
			if groups == nil {
				groups = map[string]bool{}
			}
			groups[g] = true
			return nil
		}, queue, state, nanos(now))
		if err != nil {
			return err
		}
	}
	for g := range groups {
		if err := t.unblock(queue, g); err != nil {
			return err
		}
	}
	row, _, err := t.conn.one(qSoonest, queue)
	if err != nil {
		return err
	}
	soonest := int64(never)
	for _, v := range row {
		if due, ok := v.(int64); ok {
			soonest = min(soonest, due)
		}
	}
	dues.know(queue, soonest)
	return nil
}

// unblock makes the first of a group claimable, unless another of it is claimed.
func (t *txn) unblock(queue int64, group string) error {
	row, ok, err := t.conn.one(qUnblock, queue, group)
	if err != nil || !ok {
		return err
	}
	t.count(queue, blocked, -1)
	if due := asInt(row[0]); due != 0 {
		t.count(queue, delayed, 1)
		t.writer.dues.note(queue, due)
	} else {
		t.count(queue, ready, 1)
	}
	return nil
}
