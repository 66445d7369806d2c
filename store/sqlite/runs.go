package sqlite

import (
	"cmp"
	"database/sql/driver"
	"io"
	"slices"
	"time"

	"github.com/enfold-run/enfold/store"
)

var (
	qHeads  = &query{"SELECT seq, grp FROM messages WHERE space = ? AND state = 1 ORDER BY due, seq LIMIT ?"}
	qBehind = &query{"SELECT seq, due FROM messages WHERE space = ? AND grp = ? AND grp <> '' AND state = 2 ORDER BY seq LIMIT ?"}
	qLine   = &query{"SELECT seq, id, grp, tries, enqueued, size, first, body FROM messages WHERE space = ? AND grp = ? AND grp <> '' AND state IN (1, 2) AND seq <= ?"}
	qOne    = &query{"SELECT seq, id, grp, tries, enqueued, size, first, body FROM messages WHERE seq = ?"}
	qRun    = &query{"UPDATE messages SET state = 3, due = ?, tries = tries + 1, token = ?, first = first + (first = 0) * ? WHERE space = ? AND grp = ? AND grp <> '' AND state IN (1, 2) AND seq <= ?"}
)

// ClaimRuns is [store.Tx.ClaimRuns].
func (t *txn) ClaimRuns(queue string, s store.Scope, limit int, now time.Time, lease time.Duration) ([]store.Claimed, error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return nil, err
	}
	id, err := t.space(space{queues, queue, s})
	if err != nil || id == 0 || limit <= 0 {
		return nil, err
	}
	limit = min(limit, fewMessages)
	if err := t.promote(id, now); err != nil {
		return nil, err
	}
	heads, err := t.heads(id, limit)
	if err != nil {
		return nil, err
	}
	c := newTaking(id, now, lease)
	t.writer.dues.note(id, c.due)
	for _, h := range heads {
		if len(c.claimed) >= limit {
			break
		}
		if err := t.takeRun(c, id, h, limit-len(c.claimed)); err != nil {
			return nil, err
		}
	}
	return c.claimed, c.fetch(t)
}

// head is the first message of a group, or one of no group.
type head struct {
	seq   int64
	group string
}

func (t *txn) heads(queue int64, limit int) (all []head, err error) {
	err = t.conn.each(qHeads, func(row []driver.Value) error {
		all = append(all, head{asInt(row[0]), asText(row[1])})
		return nil
	}, queue, int64(limit))
	return all, err
}

// takeRun claims a head and what is due behind it in its group, up to the first that is not: order is never broken.
func (t *txn) takeRun(c *taking, queue int64, h head, limit int) error {
	last, before := h.seq, len(c.claimed)
	if h.group != "" && limit > 1 {
		err := t.conn.each(qBehind, func(row []driver.Value) error {
			if asInt(row[1]) > c.now {
				return io.EOF
			}
			last = asInt(row[0])
			return nil
		}, queue, h.group, int64(limit-1))
		if err != nil {
			return err
		}
	}
	var err error
	if last == h.seq {
		err = c.find(t, qOne, h.seq)
	} else {
		err = c.find(t, qLine, queue, h.group, last)
	}
	if err != nil || len(c.claimed) == before {
		return err
	}
	slices.SortFunc(c.claimed[before:], func(a, b store.Claimed) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return c.take(t, before, qRun, queue, h.group, c.last())
}
