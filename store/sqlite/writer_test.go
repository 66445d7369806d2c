package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

func openWith(t *testing.T, o Options) *db {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s.(*db)
}

func putKey(tx store.Tx, key string, value []byte) error {
	_, err := tx.Put("t", scope, key, value, store.Cond{})
	return err
}

func hasKey(t *testing.T, s store.Store, key string) bool {
	t.Helper()
	var err error
	if verr := s.View(t.Context(), func(tx store.Tx) error {
		_, err = tx.Get("t", scope, key)
		return nil
	}); verr != nil {
		t.Fatal(verr)
	}
	return err == nil
}

// inOneGroup runs the functions in one group, in their order: they wait in the queue while the writer is held.
func inOneGroup(t *testing.T, s *db, fns ...func(store.Tx) error) []error {
	t.Helper()
	<-s.writer.pen
	errs := make([]error, len(fns))
	var group sync.WaitGroup
	for i, fn := range fns {
		group.Go(func() { errs[i] = s.Update(context.Background(), fn) })
		for began := time.Now(); len(s.writer.calls) != i+1; {
			if time.Since(began) > 10*time.Second {
				t.Fatal("the calls do not reach the writer")
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	s.writer.pass(true)
	group.Wait()
	return errs
}

// A function that is alone and ends its goroutine is undone, and does not hold up those that came meanwhile.
func TestEndedAlone(t *testing.T) {
	s := openWith(t, Options{})
	const others = 20
	var group sync.WaitGroup
	errs := make([]error, others)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Update(context.Background(), func(tx store.Tx) error {
			if err := putKey(tx, "ended", nil); err != nil {
				t.Error(err)
			}
			for i := range others {
				group.Go(func() {
					errs[i] = s.Update(context.Background(), func(tx store.Tx) error { return putKey(tx, fmt.Sprint(i), nil) })
				})
			}
			for began := time.Now(); len(s.writer.calls) != others; time.Sleep(100 * time.Microsecond) {
				if time.Since(began) > 10*time.Second {
					t.Error("the calls do not reach the writer")
					break
				}
			}
			runtime.Goexit()
			return nil
		})
		t.Error("the goroutine goes on")
	}()
	soon(t, "the end of the goroutine", ended)
	group.Wait()
	for i, err := range errs {
		if err != nil || !hasKey(t, s, fmt.Sprint(i)) {
			t.Errorf("another was told %v", err)
		}
	}
	if hasKey(t, s, "ended") {
		t.Error("what was not finished is there")
	}
}

// The one who fills the disk is refused; those before and behind it in its group are not.
func TestFullInOneGroup(t *testing.T) {
	s := openWith(t, Options{maxPages: 200})
	big := make([]byte, 1<<20)
	runs := 0
	errs := inOneGroup(t, s,
		func(tx store.Tx) error { runs++; return putKey(tx, "before", nil) },
		func(tx store.Tx) error { return putKey(tx, "big", big) },
		func(tx store.Tx) error { return putKey(tx, "behind", nil) },
	)
	if errs[0] != nil || !errors.Is(errs[1], store.ErrFull) || errs[2] != nil {
		t.Errorf("errors %v: want only the second, ErrFull", errs)
	}
	if runs != 2 {
		t.Errorf("the first ran %d times: they were not in one group", runs)
	}
	for key, want := range map[string]bool{"before": true, "big": false, "behind": true} {
		if hasKey(t, s, key) != want {
			t.Errorf("row %q there: %v, want %v", key, !want, want)
		}
	}
}

// When the commit fails nobody of the group is told that it was done, a refusal on the ground of a neighbour's write included.
func TestCommitFails(t *testing.T) {
	s := openWith(t, Options{})
	s.writer.pause.Lock()
	err := s.writer.conn.script(`PRAGMA foreign_keys=1; CREATE TABLE parent (id INTEGER PRIMARY KEY);
		CREATE TABLE kid (p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`)
	s.writer.pause.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	odd := errors.New("odd")
	errs := inOneGroup(t, s,
		func(tx store.Tx) error { return putKey(tx, "a", nil) },
		func(tx store.Tx) error {
			if _, err := tx.Get("t", scope, "a"); err != nil {
				return err
			}
			return odd
		},
		func(tx store.Tx) error {
			return errors.Join(putKey(tx, "b", nil), s.writer.conn.script("INSERT INTO kid VALUES (7)"))
		},
		func(tx store.Tx) error { return putKey(tx, "c", nil) },
	)
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "commit: ") {
			t.Errorf("caller %d was told %v", i, err)
		}
	}
	if !errors.Is(errs[1], odd) {
		t.Errorf("the one that failed was told %v", errs[1])
	}
	for _, key := range []string{"a", "b", "c"} {
		if hasKey(t, s, key) {
			t.Errorf("row %q is there", key)
		}
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return putKey(tx, "d", nil) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A connection that cannot begin is replaced.
func TestConnectionReplaced(t *testing.T) {
	s := openWith(t, Options{})
	if err := s.writer.conn.script("BEGIN"); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return putKey(tx, "a", nil) }); err != nil {
		t.Errorf("update: %v", err)
	}
	if !hasKey(t, s, "a") {
		t.Error("the row is not there")
	}
}

