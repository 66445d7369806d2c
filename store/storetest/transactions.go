package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// writeAll writes one thing of each primitive.
func writeAll(tx store.Tx, name string) error {
	if _, err := tx.Put("t", here, name, []byte(name), store.Cond{}); err != nil {
		return err
	}
	if _, err := tx.Enqueue("q", here, store.Message{ID: name, Group: name}); err != nil {
		return err
	}
	_, err := tx.Append("l", here, store.Chunk{Data: []byte(name)})
	return err
}

// readAll answers what writeAll left: names of rows, of messages, of chunks.
func readAll(t *testing.T, s store.Store) string {
	t.Helper()
	var rows, chunks []string
	var d store.Depth
	view(t, s, func(tx store.Tx) error {
		rows, chunks = nil, nil
		for r, err := range tx.Scan("t", here, store.Range{}) {
			if err != nil {
				return err
			}
			rows = append(rows, r.Key)
		}
		for c, err := range tx.ReadLog("l", here, 0, 0) {
			if err != nil {
				return err
			}
			chunks = append(chunks, string(c.Data))
		}
		var err error
		d, err = tx.Depth("q", here, noon)
		return err
	})
	return fmt.Sprintf("%s;%d;%s", strings.Join(rows, ","), d.Due, strings.Join(chunks, ","))
}

func testUndone(t *testing.T, open Open) {
	s := opened(t, open)
	update(t, s, func(tx store.Tx) error { return writeAll(tx, "kept") })
	odd := errors.New("odd")
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(writeAll(tx, "failed"), odd)
	}); !errors.Is(err, odd) {
		t.Errorf("a function that fails: got %v", err)
	}
	value := func() (v any) {
		defer func() { v = recover() }()
		err := s.Update(t.Context(), func(tx store.Tx) error {
			if err := writeAll(tx, "panicked"); err != nil {
				return err
			}
			panic(odd)
		})
		return err
	}()
	if err, ok := value.(error); !ok || !errors.Is(err, odd) {
		t.Errorf("a function that panics: got %v, want its value", value)
	}
	ended := make(chan struct{})
	go func() { // the function may run in its caller's goroutine, or in another: then there is an error
		defer close(ended)
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			if err := writeAll(tx, "ended"); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		}); err == nil {
			t.Error("a function that ends its goroutine: no error")
		}
	}()
	<-ended
	if got, want := readAll(t, s), "kept;1;kept"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	update(t, s, func(tx store.Tx) error { return writeAll(tx, "after") })
	if got, want := readAll(t, s), "after,kept;2;kept,after"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A Tx that is kept answers errors and harms nobody.
func testOver(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, here, "a", "1")
	var kept []store.Tx
	keep := func(tx store.Tx) error {
		kept = append(kept, tx)
		return nil
	}
	update(t, s, keep)
	view(t, s, keep)
	for _, tx := range kept {
		if _, err := tx.Get("t", here, "a"); err == nil {
			t.Error("get in a transaction that is over: no error")
		}
		if err := writeAll(tx, "late"); err == nil {
			t.Error("write in a transaction that is over: no error")
		}
		n := 0
		for _, err := range tx.Scan("t", here, store.Range{}) {
			if n++; err == nil {
				t.Error("scan in a transaction that is over: no error")
			}
		}
		for _, err := range tx.ReadLog("l", here, 0, 0) {
			if n++; err == nil {
				t.Error("read in a transaction that is over: no error")
			}
		}
		if n != 2 {
			t.Errorf("%d results in a transaction that is over, want two errors", n)
		}
	}
	if got := readAll(t, s); got != "a;0;" {
		t.Errorf("got %q", got)
	}
}

func testView(t *testing.T, open Open) {
	s := opened(t, open)
	update(t, s, func(tx store.Tx) error { return writeAll(tx, "a") })
	view(t, s, func(tx store.Tx) error {
		for name, err := range map[string]error{
			"put":     second(tx.Put("t", here, "k", nil, store.Cond{})),
			"delete":  tx.Delete("t", here, "a", store.Cond{}),
			"enqueue": second(tx.Enqueue("q", here, store.Message{})),
			"claim":   second(tx.Claim("q", here, 1, noon, time.Minute)),
			"ack":     tx.Ack("q", here, "AAAAAAAAAAAAAAAAAAAAAA"),
			"extend":  tx.Extend("q", here, "AAAAAAAAAAAAAAAAAAAAAA", noon),
			"purge":   tx.Purge("q", here),
			"append":  second(tx.Append("l", here, store.Chunk{})),
			"trim":    tx.TrimLog("l", here, 1<<62),
		} {
			if err == nil || errors.Is(err, store.ErrLease) {
				t.Errorf("%s in a View: %v", name, err)
			}
		}
		return nil
	})
	// What is committed while a View runs, it does not see: no row, no message, no chunk.
	odd := errors.New("odd")
	err := s.View(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Get("t", here, "a"); err != nil {
			return err
		}
		done := make(chan error)
		go func() {
			done <- s.Update(t.Context(), func(tx store.Tx) error {
				return errors.Join(tx.Delete("t", here, "a", store.Cond{}), writeAll(tx, "b"), tx.Purge("q", here))
			})
		}()
		if err := <-done; err != nil {
			return err
		}
		if _, err := tx.Get("t", here, "a"); err != nil {
			t.Errorf("a row deleted meanwhile: %v", err)
		}
		if _, err := tx.Get("t", here, "b"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a row written meanwhile: %v", err)
		}
		if d, err := tx.Depth("q", here, noon); err != nil || d.Due != 1 {
			t.Errorf("a queue purged meanwhile: %+v, %v", d, err)
		}
		if got, _ := data(t, tx.ReadLog("l", here, 0, 0), false); got != "a" {
			t.Errorf("a log appended to meanwhile: %q", got)
		}
		return odd
	})
	if !errors.Is(err, odd) {
		t.Errorf("view: %v, want the function's error", err)
	}
	if got := readAll(t, s); got != "b;0;a,b" {
		t.Errorf("afterwards: %q", got)
	}
}

