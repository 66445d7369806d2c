package cloudtrail

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Report is what Verify found.
type Report struct {
	Logs     []LogReport
	Problems []string // what is wrong, at most maxProblems; none if nothing was removed or changed
}

// OK says that nothing was removed or changed.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// LogReport is one log of an account.
type LogReport struct {
	Account     string
	Kind        string    // "management" or "data"
	Chunks      int64     // read
	Events      int64     // in them
	Expired     int64     // chunks that were removed because they were old
	First, Last time.Time // of the events; zero if there are none
	Digest      string    // hash of the whole chain, hex: every later chain of the log goes on from it

	passed map[hash]bool // the hash at each of its chunks
}

// Has says that the log ended with this digest once, and that its chunk has not expired.
func (r LogReport) Has(digest string) bool {
	b, err := hex.DecodeString(digest)
	return err == nil && len(b) == len(hash{}) && r.passed[hash(b)]
}

const maxProblems = 100

// Viewer is what Verify reads from: a store.Store, or the files of one that another process has open.
type Viewer interface {
	View(ctx context.Context, fn func(tx store.Tx) error) error
}

// Verify reads the whole trail and says whether anything was removed, changed or put in since it was written. key is Deps'.
// The error says that the store could not be read, which a damaged file is a reason for.
func Verify(ctx context.Context, db Viewer, key *seal.Key) (Report, error) {
	v := verifier{key: key}
	err := db.View(ctx, func(tx store.Tx) error {
		v.report = Report{}
		return v.all(ctx, tx)
	})
	if err != nil {
		return v.report, fmt.Errorf("verify the audit trail: %w", err)
	}
	return v.report, nil
}

type verifier struct {
	key    *seal.Key
	report Report
}

func (v *verifier) problem(format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, fmt.Sprintf(format, args...))
	}
}

func (v *verifier) all(ctx context.Context, tx store.Tx) error {
	listed, ok, err := getLogs(tx, v.key)
	if err != nil {
		v.problem("the list of logs was changed: %v", err)
	}
	logs := map[logID]bool{}
	for _, n := range listed {
		logs[logID{n.Account, n.Kind}] = true
	}
	for _, table := range []string{digestTable, indexTable} {
		if err := v.unlisted(tx, table, logs, ok); err != nil {
			return err
		}
	}
	order := make([]logID, 0, len(logs))
	for l := range logs {
		order = append(order, l)
	}
	slices.SortFunc(order, func(a, b logID) int {
		return slices.Compare([]string{a.account, a.kind}, []string{b.account, b.kind})
	})
	for _, l := range order {
		if err := v.log(ctx, tx, l); err != nil {
			return fmt.Errorf("account %s, %s events: %w", l.account, l.kind, err)
		}
	}
	return nil
}

// unlisted adds the logs that have a row in a table and are not in the list.
func (v *verifier) unlisted(tx store.Tx, table string, logs map[logID]bool, listExists bool) error {
	scopes, err := tx.Scopes(table)
	if err != nil {
		return err
	}
	for _, sc := range scopes {
		for _, kind := range []string{management, data} {
			l := logID{sc.Account, kind}
			there, err := v.hasRow(tx, table, sc, kind)
			if err != nil {
				return err
			}
			if !there || logs[l] {
				continue
			}
			logs[l] = true
			if !listExists {
				v.problem("account %s, %s events: the list of logs was removed", l.account, kind)
			} else {
				v.problem("account %s, %s events: the log is not in the list of logs", l.account, kind)
			}
		}
	}
	return nil
}

func (v *verifier) hasRow(tx store.Tx, table string, sc store.Scope, kind string) (bool, error) {
	for rec, err := range tx.Scan(table, sc, store.Range{Prefix: kind, Limit: 1}) {
		return err == nil && rec.Key != "", err
	}
	return false, nil
}

// log holds one chain against its digest and its index.
func (v *verifier) log(ctx context.Context, tx store.Tx, l logID) error {
	r := LogReport{Account: l.account, Kind: l.kind, passed: map[hash]bool{}}
	where := fmt.Sprintf("account %s, %s events", l.account, l.kind)
	for rec, err := range tx.Scan(digestTable, l.scope(), store.Range{Prefix: brokenKey(l.kind), Limit: 1}) {
		if err != nil {
			return err
		}
		if rec.Key != "" {
			v.problem("%s: the digest was changed or removed once, and a new chain began", where)
		}
	}
	d, ok, err := getDigest(tx, v.key, l)
	switch {
	case err != nil:
		v.problem("%s: the digest was changed: %v", where, err)
		return nil
	case !ok:
		v.problem("%s: the digest was removed", where)
		return nil
	}
	index, err := v.index(tx, l, where)
	if err != nil {
		return err
	}
	number, last, before := d.Trimmed, d.TrimmedSeq, hash(d.TrimmedHash)
	for c, err := range tx.ReadLog(l.name(), l.scope(), 0, 0) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, sum, p, err := openChunk(c)
		if err != nil {
			v.problem("%s: chunk %d was changed: %v", where, number+1, err)
			number++
			continue
		}
		if n != number+1 {
			v.problem("%s: chunk %d comes after chunk %d", where, n, number)
		} else if chain(before, n, p) != sum {
			v.problem("%s: chunk %d, of %s, was changed", where, n, c.First.Format(time.RFC3339))
		} else if _, err := p.texts(); err != nil {
			v.problem("%s: chunk %d cannot be read: %v", where, n, err)
		}
		row := indexRow{c.Sequence, c.First, c.Last, c.Count, sum}
		if index[c.Sequence] != row {
			v.problem("%s: the index of chunk %d was changed or removed", where, n)
		}
		delete(index, c.Sequence)
		number, last, before = n, c.Sequence, sum
		r.add(c)
		r.passed[sum] = true
	}
	for seq := range index {
		v.problem("%s: the index has a chunk (%d) that is not in the log", where, seq)
	}
	if number != d.Number || last != d.Last || before != hash(d.Hash) {
		v.problem("%s: the end was cut off or replaced: the log ends with chunk %d, the digest says %d", where, number, d.Number)
	}
	r.Expired, r.Digest = d.Trimmed, hex.EncodeToString(d.Hash)
	v.report.Logs = append(v.report.Logs, r)
	return nil
}

func (r *LogReport) add(c store.Chunk) {
	if r.Chunks == 0 || c.First.Before(r.First) {
		r.First = c.First
	}
	if c.Last.After(r.Last) {
		r.Last = c.Last
	}
	r.Chunks++
	r.Events += int64(c.Count)
}

func (v *verifier) index(tx store.Tx, l logID, where string) (map[int64]indexRow, error) {
	rows := map[int64]indexRow{}
	for rec, err := range tx.Scan(indexTable, l.scope(), store.Range{Prefix: store.Prefix(l.kind)}) {
		if err != nil {
			return nil, err
		}
		row, err := decodeIndex(rec)
		if err != nil {
			v.problem("%s: the index was changed: %v", where, err)
			continue
		}
		rows[row.seq] = row
	}
	return rows, nil
}
