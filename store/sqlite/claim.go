package sqlite

import (
	"cmp"
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/enfold-run/enfold/store"
)

const (
	maxClaim      = 1_000    // messages of one claim
	maxClaimBytes = 64 << 20 // bodies of one claim, unless the first alone is larger
	fewMessages   = 10       // so few need not be weighed beforehand
)

// A claim is one statement, unless it is time to promote.
var (
	qClaim = &query{"UPDATE messages SET state = 3, due = ?, tries = tries + 1, token = ?, first = first + (first = 0) * ? WHERE seq IN (SELECT seq FROM messages WHERE space = ? AND state = 1 AND seq <= ? ORDER BY due, seq LIMIT ?) RETURNING seq, id, grp, tries, enqueued, size, first, body"}
	qWeigh = &query{"SELECT seq, size FROM messages WHERE space = ? AND state = 1 ORDER BY due, seq LIMIT ?"}
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
	limit = min(limit, maxClaim)
	if err := t.promote(id, now); err != nil {
		return nil, err
	}
	last, err := t.weigh(id, limit)
	if err != nil {
		return nil, err
	}
	c := newTaking(id, now, lease)
	t.writer.dues.note(id, c.due)
	if err := c.take(t, qClaim, c.due, c.token, c.now, id, last, int64(limit)); err != nil {
		return nil, err
	}
	return c.claimed, c.fetch(t)
}

// taking is a claim as it takes messages.
type taking struct {
	queue    int64
	now, due int64
	token    int64
	claimed  []store.Claimed
	sizes    map[int64]int64 // of those whose bodies are elsewhere, by sequence number
}

func newTaking(queue int64, now time.Time, lease time.Duration) *taking {
	return &taking{queue: queue, now: nanos(now), due: nanos(now.Add(max(lease, 0))), token: newToken()}
}

// take runs a statement that claims messages and returns them.
func (c *taking) take(t *txn, q *query, args ...any) error {
	from := len(c.claimed)
	err := t.conn.each(q, func(row []driver.Value) error {
		m := store.Claimed{
			Sequence: asInt(row[0]), ID: asText(row[1]), Group: asText(row[2]), Tries: int(asInt(row[3])),
			Enqueued: time.Unix(0, asInt(row[4])), First: time.Unix(0, asInt(row[6])), Body: asBytes(row[7]),
		}
		m.Receipt = receipt(m.Sequence, c.token)
		if size := asInt(row[5]); size > inlineBody {
			if c.sizes == nil {
				c.sizes = make(map[int64]int64)
			}
			c.sizes[m.Sequence] = size
		}
		c.claimed = append(c.claimed, m)
		return nil
	}, args...)
	if n := int64(len(c.claimed) - from); n > 0 {
		t.count(c.queue, ready, -1)
		if q == qRun { // the first was ready, those behind it were blocked
			t.count(c.queue, blocked, 1-n)
		} else {
			t.count(c.queue, ready, 1-n)
		}
		t.count(c.queue, leased, n)
	}
	// RETURNING promises no order.
	slices.SortFunc(c.claimed[from:], func(a, b store.Claimed) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return err
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

// weigh answers the last message that a claim may take, so that one claim never fills the memory.
func (t *txn) weigh(queue int64, limit int) (int64, error) {
	if limit <= fewMessages {
		return math.MaxInt64, nil
	}
	var total, last int64
	err := t.conn.each(qWeigh, func(row []driver.Value) error {
		if total += asInt(row[1]); total <= maxClaimBytes || last == 0 {
			last = asInt(row[0])
		}
		return nil
	}, queue, int64(limit))
	return last, err
}

// newToken names a claim. It is random, so that nobody makes up a receipt, and never 0, which no claim has.
func newToken() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return int64(binary.BigEndian.Uint64(b[:])>>1) | 1
}
