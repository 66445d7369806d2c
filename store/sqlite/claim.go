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

// A claim is two statements. The first makes the messages ready whose time has come, some at a time, because a statement that
// moves a million messages would hold up everybody: those that remain come with the next claim.
var (
	qPromote = &query{"UPDATE messages SET state = 1, due = 0 WHERE seq IN (SELECT seq FROM messages WHERE space = ? AND state IN (0, 3) AND due <= ? LIMIT 1000)"}
	qClaim   = &query{"UPDATE messages SET state = 3, due = ?, tries = tries + 1, token = ? WHERE seq IN (SELECT seq FROM messages WHERE space = ? AND state = 1 AND seq <= ? ORDER BY due, seq LIMIT ?) RETURNING seq, id, grp, tries, enqueued, size, body"}
	qWeigh   = &query{"SELECT seq, size FROM messages WHERE space = ? AND state = 1 ORDER BY due, seq LIMIT ?"}
	qBody    = &query{"SELECT body FROM bodies WHERE seq = ?"}
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
	if _, err := t.conn.exec(qPromote, id, nanos(now)); err != nil {
		return nil, err
	}
	last, err := t.weigh(id, limit)
	if err != nil {
		return nil, err
	}
	due := nanos(now.Add(max(lease, 0)))
	claimed, sizes, err := t.take(id, limit, last, due)
	if err != nil {
		return nil, err
	}
	for i := range claimed {
		if sizes[claimed[i].Sequence] <= inlineBody {
			continue
		}
		row, ok, err := t.conn.one(qBody, claimed[i].Sequence)
		if err != nil {
			return nil, err
		}
		if ok {
			claimed[i].Body = asBytes(row[0])
		}
	}
	return claimed, nil
}

func (t *txn) take(queue int64, limit int, last, due int64) ([]store.Claimed, map[int64]int64, error) {
	token := newToken()
	var claimed []store.Claimed
	var sizes map[int64]int64
	err := t.conn.each(qClaim, func(row []driver.Value) error {
		m := store.Claimed{
			Sequence: asInt(row[0]), ID: asText(row[1]), Group: asText(row[2]), Tries: int(asInt(row[3])),
			Enqueued: time.Unix(0, asInt(row[4])), Body: asBytes(row[6]),
		}
		m.Receipt = receipt(m.Sequence, token)
		if size := asInt(row[5]); size > inlineBody {
			if sizes == nil {
				sizes = make(map[int64]int64)
			}
			sizes[m.Sequence] = size
		}
		claimed = append(claimed, m)
		return nil
	}, due, token, queue, last, int64(limit))
	// RETURNING promises no order.
	slices.SortFunc(claimed, func(a, b store.Claimed) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return claimed, sizes, err
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
