package sqlite

import (
	"cmp"
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/enfold-run/enfold/store"
)

const (
	maxClaim      = 1_000    // messages of one claim
	maxClaimBytes = 64 << 20 // bodies of one claim, unless the first alone is larger
	fewMessages   = 10       // messages of one claim of runs
)

// A claim is two statements, however many messages it takes. One that found, changed and returned them would be slower: SQLite
// makes a temporary table for what it returns, and another for what it has found.
var (
	qReady = &query{"SELECT seq, id, grp, tries, enqueued, size, first, body FROM messages WHERE space = ? AND state = 1 ORDER BY due, seq LIMIT ?"}
	qLease = &query{"UPDATE messages SET state = 3, due = ?, tries = tries + 1, token = ?, first = first + (first = 0) * ? WHERE space = ? AND state = 1 AND due = 0 AND seq <= ?"}
	qTake  = &query{"UPDATE messages SET state = 3, due = ?, tries = tries + 1, token = ?, first = first + (first = 0) * ? WHERE seq = ?"}
	qBody  = &query{"SELECT body FROM bodies WHERE seq = ?"}
)

// Claim is [store.Tx.Claim]. It answers at most 1,000 messages and, beyond the first, 64 MiB.
func (t *txn) Claim(queue string, s store.Scope, limit int, now time.Time, lease time.Duration) ([]store.Claimed, error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return nil, err
	}
	id, err := t.space(space{queues, queue, s})
	if err != nil || id == 0 || limit <= 0 {
		return nil, err
	}
	if err := t.promote(id, now); err != nil {
		return nil, err
	}
	c := newTaking(id, now, lease)
	t.writer.dues.note(id, c.due)
	if err := c.find(t, qReady, id, int64(min(limit, maxClaim))); err != nil || len(c.claimed) == 0 {
		return nil, err
	}
	if err := c.take(t, 0, qLease, id, c.last()); err != nil {
		return nil, err
	}
	return c.claimed, c.fetch(t)
}

// taking is a claim as it takes messages.
type taking struct {
	queue    int64
	now, due int64
	token    int64
	bytes    int64 // of the bodies
	claimed  []store.Claimed
	sizes    map[int64]int64 // of those whose bodies are elsewhere, by sequence number
}

func newTaking(queue int64, now time.Time, lease time.Duration) *taking {
	return &taking{queue: queue, now: nanos(now), due: nanos(now.Add(max(lease, 0))), token: newToken()}
}

// find looks for the messages of a query, up to the first that would be too much for the memory.
func (c *taking) find(t *txn, q *query, args ...any) error {
	return t.conn.each(q, func(row []driver.Value) error {
		size := asInt(row[5])
		if c.bytes += size; c.bytes > maxClaimBytes && len(c.claimed) > 0 {
			return io.EOF
		}
		m := store.Claimed{
			Sequence: asInt(row[0]), ID: asText(row[1]), Group: asText(row[2]), Tries: int(asInt(row[3])) + 1,
			Enqueued: time.Unix(0, asInt(row[4])), First: time.Unix(0, cmp.Or(asInt(row[6]), c.now)), Body: asBytes(row[7]),
		}
		m.Receipt = receipt(m.Sequence, c.token)
		if size > inlineBody {
			if c.sizes == nil {
				c.sizes = make(map[int64]int64)
			}
			c.sizes[m.Sequence] = size
		}
		c.claimed = append(c.claimed, m)
		return nil
	}, args...)
}

// last is the sequence number of the message that was found last.
func (c *taking) last() int64 { return c.claimed[len(c.claimed)-1].Sequence }

// take claims the messages that were found, but for the first ones that were claimed before. The query is for more than one.
func (c *taking) take(t *txn, before int, q *query, args ...any) error {
	n := int64(len(c.claimed) - before)
	if n == 1 {
		q, args = qTake, []any{c.last()}
	}
	changed, err := t.conn.exec(q, append([]any{c.due, c.token, c.now}, args...)...)
	if err != nil {
		return err
	}
	if changed != n {
		return fmt.Errorf("claim: %d messages were found and %d taken", n, changed)
	}
	t.count(c.queue, ready, -1)
	if q == qRun { // the first was ready, those behind it were blocked
		t.count(c.queue, blocked, 1-n)
	} else {
		t.count(c.queue, ready, 1-n)
	}
	t.count(c.queue, leased, n)
	return nil
}

// fetch reads the bodies that are not in their rows.
func (c *taking) fetch(t *txn) error {
	for i := range c.claimed {
		m := &c.claimed[i]
		if c.sizes[m.Sequence] <= inlineBody {
			continue
		}
		row, ok, err := t.conn.one(qBody, m.Sequence)
		if err != nil {
			return err
		}
		if ok {
			m.Body = asBytes(row[0])
		}
	}
	return nil
}

// newToken names a claim. It is random, so that nobody makes up a receipt, and never 0, which no claim has.
func newToken() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return int64(binary.BigEndian.Uint64(b[:])>>1) | 1
}
