package sqlite

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/enfold-run/enfold/store"
)

// The states of a message; the statements below write them as numbers.
const (
	delayed = 0 // never claimed, due later
	ready   = 1 // due, when that was last looked at
	blocked = 2 // another of its group is before it
	leased  = 3 // claimed, or claimed before and due again later
)

// inlineBody is the size up to which a body is in the message's row, in bytes.
const inlineBody = 2048

var (
	qEnqueue       = &query{"INSERT INTO messages (seq, space, state, due, tries, token, first, enqueued, id, grp, size, body) VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?)"}
	qEnqueueLeased = &query{"INSERT INTO messages (seq, space, state, due, tries, token, first, enqueued, id, grp, size, body) VALUES (?, ?, 3, ?, 1, ?, ?, ?, ?, '', ?, ?)"}
	qAddBody       = &query{"INSERT INTO bodies (seq, body) VALUES (?, ?)"}
	qInGroup       = &query{"SELECT 1 FROM messages WHERE space = ? AND grp = ? AND grp <> '' LIMIT 1"}
	qDedup         = &query{"SELECT id, seq, expires FROM dedups WHERE space = ? AND dedup = ?"}
	qAddDedup      = &query{"INSERT INTO dedups (space, dedup, expires, seq, id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET expires = excluded.expires, seq = excluded.seq, id = excluded.id"}
	qOldDedup      = &query{"DELETE FROM dedups WHERE (space, dedup) IN (SELECT space, dedup FROM dedups WHERE expires < ? ORDER BY expires LIMIT 4)"}

	qClaimed = &query{"SELECT grp, size, state FROM messages WHERE seq = ? AND space = ? AND token = ?"}
	qAck     = &query{"DELETE FROM messages WHERE seq = ?"}
	qDelBody = &query{"DELETE FROM bodies WHERE seq = ?"}
	qUnblock = &query{"UPDATE messages SET state = (due = 0) WHERE state = 2 AND seq = (SELECT min(s) FROM (" +
		"SELECT min(seq) AS s FROM messages WHERE space = ?1 AND grp = ?2 AND grp <> '' AND state = 0 UNION ALL " +
		"SELECT min(seq) FROM messages WHERE space = ?1 AND grp = ?2 AND grp <> '' AND state = 1 UNION ALL " +
		"SELECT min(seq) FROM messages WHERE space = ?1 AND grp = ?2 AND grp <> '' AND state = 2)) " +
		"AND NOT EXISTS (SELECT 1 FROM messages WHERE space = ?1 AND grp = ?2 AND grp <> '' AND state = 3) RETURNING due"}
	qExtend = &query{"UPDATE messages SET state = 3, due = ? WHERE seq = ? AND space = ? AND token = ?"}

	qReturn = &query{"UPDATE messages SET state = 3, due = ?, token = 0, first = CASE WHEN tries = 1 THEN 0 ELSE first END, tries = tries - 1 WHERE seq = ? AND space = ? AND token = ?"}
	qLookup = &query{"SELECT token, state, due FROM messages WHERE seq = ? AND space = ?"}

	qLeased  = &query{"SELECT count(*) FROM (SELECT 1 FROM messages WHERE space = ? AND state = 3 AND due > ? LIMIT ?)"}
	qNextDue = &query{"SELECT (SELECT 0 FROM messages WHERE space = ?1 AND state = 1 LIMIT 1), (SELECT min(due) FROM messages WHERE space = ?1 AND state = 0), (SELECT min(due) FROM messages WHERE space = ?1 AND state = 3)"}
)