func second[T any](_ T, err error) error { return err }

func testContext(t *testing.T, open Open) {
	s := opened(t, open)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	touch := func(store.Tx) error { ran = true; return nil }
	if err := s.Update(over, touch); !errors.Is(err, context.Canceled) || ran {
		t.Errorf("update with a context that is over: %v, ran %v", err, ran)
	}
	if err := s.View(over, touch); !errors.Is(err, context.Canceled) || ran {
		t.Errorf("view with a context that is over: %v, ran %v", err, ran)
	}
	// One that ends while it waits for its turn does not run, and does not wait.
	busy, free, first := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		first <- s.Update(t.Context(), func(store.Tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Update(soon, touch); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("update whose context ends before its turn: %v", err)
	}
	close(free)
	if err := <-first; err != nil {
		t.Error(err)
	}
	put(t, s, here, "a", "1")
	if ran {
		t.Error("a function ran whose context had ended before its turn")
	}
	// One that ends while the function runs changes nothing: what was done is told.
	mid, cancel := context.WithCancel(t.Context())
	err := s.Update(mid, func(tx store.Tx) error {
		cancel()
		_, err := tx.Put("t", here, "b", []byte("2"), store.Cond{})
		return err
	})
	if got := get(t, s, here, "b"); (err == nil) != (got == "2") {
		t.Errorf("update says %v, the row is %q", err, got)
	}
}

func testClosed(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	put(t, s, here, "a", "1")
	if err := s.Logs().Append(t.Context(), "l", here, store.Chunk{Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	// Close waits for a transaction that runs.
	running, done := make(chan struct{}), make(chan error)
	go func() {
		done <- s.Update(t.Context(), func(tx store.Tx) error {
			close(running)
			time.Sleep(20 * time.Millisecond)
			_, err := tx.Put("t", here, "b", nil, store.Cond{})
			return err
		})
	}()
	<-running
	shut(t, s)
	if err := <-done; err != nil {
		t.Errorf("a transaction that ran when the store was closed: %v", err)
	}
	nothing := func(store.Tx) error { t.Error("a function ran in a store that is closed"); return nil }
	var read error
	for _, err := range s.Logs().Read(t.Context(), "l", here, store.LogRange{}) {
		read = err
	}
	var all error
	for _, err := range s.Blobs().All() {
		all = err
	}
	for name, err := range map[string]error{
		"update":       s.Update(t.Context(), nothing),
		"view":         s.View(t.Context(), nothing),
		"append":       s.Logs().Append(t.Context(), "l", here, store.Chunk{}),
		"read":         read,
		"sync":         s.Logs().Sync(t.Context()),
		"delete log":   s.Logs().Delete(t.Context(), "l", here),
		"put blob":     second(s.Blobs().Put(t.Context(), strings.NewReader("x"), 9)),
		"open blob":    second(s.Blobs().Open("x")),
		"delete blob":  s.Blobs().Delete("x"),
		"all blobs":    all,
		"second close": s.Close(),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after close: %v, want ErrClosed", name, err)
		}
	}
}

func testRestart(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, func(tx store.Tx) error { return writeAll(tx, "a") })
	enqueue(t, s, store.Message{ID: "d", Dedup: "x", DedupFor: time.Hour, Due: noon.Add(time.Minute)})
	got := claim(t, s, 1, noon, time.Minute)
	v1 := put(t, s, here, "b", "1")
	shut(t, s)
	s = open(t, dir)
	defer func() { shut(t, s) }()
	if all := readAll(t, s); all != "a,b;0;a" {
		t.Errorf("opened again: %q", all)
	}
	wantDepth(t, s, noon, store.Depth{Claimed: 1, Delayed: 1})
	if err := ack(t, s, got[0].Receipt); err != nil {
		t.Errorf("ack of a claim from before: %v", err)
	}
	if done := enqueue(t, s, store.Message{Dedup: "x", DedupFor: time.Hour}); !done[0].Duplicate {
		t.Errorf("deduplication id from before: %+v", done)
	}
	if v2 := put(t, s, here, "b", "2"); v2 <= v1 {
		t.Errorf("version %d after %d", v2, v1)
	}
}
