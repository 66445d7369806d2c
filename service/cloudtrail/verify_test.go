package cloudtrail

import (
	"bytes"
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestVerify(t *testing.T) {
	f := newFixture(t)
	if p := f.verify(f.db); len(p) != 0 {
		t.Errorf("an empty trail has problems: %q", p)
	}
	f.written(3)
	f.record(f.invoke(root), nil, nil)
	f.check(f.flush(t.Context()), "")
	r, err := Verify(t.Context(), f.db, testKey())
	f.check(err, "")
	if !r.OK() || len(r.Logs) != 2 || r.Logs[1].Kind != management || r.Logs[1].Events != 3 || r.Logs[1].Chunks != 3 || len(r.Logs[1].Digest) != 64 {
		t.Errorf("report %+v", r)
	}
	f.written(1)
	later, err := Verify(t.Context(), f.db, testKey())
	f.check(err, "")
	if l := later.Logs[1]; !l.Has(r.Logs[1].Digest) || !l.Has(l.Digest) || l.Has(strings.Repeat("0", 64)) || l.Has("x") {
		t.Error("a later chain does not know the digest before")
	}
}

// TestVerifyWhileOpen reads the files of a store that somebody else has open.
func TestVerifyWhileOpen(t *testing.T) {
	f := newFixture(t)
	f.written(3)
	db, err := sqlite.OpenReader(f.dir)
	f.check(err, "")
	defer db.Close()
	f.written(2)
	r, err := Verify(t.Context(), db, testKey())
	f.check(err, "")
	if !r.OK() || len(r.Logs) != 1 || r.Logs[0].Events != 5 {
		t.Errorf("report %+v", r)
	}
	if err := db.View(t.Context(), func(tx store.Tx) error {
		_, err := tx.Put("t", store.Scope{}, "k", nil, store.Cond{})
		return err
	}); err == nil {
		t.Error("a reader wrote")
	}
}

// tampered is a store in which somebody changed bytes on the disk: what is read goes through the functions.
type tampered struct {
	store.Store
	chunk  func(c store.Chunk) store.Chunk
	record func(table string, r store.Record) store.Record
}

func (s *tampered) View(ctx context.Context, fn func(store.Tx) error) error {
	return s.Store.View(ctx, func(tx store.Tx) error { return fn(&tamperedTx{tx, s}) })
}

type tamperedTx struct {
	store.Tx
	s *tampered
}

func (t *tamperedTx) ReadLog(log string, sc store.Scope, after int64, limit int) iter.Seq2[store.Chunk, error] {
	return func(yield func(store.Chunk, error) bool) {
		for c, err := range t.Tx.ReadLog(log, sc, after, limit) {
			c.Data = bytes.Clone(c.Data)
			if t.s.chunk != nil {
				c = t.s.chunk(c)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (t *tamperedTx) Get(table string, sc store.Scope, key string) (store.Record, error) {
	r, err := t.Tx.Get(table, sc, key)
	return t.change(table, r), err
}

func (t *tamperedTx) Scan(table string, sc store.Scope, r store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range t.Tx.Scan(table, sc, r) {
			if !yield(t.change(table, rec), err) {
				return
			}
		}
	}
}

func (t *tamperedTx) change(table string, r store.Record) store.Record {
	r.Value = bytes.Clone(r.Value)
	if t.s.record != nil && len(r.Value) > 0 {
		r = t.s.record(table, r)
	}
	return r
}

// TestOneFlippedByte flips each byte of each chunk, digest, index row and of the list of logs, one at a time.
func TestOneFlippedByte(t *testing.T) {
	f := newFixture(t)
	f.written(2)
	flips := 0
	for number := int64(1); number <= 2; number++ {
		for at, size := 0, 1; at < size; at++ {
			i := int64(0)
			db := &tampered{Store: f.db, chunk: func(c store.Chunk) store.Chunk {
				if i++; i == number {
					size = len(c.Data)
					c.Data[at] ^= 0x40
				}
				return c
			}}
			flips++
			if len(f.verify(db)) == 0 {
				t.Errorf("byte %d of chunk %d was flipped and nobody saw", at, number)
			}
		}
	}
	for _, table := range []string{digestTable, indexTable} {
		for at, size := 0, 1; at < size; at++ {
			db := &tampered{Store: f.db, record: func(of string, r store.Record) store.Record {
				if size = max(size, len(r.Value)*min(1, strings.Count(table, of))); of == table && at < len(r.Value) {
					r.Value[at] ^= 1
				}
				return r
			}}
			flips++
			if len(f.verify(db)) == 0 {
				t.Errorf("byte %d of a row of %s was flipped and nobody saw", at, table)
			}
		}
	}
	for name, change := range map[string]func(*store.Chunk){
		"first":    func(c *store.Chunk) { c.First = c.First.Add(time.Millisecond) },
		"last":     func(c *store.Chunk) { c.Last = c.Last.Add(time.Millisecond) },
		"count":    func(c *store.Chunk) { c.Count++ },
		"sequence": func(c *store.Chunk) { c.Sequence++ },
	} {
		db := &tampered{Store: f.db, chunk: func(c store.Chunk) store.Chunk { change(&c); return c }}
		if len(f.verify(db)) == 0 {
			t.Errorf("%s of a chunk was changed and nobody saw", name)
		}
	}
	if flips < 1000 {
		t.Errorf("only %d bytes were flipped", flips)
	}
}

// TestFlippedOnDisk flips one byte of a chunk in the database file.
func TestFlippedOnDisk(t *testing.T) {
	f := newFixture(t)
	f.written(3)
	var middle []byte
	f.check(f.db.View(t.Context(), func(tx store.Tx) error {
		for c, err := range tx.ReadLog("cloudtrail/management", store.Scope{Account: account}, 0, 2) {
			if err != nil {
				return err
			}
			middle = bytes.Clone(c.Data)
		}
		return nil
	}), "")
	f.check(f.db.Close(), "")
	path := filepath.Join(f.dir, "enfold.db")
	file, err := os.ReadFile(path)
	f.check(err, "")
	at := bytes.Index(file, middle[linesAt:])
	if at < 0 {
		t.Fatal("the chunk is not in the file")
	}
	file[at+10] ^= 1
	f.check(os.WriteFile(path, file, 0o600), "")
	f.open()
	if p := f.verify(f.db); len(p) == 0 || !strings.Contains(p[0], "chunk 2") {
		t.Errorf("problems %q", p)
	}
}

// TestRemoved takes out what somebody with the database could take out.
func TestRemoved(t *testing.T) {
	sc := store.Scope{Account: account}
	chunks := func(tx store.Tx) (list []store.Chunk) {
		for c, err := range tx.ReadLog("cloudtrail/management", sc, 0, 0) {
			if err == nil {
				c.Data = bytes.Clone(c.Data)
				list = append(list, c)
			}
		}
		return list
	}
	// rewrite replaces the log, and the index to fit.
	rewrite := func(tx store.Tx, keep func(i, n int) bool) error {
		all := chunks(tx)
		if err := tx.TrimLog("cloudtrail/management", sc, all[len(all)-1].Sequence); err != nil {
			return err
		}
		for i, c := range all {
			l := logID{account, management}
			if err := tx.Delete(indexTable, sc, indexKey(l, c.Sequence), store.Cond{}); err != nil {
				return err
			}
			if !keep(i, len(all)) {
				continue
			}
			seq, err := tx.Append("cloudtrail/management", sc, c)
			if err != nil {
				return err
			}
			_, sum, _, err := openChunk(c)
			if err != nil {
				return err
			}
			if _, err := tx.Put(indexTable, sc, indexKey(l, seq), indexRow{seq, c.First, c.Last, c.Count, sum}.encode(), store.Cond{}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name string
		do   func(tx store.Tx) error
		want string
	}{
		{"a chunk in the middle", func(tx store.Tx) error { return rewrite(tx, func(i, _ int) bool { return i != 1 }) }, "comes after"},
		{"the first chunk", func(tx store.Tx) error { return rewrite(tx, func(i, _ int) bool { return i != 0 }) }, "comes after"},
		{"the tail", func(tx store.Tx) error { return rewrite(tx, func(i, n int) bool { return i < n-1 }) }, "cut off"},
		{"every chunk", func(tx store.Tx) error { return rewrite(tx, func(int, int) bool { return false }) }, "cut off"},
		{"an index row", func(tx store.Tx) error {
			return tx.Delete(indexTable, sc, indexKey(logID{account, management}, chunks(tx)[0].Sequence), store.Cond{})
		}, "index"},
		{"the digest", func(tx store.Tx) error { return tx.Delete(digestTable, sc, management, store.Cond{}) }, "digest was removed"},
		{"the list", func(tx store.Tx) error { return tx.Delete(digestTable, store.Scope{}, logsKey, store.Cond{}) }, "list of logs was removed"},
		{"the whole log with its digest", func(tx store.Tx) error {
			if err := rewrite(tx, func(int, int) bool { return false }); err != nil {
				return err
			}
			return tx.Delete(digestTable, sc, management, store.Cond{})
		}, "digest was removed"},
		{"a digest of another log", func(tx store.Tx) error {
			r, err := tx.Get(digestTable, sc, data)
			if err != nil {
				return err
			}
			_, err = tx.Put(digestTable, sc, management, r.Value, store.Cond{})
			return err
		}, "digest was changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.record(f.invoke(root), nil, nil)
			f.written(4)
			f.check(f.db.Update(t.Context(), c.do), "")
			if p := f.verify(f.db); !strings.Contains(strings.Join(p, "\n"), c.want) {
				t.Errorf("problems %q, want one with %q", p, c.want)
			}
			// Recording goes on, and what was done stays known.
			f.written(1)
			if p := f.verify(f.db); len(p) == 0 {
				t.Error("forgotten after the next record")
			}
		})
	}
}

// TestRetention: what expired is removed, data events earlier, and the rest is still whole.
func TestRetention(t *testing.T) {
	f := newFixture(t)
	f.record(f.invoke(root), nil, nil)
	f.written(3)
	f.at = noon.Add(8 * 24 * time.Hour)
	f.record(f.invoke(root), nil, nil)
	f.written(1)
	f.check(f.sweep(t.Context()), "")
	count := func() (n [2]int) {
		for _, e := range f.events(Query{}) {
			if e.Data {
				n[1]++
			} else {
				n[0]++
			}
		}
		return n
	}
	if got := count(); got != [2]int{4, 1} {
		t.Errorf("after 8 days: %v management and data events", got)
	}
	f.at = noon.Add(91 * 24 * time.Hour)
	f.check(f.sweep(t.Context()), "")
	if got := count(); got != [2]int{1, 0} {
		t.Errorf("after 91 days: %v management and data events", got)
	}
	f.written(1)
	if p := f.verify(f.db); len(p) != 0 {
		t.Errorf("problems %q", p)
	}
}

func TestEvents(t *testing.T) {
	f := newFixture(t)
	f.record(f.invoke(worker), nil, nil)
	f.record(f.remove(root), nil, nil)
	f.at = noon.Add(time.Hour)
	call := f.remove(worker)
	call.Authorized = append(call.Authorized, aws.Access{Action: "iam:PassRole", Resource: role})
	f.record(call, nil, aws.ErrAccessDenied.New("no"))
	got := f.events(Query{RoleArn: role})
	if len(got) != 2 || got[0].Allowed() || got[0].Access[1].Action != "iam:PassRole" || got[1].Action != "lambda:InvokeFunction" || got[1].Resources[0].ARN != hello {
		t.Errorf("events %+v", got)
	}
	if got := f.events(Query{RoleArn: role, From: noon.Add(time.Minute)}); len(got) != 1 {
		t.Errorf("%d events since a minute past noon", len(got))
	}
	if got := f.events(Query{To: noon}); len(got) != 2 {
		t.Errorf("%d events until noon", len(got))
	}
	for range f.Events(t.Context(), Query{Account: account}) {
		break
	}
}

func FuzzChunk(f *testing.F) {
	b := newBatch()
	if err := b.add(logID{account, data}, []byte(`{"op":"Invoke","record":{"eventTime":"2026-11-21T12:00:00Z"}}`), noon); err != nil {
		f.Fatal(err)
	}
	if err := b.close(); err != nil {
		f.Fatal(err)
	}
	f.Add(chunkData(1, hash{}, b.logs[b.order[0]].chunks[0].lines), 1)
	f.Fuzz(func(t *testing.T, text []byte, count int) {
		_, _, p, err := openChunk(store.Chunk{Data: text, Count: count})
		if err != nil {
			return
		}
		lines, err := p.texts()
		if err != nil {
			return
		}
		for _, l := range lines {
			if e, err := parseEvent(l); err == nil && e == nil {
				t.Error("neither an event nor an error")
			}
		}
	})
}
