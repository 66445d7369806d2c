package storetest

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// minute is a chunk of records between two minutes after noon.
func minute(data string, first, last int) store.Chunk {
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	return store.Chunk{First: at(first), Last: at(last), Count: last - first + 1, Data: []byte(data)}
}

// data joins what a read yields and checks that the numbers grow, or fall.
func data(t *testing.T, seq iter.Seq2[store.Chunk, error], down bool) (string, []int64) {
	t.Helper()
	var all []string
	var seqs []int64
	for c, err := range seq {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if n := len(seqs); n > 0 && (c.Sequence > seqs[n-1]) == down || c.Sequence <= 0 {
			t.Errorf("sequence %d after %v", c.Sequence, seqs)
		}
		all, seqs = append(all, string(c.Data)), append(seqs, c.Sequence)
	}
	return strings.Join(all, " "), seqs
}

func testMainLog(t *testing.T, open Open) {
	s := opened(t, open)
	var seqs []int64
	update(t, s, func(tx store.Tx) error {
		seqs = nil
		for i := range 300 {
			n, err := tx.Append("l", here, minute(fmt.Sprint(i), i, i))
			if err != nil {
				return err
			}
			seqs = append(seqs, n)
		}
		_, err := tx.Append("l", there, minute("theirs", 0, 0))
		return err
	})
	if !slices.IsSorted(seqs) || seqs[0] <= 0 {
		t.Errorf("sequences %v: want positive and growing", seqs)
	}
	read := func(after int64, limit int) (got string) {
		t.Helper()
		view(t, s, func(tx store.Tx) error {
			got, _ = data(t, tx.ReadLog("l", here, after, limit), false)
			return nil
		})
		return got
	}
	if got := len(strings.Fields(read(0, 0))); got != 300 {
		t.Errorf("read %d chunks, want 300", got)
	}
	if got := read(seqs[297], 0); got != "298 299" {
		t.Errorf("read %q after the 298th", got)
	}
	if got := read(seqs[9], 3); got != "10 11 12" {
		t.Errorf("read %q, want three after the tenth", got)
	}
	update(t, s, func(tx store.Tx) error { return tx.TrimLog("l", here, seqs[298]) })
	if got := read(0, 0); got != "299" {
		t.Errorf("read %q after the trim", got)
	}
	view(t, s, func(tx store.Tx) error {
		for c, err := range tx.ReadLog("l", here, 0, 0) {
			if want := minute("299", 299, 299); err != nil || !c.First.Equal(want.First) || !c.Last.Equal(want.Last) || c.Count != 1 {
				t.Errorf("chunk %+v, %v: want %+v", c, err, want)
			}
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error { return tx.TrimLog("l", here, seqs[299]) })
	update(t, s, func(tx store.Tx) error {
		n, err := tx.Append("l", here, minute("new", 0, 0))
		if n <= seqs[299] {
			t.Errorf("sequence %d in a log that was trimmed, want more than %d", n, seqs[299])
		}
		return err
	})
}

func testLogs(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := t.Context()
	add := func(sc store.Scope, c ...store.Chunk) {
		t.Helper()
		if err := s.Logs().Append(ctx, "l", sc, c...); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	check := func(when string) {
		t.Helper()
		var seqs []int64
		for _, test := range []struct {
			r    store.LogRange
			want string
		}{
			{store.LogRange{}, "a b c d"},
			{store.LogRange{Reverse: true}, "d c b a"},
			{store.LogRange{Limit: 2}, "a b"},
			{store.LogRange{Limit: 3, Reverse: true}, "d c b"},
			{store.LogRange{From: noon.Add(2 * time.Minute)}, "b c d"},
			{store.LogRange{To: noon.Add(2 * time.Minute)}, "a b"},
			{store.LogRange{From: noon.Add(3 * time.Minute), To: noon.Add(4 * time.Minute)}, "b c"},
			{store.LogRange{From: noon.Add(time.Hour)}, ""},
		} {
			got, ns := data(t, s.Logs().Read(ctx, "l", here, test.r), test.r.Reverse)
			if got != test.want {
				t.Errorf("%s: read %+v: got %q, want %q", when, test.r, got, test.want)
			}
			if len(ns) == 4 && seqs == nil {
				seqs = ns
			}
		}
		if len(seqs) != 4 {
			return
		}
		if got, _ := data(t, s.Logs().Read(ctx, "l", here, store.LogRange{After: seqs[1]}), false); got != "c d" {
			t.Errorf("%s: read after the second: %q", when, got)
		}
		if got, _ := data(t, s.Logs().Read(ctx, "l", here, store.LogRange{After: seqs[2], Reverse: true}), true); got != "b a" {
			t.Errorf("%s: read back from the third: %q", when, got)
		}
	}
	sync := func() {
		t.Helper()
		if err := s.Logs().Sync(ctx); err != nil {
			t.Fatalf("sync: %v", err)
		}
	}
	add(here, minute("a", 0, 1), minute("b", 2, 3))
	sync()
	add(here, minute("c", 3, 5), minute("d", 5, 6)) // on disk and in memory
	add(there, minute("theirs", 0, 9))
	check("half on disk")
	sync()
	check("on disk")
	shut(t, s)
	s = open(t, dir)
	defer func() { shut(t, s) }()
	check("opened again")
	add(here, minute("e", 7, 7))
	if err := s.Logs().DeleteBefore(ctx, "l", here, noon.Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, _ := data(t, s.Logs().Read(ctx, "l", here, store.LogRange{}), false); got != "c d e" {
		t.Errorf("after DeleteBefore: %q", got)
	}
	add(here, minute("f", 1, 1))
	if err := s.Logs().Delete(ctx, "l", here); err != nil {
		t.Fatal(err)
	}
	add(here, minute("g", 1, 1))
	sync()
	if got, _ := data(t, s.Logs().Read(ctx, "l", here, store.LogRange{}), false); got != "g" {
		t.Errorf("after Delete: %q", got)
	}
	if got, _ := data(t, s.Logs().Read(ctx, "l", there, store.LogRange{}), false); got != "theirs" {
		t.Errorf("the log of another account: %q", got)
	}
}

// What reaches the disk while a Read is under way is given once. Reversed, because then the newest chunks come first.
func testLogsFlushed(t *testing.T, open Open) {
	s := opened(t, open)
	if err := s.Logs().Append(t.Context(), "l", here, minute("a", 0, 1), minute("b", 2, 3), minute("c", 4, 5)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for c, err := range s.Logs().Read(t.Context(), "l", here, store.LogRange{Reverse: true}) {
		if err == nil {
			err = s.Logs().Sync(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(c.Data))
	}
	if !slices.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("got %q, want each once, the last first", got)
	}
}

// Many writers and readers at once: each reader sees a log without a hole, however much of it is still in memory.
func testLogsMany(t *testing.T, open Open) {
	s := opened(t, open)
	const writers, chunks = 4, 300
	var group sync.WaitGroup
	for w := range writers {
		name := fmt.Sprint("log", w)
		group.Go(func() {
			for i := range chunks {
				c := store.Chunk{First: noon, Last: noon, Count: i, Data: make([]byte, 5_000)}
				if err := s.Logs().Append(t.Context(), name, here, c); err != nil {
					t.Error(err)
					return
				}
			}
		})
		group.Go(func() {
			for seen := 0; seen < chunks; {
				n, last := 0, int64(0)
				for c, err := range s.Logs().Read(t.Context(), name, here, store.LogRange{}) {
					if err != nil || c.Count != n || c.Sequence <= last {
						t.Errorf("chunk %d of %s: number %d, sequence %d after %d, %v", n, name, c.Count, c.Sequence, last, err)
						return
					}
					last = c.Sequence
					n++
				}
				if n < seen {
					t.Errorf("%s: saw %d chunks and then %d", name, seen, n)
					return
				}
				seen = n
			}
		})
	}
	group.Wait()
	if err := s.Logs().Sync(t.Context()); err != nil {
		t.Error(err)
	}
	for _, err := range s.Logs().Read(t.Context(), "none", here, store.LogRange{}) {
		t.Errorf("a log that does not exist: %v", err)
	}
	if err := s.Logs().Delete(t.Context(), "none", here); err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("delete a log that does not exist: %v", err)
	}
}
