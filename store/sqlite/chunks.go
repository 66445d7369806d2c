package sqlite

import (
	"database/sql/driver"
	"io"
	"iter"
	"time"

	"github.com/enfold-run/enfold/store"
)

var (
	qAddChunk  = &query{"INSERT INTO chunks (seq, space, first, last, count, data) VALUES (?, ?, ?, ?, ?, ?)"}
	qReadLog   = &query{"SELECT seq, first, last, count, data FROM chunks WHERE space = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"}
	qLastChunk = &query{"SELECT max(seq) FROM chunks WHERE space = ?"}
	qTrimLog   = &query{"DELETE FROM chunks WHERE space = ? AND seq <= ?"}
)

// Append is [store.Tx.Append].
func (t *txn) Append(log string, s store.Scope, c store.Chunk) (int64, error) {
	if err := t.writes(len(c.Data), log, s.Account, s.Region); err != nil {
		return 0, err
	}
	id, err := t.makeSpace(space{logsOf, log, s})
	if err != nil {
		return 0, err
	}
	seq := t.writer.next()
	_, err = t.conn.exec(qAddChunk, seq, id, millis(c.First), millis(c.Last), int64(c.Count), c.Data)
	return seq, err
}

// ReadLog is [store.Tx.ReadLog]. What is appended meanwhile is not seen.
func (t *txn) ReadLog(log string, s store.Scope, after int64, limit int) iter.Seq2[store.Chunk, error] {
	return func(yield func(store.Chunk, error) bool) {
		if err := t.readLog(space{logsOf, log, s}, after, limit, yield); err != nil {
			yield(store.Chunk{}, err)
		}
	}
}

func (t *txn) readLog(k space, after int64, limit int, yield func(store.Chunk, error) bool) error {
	if err := t.reads(k.name, k.scope.Account, k.scope.Region); err != nil {
		return err
	}
	id, err := t.space(k)
	if err != nil || id == 0 {
		return err
	}
	last, err := t.conn.number(qLastChunk, id)
	if err != nil {
		return err
	}
	for more := true; more; {
		var page []store.Chunk
		if page, more, err = t.conn.chunks(qReadLog, id, after, last, int64(pageRows)); err != nil {
			return err
		}
		for _, c := range page {
			if !yield(c, nil) {
				return nil
			}
			if limit--; limit == 0 {
				return nil
			}
			after = c.Sequence
			if t.done.Load() {
				return errTxnDone
			}
		}
	}
	return nil
}

// chunks reads a page of chunks; more says whether there may be another.
func (c *conn) chunks(q *query, args ...any) (page []store.Chunk, more bool, err error) {
	size := 0
	err = c.each(q, func(row []driver.Value) error {
		ch := store.Chunk{
			Sequence: asInt(row[0]), First: fromMillis(asInt(row[1])), Last: fromMillis(asInt(row[2])),
			Count: int(asInt(row[3])), Data: asBytes(row[4]),
		}
		page = append(page, ch)
		if size += len(ch.Data); size >= pageBytes {
			more = true
			return io.EOF
		}
		return nil
	}, args...)
	return page, more || len(page) == pageRows, err
}

// TrimLog is [store.Tx.TrimLog].
func (t *txn) TrimLog(log string, s store.Scope, upTo int64) error {
	if err := t.writes(0, log, s.Account, s.Region); err != nil {
		return err
	}
	k := space{logsOf, log, s}
	id, err := t.space(k)
	if err != nil || id == 0 {
		return err
	}
	if _, err := t.conn.exec(qTrimLog, id, upTo); err != nil {
		return err
	}
	last, err := t.conn.number(qLastChunk, id)
	if err == nil && last == 0 {
		err = t.dropSpace(k, id)
	}
	return err
}

// noTime is the zero time as the database has it: 0 is a time like any other.
const noTime = -1 << 63

func millis(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == noTime {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