// Enqueue is [store.Tx.Enqueue].
func (t *txn) Enqueue(queue string, s store.Scope, m ...store.Message) ([]store.Enqueued, error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return nil, err
	}
	id, err := t.makeSpace(space{queues, queue, s})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	done := make([]store.Enqueued, len(m))
	for i := range m {
		if done[i], err = t.enqueue(id, m[i], now); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func (t *txn) enqueue(queue int64, m store.Message, now time.Time) (store.Enqueued, error) {
	if err := t.writes(len(m.Body), m.ID, m.Group, m.Dedup); err != nil {
		return store.Enqueued{}, err
	}
	if m.ID == "" {
		m.ID = rand.Text()
	}
	done := store.Enqueued{ID: m.ID, Sequence: t.writer.next()}
	if m.Dedup != "" && m.DedupFor > 0 {
		first, err := t.dedup(queue, m, done.Sequence, now)
		if err != nil || first.Duplicate {
			return first, err
		}
	}
	if m.Enqueued.IsZero() {
		m.Enqueued = now
	}
	state, err := t.firstState(queue, m)
	if err != nil {
		return store.Enqueued{}, err
	}
	body := m.Body
	if len(body) > inlineBody {
		if _, err := t.conn.exec(qAddBody, done.Sequence, body); err != nil {
			return store.Enqueued{}, err
		}
		body = nil
	}
	if m.Lease > 0 && state == ready && m.Group == "" {
		due, token := nanos(now.Add(m.Lease)), newToken()
		t.writer.dues.note(queue, due)
		t.count(queue, leased, 1)
		done.Receipt = receipt(done.Sequence, token)
		_, err = t.conn.exec(qEnqueueLeased, done.Sequence, queue, due, token, nanos(now), nanos(m.Enqueued), m.ID, int64(len(m.Body)), body)
		return done, err
	}
	t.count(queue, state, 1)
	_, err = t.conn.exec(qEnqueue, done.Sequence, queue, state, nanos(m.Due), nanos(m.Enqueued), m.ID, m.Group, int64(len(m.Body)), body)
	return done, err
}

func (t *txn) firstState(queue int64, m store.Message) (int64, error) {
	if m.Group != "" {
		_, ok, err := t.conn.one(qInGroup, queue, m.Group)
		if err != nil || ok {
			return blocked, err
		}
	}
	if due := nanos(m.Due); due != 0 {
		t.writer.dues.note(queue, due)
		return delayed, nil
	}
	return ready, nil
}

// dedup notes the message's deduplication id, or answers the first message that used it. Ids that expired are removed a few
// at a time, more than are added.
func (t *txn) dedup(queue int64, m store.Message, seq int64, now time.Time) (store.Enqueued, error) {
	row, ok, err := t.conn.one(qDedup, queue, m.Dedup)
	if err != nil {
		return store.Enqueued{}, err
	}
	if ok && asInt(row[2]) > now.UnixNano() {
		return store.Enqueued{ID: asText(row[0]), Sequence: asInt(row[1]), Duplicate: true}, nil
	}
	if _, err := t.conn.exec(qOldDedup, now.UnixNano()); err != nil {
		return store.Enqueued{}, err
	}
	_, err = t.conn.exec(qAddDedup, queue, m.Dedup, nanos(now.Add(m.DedupFor)), seq, m.ID)
	return store.Enqueued{}, err
}

// Ack is [store.Tx.Ack].
func (t *txn) Ack(queue string, s store.Scope, receipt string) error {
	id, seq, token, err := t.claim(queue, s, receipt)
	if err != nil {
		return err
	}
	row, ok, err := t.conn.one(qClaimed, seq, id, token)
	if err != nil {
		return err
	}
	if !ok {
		return store.ErrLease
	}
	group, size, state := asText(row[0]), asInt(row[1]), asInt(row[2])
	if _, err := t.conn.exec(qAck, seq); err != nil {
		return err
	}
	t.count(id, state, -1)
	if size > inlineBody {
		if _, err := t.conn.exec(qDelBody, seq); err != nil {
			return err
		}
	}
	if group != "" {
		return t.unblock(id, group)
	}
	return nil
}

// Extend is [store.Tx.Extend].
func (t *txn) Extend(queue string, s store.Scope, receipt string, due time.Time) error {
	id, seq, token, err := t.claim(queue, s, receipt)
	if err != nil {
		return err
	}
	if err := t.hold(id, seq, token); err != nil {
		return err
	}
	t.writer.dues.note(id, nanos(due))
	_, err = t.conn.exec(qExtend, nanos(due), seq, id, token)
	return err
}

// Return is [store.Tx.Return].
func (t *txn) Return(queue string, s store.Scope, receipt string, now time.Time) error {
	id, seq, token, err := t.claim(queue, s, receipt)
	if err != nil {
		return err
	}
	if err := t.hold(id, seq, token); err != nil {
		return err
	}
	t.writer.dues.note(id, nanos(now))
	_, err = t.conn.exec(qReturn, nanos(now), seq, id, token)
	return err
}

// hold counts a message as leased that is about to be, or answers ErrLease if the claim does not hold.
func (t *txn) hold(queue, seq, token int64) error {
	row, ok, err := t.conn.one(qLookup, seq, queue)
	if err != nil {
		return err
	}
	if !ok || asInt(row[0]) != token {
		return store.ErrLease
	}
	if was := asInt(row[1]); was != leased {
		t.count(queue, was, -1)
		t.count(queue, leased, 1)
	}
	return nil
}

// Lookup is [store.Tx.Lookup].
func (t *txn) Lookup(queue string, s store.Scope, receipt string) (time.Time, error) {
	if err := t.reads(queue, s.Account, s.Region); err != nil {
		return time.Time{}, err
	}
	id, seq, token, err := t.parse(queue, s, receipt)
	if err != nil {
		return time.Time{}, err
	}
	row, ok, err := t.conn.one(qLookup, seq, id)
	switch {
	case err != nil:
		return time.Time{}, err
	case !ok:
		return time.Time{}, store.ErrNotFound
	case asInt(row[0]) != token:
		return time.Time{}, store.ErrLease
	case asInt(row[1]) != leased:
		return time.Time{}, nil
	}
	return time.Unix(0, asInt(row[2])), nil
}

// claim finds the queue and takes a receipt apart.
func (t *txn) claim(queue string, s store.Scope, receipt string) (id, seq, token int64, err error) {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return 0, 0, 0, err
	}
	return t.parse(queue, s, receipt)
}

