package sqlite

import (
	"database/sql/driver"
	"fmt"
	"io"
	"time"

	"github.com/enfold-run/enfold/store"
)

var (
	qLater     = &query{"SELECT seq, due, enqueued, tries FROM messages WHERE space = ? AND state = ? AND due >= ? AND due <= ?4 AND (due < ?4 OR seq < ?) ORDER BY due DESC, seq DESC LIMIT ?"}
	qAtOnce    = &query{"SELECT seq, due, enqueued, tries FROM messages WHERE space = ? AND state = ? AND due = 0 AND seq < ? ORDER BY seq DESC LIMIT ?"}
	qSetDue    = &query{"UPDATE messages SET state = ?, due = ? WHERE seq = ?"}
	delaySteps = []struct {
		state int64
		later bool // those with a time, or else those without
	}{{blocked, true}, {blocked, false}, {delayed, true}, {ready, false}}
)

// delayPlace is how far a Redelay has come: what it looks at, and the message that it looked at last. A message goes on to a later step
// only, so that what is claimed and unblocked in between is not missed; within a step the youngest are first, so that new ones are behind.
type delayPlace struct {
	step     int
	due, seq int64
}

var delayStart = delayPlace{0, never, never}

// Redelay is [store.Tx.Redelay].
func (t *txn) Redelay(queue string, s store.Scope, r store.Redelay) (string, error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return "", err
	}
	id, err := t.space(space{queues, queue, s})
	if err != nil || id == 0 {
		return "", err
	}
	at := delayStart
	if r.After != "" {
		if _, err := fmt.Sscanf(r.After, "%d.%d.%d", &at.step, &at.due, &at.seq); err != nil || at.step < 0 {
			return "", fmt.Errorf("redelay: the place %q is none", r.After)
		}
	}
	for left := r.Max; at.step < len(delaySteps); {
		if left <= 0 {
			return fmt.Sprintf("%d.%d.%d", at.step, at.due, at.seq), nil
		}
		all, more, err := t.undelivered(id, at, r.Since, left)
		if err != nil {
			return "", err
		}
		for _, m := range all {
			if err := t.redelay(id, delaySteps[at.step].state, m, r); err != nil {
				return "", err
			}
			at.due, at.seq = m.due, m.seq
		}
		left -= len(all)
		if !more {
			at = delayPlace{at.step + 1, never, never}
		}
	}
	return "", nil
}

// undelivered is a message that was perhaps never claimed.
type undelivered struct{ seq, due, enqueued, tries int64 }

// undelivered are the next messages of a step, and whether there may be more.
func (t *txn) undelivered(queue int64, at delayPlace, since time.Time, limit int) (all []undelivered, more bool, err error) {
	step, first := delaySteps[at.step], max(nanos(since), 1)
	q, args := qAtOnce, []any{queue, step.state, at.seq, int64(limit)}
	if step.later { // what was enqueued since is due since
		q, args = qLater, []any{queue, step.state, first, at.due, at.seq, int64(limit)}
	}
	more = true
	err = t.conn.each(q, func(row []driver.Value) error {
		m := undelivered{asInt(row[0]), asInt(row[1]), asInt(row[2]), asInt(row[3])}
		if m.enqueued < first && !step.later {
			more = false
			return io.EOF
		}
		all = append(all, m)
		return nil
	}, args...)
	return all, more && len(all) == limit, err
}

func (t *txn) redelay(queue, state int64, m undelivered, r store.Redelay) error {
	due, now := nanos(time.Unix(0, m.enqueued).Add(r.Delay)), state
	if due <= nanos(r.Now) && state != delayed { // the next claim makes those ready that were delayed
		due = 0
	}
	if m.tries > 0 || m.enqueued < nanos(r.Since) || due == m.due {
		return nil
	}
	if state == ready {
		now = delayed
		t.count(queue, ready, -1)
		t.count(queue, delayed, 1)
	}
	if now == delayed {
		t.writer.dues.note(queue, due)
	}
	_, err := t.conn.exec(qSetDue, now, due, m.seq)
	return err
}
