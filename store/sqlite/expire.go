package sqlite

import (
	"database/sql/driver"
	"io"
	"time"

	"github.com/enfold-run/enfold/store"
)

var (
	qFront  = &query{"SELECT seq, enqueued, grp, size FROM messages WHERE space = ? AND state = ? ORDER BY due, seq LIMIT ?"}
	qRemove = &query{"DELETE FROM messages WHERE seq = ?"}
)

type stale struct {
	seq   int64
	group string
	size  int64
}

// Expire is [store.Tx.Expire].
func (t *txn) Expire(queue string, s store.Scope, limit int, now, before time.Time) (int, error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return 0, err
	}
	id, err := t.space(space{queues, queue, s})
	if err != nil || id == 0 {
		return 0, err
	}
	if err := t.promote(id, now); err != nil {
		return 0, err
	}
	removed := 0
	for _, state := range []int64{ready, blocked} {
		all, err := t.stale(id, state, limit-removed, before)
		if err != nil {
			return 0, err
		}
		for _, m := range all {
			t.count(id, state, -1)
			if err := t.remove(id, m); err != nil {
				return 0, err
			}
		}
		removed += len(all)
	}
	return removed, nil
}

// stale are the messages at the front that are too old.
func (t *txn) stale(queue, state int64, limit int, before time.Time) (all []stale, err error) {
	err = t.conn.each(qFront, func(row []driver.Value) error {
		if asInt(row[1]) >= nanos(before) {
			return io.EOF
		}
		all = append(all, stale{asInt(row[0]), asText(row[2]), asInt(row[3])})
		return nil
	}, queue, state, int64(limit))
	return all, err
}

func (t *txn) remove(queue int64, m stale) error {
	if _, err := t.conn.exec(qRemove, m.seq); err != nil {
		return err
	}
	if m.size > inlineBody {
		if _, err := t.conn.exec(qDelBody, m.seq); err != nil {
			return err
		}
	}
	if m.group == "" {
		return nil
	}
	return t.unblock(queue, m.group)
}

// Oldest is [store.Tx.Oldest].
func (t *txn) Oldest(queue string, s store.Scope) (time.Time, error) {
	id, err := t.queue(queue, s)
	if err != nil || id == 0 {
		return time.Time{}, err
	}
	var oldest time.Time
	for _, state := range []int64{delayed, ready, blocked, leased} {
		row, ok, err := t.conn.one(qFront, id, state, int64(1))
		if err != nil {
			return time.Time{}, err
		}
		if !ok {
			continue
		}
		if at := time.Unix(0, asInt(row[1])); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}
