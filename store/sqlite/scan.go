package sqlite

import (
	"database/sql/driver"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/store"
)

// A scan reads pages, so that no statement is open while the caller works on a row.
const (
	pageRows  = 128
	pageBytes = 1 << 20
)

var (
	qScan     = &query{"SELECT key, version, value FROM records WHERE space = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"}
	qScanBack = &query{"SELECT key, version, value FROM records WHERE space = ? AND key >= ? AND key < ? ORDER BY key DESC LIMIT ?"}
)

// scan is where a scan is, and what was changed ahead of it since it began.
type scan struct {
	txn     *txn
	space   int64
	from    string // inclusive
	to      string // exclusive; the end of the table if open
	open    bool
	reverse bool

	// old has the rows ahead as they were when the scan began; nil for a key that had none.
	old map[string]*store.Record
}

// Scan is [store.Tx.Scan].
func (t *txn) Scan(table string, s store.Scope, r store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := t.scan(space{records, table, s}, r, yield); err != nil {
			yield(store.Record{}, err)
		}
	}
}

func (t *txn) scan(k space, r store.Range, yield func(store.Record, error) bool) error {
	if err := t.reads(k.name, k.scope.Account, k.scope.Region, r.Prefix, r.After); err != nil {
		return err
	}
	id, err := t.space(k)
	if err != nil || id == 0 {
		return err
	}
	sc := newScan(t, id, r)
	if t.writer != nil {
		t.scans = append(t.scans, sc)
		defer func() { t.scans = slices.DeleteFunc(t.scans, func(o *scan) bool { return o == sc }) }()
	}
	left := r.Limit
	for more := true; more; {
		var page []store.Record
		if page, more, err = sc.page(); err != nil {
			return err
		}
		for _, rec := range page {
			if !yield(rec, nil) {
				return nil
			}
			if left--; left == 0 {
				return nil
			}
			if t.done.Load() {
				return errTxnDone
			}
		}
	}
	return nil
}

func newScan(t *txn, id int64, r store.Range) *scan {
	sc := &scan{txn: t, space: id, from: r.Prefix, reverse: r.Reverse}
	sc.to, sc.open = after(r.Prefix)
	switch {
	case r.After == "":
	case r.Reverse:
		if sc.open || r.After < sc.to {
			sc.to, sc.open = r.After, false
		}
	default:
		sc.from = max(sc.from, r.After+"\x00")
	}
	return sc
}

// after is the first string behind all that have the prefix; open is true if there is none.
func after(prefix string) (end string, open bool) {
	b := []byte(prefix)
	for len(b) > 0 {
		if last := len(b) - 1; b[last] != 0xff {
			b[last]++
			return string(b), false
		}
		b = b[:len(b)-1]
	}
	return "", true
}

// page reads the next rows and moves the scan behind them.
func (sc *scan) page() (rows []store.Record, more bool, err error) {
	q := qScan
	if sc.reverse {
		q = qScanBack
	}
	var to any = sc.to
	if sc.open {
		to = []byte{0} // SQLite orders any BLOB behind any TEXT
	}
	size, read := 0, 0
	err = sc.txn.conn.each(q, func(row []driver.Value) error {
		rec := store.Record{Key: asText(row[0]), Version: asInt(row[1]), Value: asBytes(row[2])}
		rows = append(rows, rec)
		read++
		if size += len(rec.Value) + len(rec.Key); size >= pageBytes {
			more = true
			return io.EOF
		}
		return nil
	}, sc.space, sc.from, to, int64(pageRows))
	if err != nil {
		return nil, false, err
	}
	more = more || read == pageRows
	last := ""
	if more {
		last = rows[len(rows)-1].Key
	}
	rows = sc.asBefore(rows, last, more)
	sc.advance(last, more)
	return rows, more, nil
}

// advance moves behind the key last, or to the end.
func (sc *scan) advance(last string, more bool) {
	switch {
	case !more:
		sc.from, sc.to, sc.open = "", "", false // nothing is ahead
	case sc.reverse:
		sc.to, sc.open = last, false
	default:
		sc.from = last + "\x00"
	}
}

// ahead says whether a key is among those that the scan has yet to read.
func (sc *scan) ahead(key string) bool { return key >= sc.from && (sc.open || key < sc.to) }

// asBefore puts the rows that were changed ahead of the scan back as they were, up to the key last if there is more.
func (sc *scan) asBefore(rows []store.Record, last string, more bool) []store.Record {
	if len(sc.old) == 0 {
		return rows
	}
	rows = slices.DeleteFunc(rows, func(r store.Record) bool { _, ok := sc.old[r.Key]; return ok })
	for key, rec := range sc.old {
		if more && ((!sc.reverse && key > last) || (sc.reverse && key < last)) {
			continue
		}
		if rec != nil {
			rows = append(rows, *rec)
		}
		delete(sc.old, key)
	}
	slices.SortFunc(rows, func(a, b store.Record) int {
		if sc.reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	return rows
}

// keepForScans notes a row as it is before it is written, for the scans that have yet to read it.
func (t *txn) keepForScans(id int64, key string) error {
	for _, sc := range t.scans {
		if sc.space != id || !sc.ahead(key) {
			continue
		}
		if _, ok := sc.old[key]; ok {
			continue
		}
		rec, err := t.record(id, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if sc.old == nil {
			sc.old = make(map[string]*store.Record)
		}
		if err != nil {
			sc.old[key] = nil
			continue
		}
		sc.old[key] = &rec
	}
	return nil
}