// The number of a space that a transaction made is forgotten with it: or rows would go to a space that is nobody's.
func TestSpaceForgotten(t *testing.T) {
	s := openWith(t, Options{})
	odd := errors.New("odd")
	errs := inOneGroup(t, s,
		func(tx store.Tx) error { return nil },
		func(tx store.Tx) error { return errors.Join(putKey(tx, "a", nil), odd) },
		func(tx store.Tx) error { return putKey(tx, "b", nil) },
	)
	if errs[0] != nil || !errors.Is(errs[1], odd) || errs[2] != nil {
		t.Fatalf("errors %v", errs)
	}
	if hasKey(t, s, "a") || !hasKey(t, s, "b") {
		t.Errorf("row a: %v, row b: %v", hasKey(t, s, "a"), hasKey(t, s, "b"))
	}
}

// That a queue is gone is forgotten with the transaction that purged it, and that a table is not there with the first row.
func TestAbsenceForgotten(t *testing.T) {
	s := openWith(t, Options{})
	ctx := t.Context()
	if err := s.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Get("t", scope, "a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a row of no table: %v", err)
		}
		_, err := tx.Enqueue("q", scope, store.Message{Body: []byte("m")})
		return errors.Join(err, putKey(tx, "a", nil))
	}); err != nil || !hasKey(t, s, "a") {
		t.Errorf("the first row: %v", err)
	}
	odd := errors.New("odd")
	depth := func(tx store.Tx) int64 {
		d, err := tx.Depth("q", scope, time.Now())
		if err != nil {
			t.Error(err)
		}
		return d.Due
	}
	if err := s.Update(ctx, func(tx store.Tx) error {
		if err := tx.Purge("q", scope); err != nil {
			t.Error(err)
		}
		if n := depth(tx); n != 0 {
			t.Errorf("%d messages of a purged queue", n)
		}
		return odd
	}); !errors.Is(err, odd) {
		t.Error(err)
	}
	if err := s.Update(ctx, func(tx store.Tx) error {
		if n := depth(tx); n != 1 {
			t.Errorf("%d messages of a queue that was not purged after all", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Under writes without a pause the write-ahead log is begun anew and does not grow without end, and so with readers.
func TestLogOfWritesIsBounded(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{noSync: true})
	if err != nil {
		t.Fatal(err)
	}
	d := s.(*db)
	defer mustClose(t, s)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				hasKey(t, s, "k0")
			}
		}
	})
	const writers, each = 8, 350 // 280 MB, four times the size at which it is begun anew
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			value := make([]byte, 100_000)
			for i := range each {
				_, _ = rand.Read(value) // SQLite does not write a page that stays the same
				err := s.Update(context.Background(), func(tx store.Tx) error { return putKey(tx, fmt.Sprint("k", w, i%2), value) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	group.Wait()
	info, err := os.Stat(d.writer.file.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the log has %d MiB after %d MB", info.Size()>>20, writers*each/10)
	if info.Size() > 150<<20 {
		t.Errorf("the log has %d MiB", info.Size()>>20)
	}
}

// A snapshot that is held keeps the log of writes from being begun anew. Writers do not wait for it, and once it is let go the
// log is begun anew and its file cut to size.
func TestHeldSnapshot(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{noSync: true})
	if err != nil {
		t.Fatal(err)
	}
	d := s.(*db)
	defer mustClose(t, s)
	value := make([]byte, 1<<20)
	write := func(n int) {
		t.Helper()
		for range n {
			_, _ = rand.Read(value) // SQLite does not write a page that stays the same
			if err := s.Update(t.Context(), func(tx store.Tx) error { return putKey(tx, "k", value) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(d.writer.file.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size() >> 20
	}
	c, err := d.writer.file.connect("busy_timeout=50")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	write(1)
	err = s.View(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Get("t", scope, "k"); err != nil {
			return err
		}
		write(150)
		if quiet := d.check.restart(c, 1000); quiet != 1000+restartPages {
			t.Errorf("a restart that a snapshot prevents: next at %d pages", quiet)
		}
		if size() < 100 {
			t.Errorf("the log has %d MiB: the snapshot held nothing", size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if quiet := d.check.restart(c, 1000); quiet != 0 {
		t.Errorf("a restart that nothing prevents: next at %d pages", quiet)
	}
	write(1)
	if size() > 65 {
		t.Errorf("the log still has %d MiB", size())
	}
}

// Every statement of the hot paths finds its rows by an index.
func TestPlans(t *testing.T) {
	s := openWith(t, Options{})
	if err := s.Logs().Append(t.Context(), "l", scope, store.Chunk{}); err != nil {
		t.Fatal(err)
	}
	for f, queries := range map[file][]*query{
		s.writer.file: {qSpace, qGet, qScan, qScanBack, qInGroup, qDedup, qOldDedup, qClaimed, qAck, qUnblock, qExtend, qTally, qDueNow, qNextDue, qTrash, qReapBodies, qReap, qReapDedups, qReturn, qLookup, qLeased, qHeads, qBehind, qOne, qLine, qRun, qFront, qRemove, qPromote, qSoonest, qReady, qLease, qTake, qBody, qReadLog, qLastChunk, qTrimLog, qAnyRecord},
		s.logs.file:   {qLogRange, qLogRangeBack, qDeleteOf, qAnyLogged},
	} {
		c, err := f.connect()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			plan := explain(t, c, q)
			// A subquery that is bounded by its own search may be gone through.
			scans := strings.Contains(strings.NewReplacer("SCAN CONSTANT ROW", "", "SCAN (subquery-1)", "").Replace(plan), "SCAN")
			if scans || strings.Contains(plan, "USE TEMP B-TREE") {
				t.Errorf("%s: %s", q.sql, plan)
			}
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
}

func explain(t *testing.T, c *conn, q *query) string {
	t.Helper()
	var plan []string
	args := make([]any, max(strings.Count(q.sql, "?"), 1))
	if strings.Contains(q.sql, "?1") {
		args = args[:1]
	}
	if strings.Contains(q.sql, "?2") {
		args = make([]any, 2)
	}
	for i := range args {
		args[i] = int64(100)
	}
	err := c.each(&query{"EXPLAIN QUERY PLAN " + q.sql}, func(row []driver.Value) error {
		plan = append(plan, asText(row[3]))
		return nil
	}, args...)
	if err != nil {
		t.Fatalf("%s: %v", q.sql, err)
	}
	return strings.Join(plan, "; ")
}

// When the disk takes nothing and the memory for logs is full, Append says so instead of waiting for ever.
func TestLogsMemoryIsBounded(t *testing.T) {
	s := openWith(t, Options{maxPages: 50})
	chunk := store.Chunk{Data: make([]byte, 1<<20)}
	var err error
	n := 0
	for ; n < 200 && err == nil; n++ {
		err = s.Logs().Append(t.Context(), "l", scope, chunk)
	}
	if !errors.Is(err, store.ErrFull) || n < 60 || n > 70 {
		t.Errorf("after %d MiB: %v, want ErrFull after 64", n, err)
	}
	if err := s.Logs().Sync(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("sync: %v, want ErrFull", err)
	}
	if err := s.Logs().Delete(t.Context(), "l", scope); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := s.Logs().Append(t.Context(), "l", scope, store.Chunk{Data: []byte("x")}); err != nil {
		t.Errorf("append when there is room: %v", err)
	}
	if err := s.Logs().Sync(t.Context()); err != nil {
		t.Errorf("sync when there is room: %v", err)
	}
	if s.logs.bytes != 0 {
		t.Errorf("%d bytes are counted of nothing", s.logs.bytes)
	}
}

func TestTooLargeTransaction(t *testing.T) {
	s := openWith(t, Options{})
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for i := range 17 {
			if err := putKey(tx, fmt.Sprint(i), make([]byte, store.MaxValue)); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a transaction of 272 MiB: %v, want ErrTooLarge", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.writer.file.path), "*journal*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