func (t *txn) parse(queue string, s store.Scope, receipt string) (id, seq, token int64, err error) {
	b, err := base64.RawURLEncoding.DecodeString(receipt)
	if err != nil || len(b) != 16 {
		return 0, 0, 0, store.ErrLease
	}
	seq, token = int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))
	id, err = t.space(space{queues, queue, s})
	if err == nil && (id == 0 || token == 0) {
		err = store.ErrLease
	}
	return id, seq, token, err
}

func receipt(seq, token int64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(seq))
	binary.BigEndian.PutUint64(b[8:], uint64(token))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CountClaimed is [store.Tx.CountClaimed].
func (t *txn) CountClaimed(queue string, s store.Scope, limit int, now time.Time) (int, error) {
	id, err := t.queue(queue, s)
	if err != nil || id == 0 {
		return 0, err
	}
	n, err := t.conn.number(qLeased, id, nanos(now), int64(limit))
	return int(n), err
}

// NextDue is [store.Tx.NextDue].
func (t *txn) NextDue(queue string, s store.Scope) (time.Time, error) {
	id, err := t.queue(queue, s)
	if err != nil || id == 0 {
		return time.Time{}, err
	}
	row, _, err := t.conn.one(qNextDue, id)
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	for _, v := range row {
		due, ok := v.(int64)
		if at := time.Unix(0, due); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, nil
}

// Purge is [store.Tx.Purge].
func (t *txn) Purge(queue string, s store.Scope) error {
	if err := t.writes(0, queue, s.Account, s.Region); err != nil {
		return err
	}
	k := space{queues, queue, s}
	id, err := t.space(k)
	if err != nil || id == 0 {
		return err
	}
	return t.throwAway(k, id)
}

// queue answers the number of a queue to read, 0 if there is none.
func (t *txn) queue(queue string, s store.Scope) (int64, error) {
	if err := t.reads(queue, s.Account, s.Region); err != nil {
		return 0, err
	}
	return t.space(space{queues, queue, s})
}

// The times that fit an int64 of nanoseconds.
var (
	minTime = time.Unix(0, -1<<63)
	maxTime = time.Unix(0, 1<<63-1)
)

// nanos is a time as the database has it: 0 for the zero time, and the nearest there is for one beyond the years 1677 to 2262.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(minTime):
		return -1 << 63
	case t.After(maxTime):
		return 1<<63 - 1
	}
	return t.UnixNano()
}
