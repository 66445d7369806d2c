package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/store"
)

func testRecords(t *testing.T, open Open) {
	s := opened(t, open)
	v1 := put(t, s, here, "a", "one")
	v2 := put(t, s, here, "a", "two")
	if v1 <= 0 || v2 <= v1 {
		t.Errorf("versions %d, %d: want positive and growing", v1, v2)
	}
	for _, k := range []string{"", "\x00", "a\x00b", "\xff\xfe", "ключ", strings.Repeat("k", store.MaxKey)} {
		put(t, s, here, k, "value of "+k)
		if got := get(t, s, here, k); got != "value of "+k {
			t.Errorf("key %.20q: got %.20q", k, got)
		}
	}
	put(t, s, here, "empty", "")
	if got := get(t, s, here, "empty"); got != "" {
		t.Errorf("empty value: got %q", got)
	}
	for _, sc := range []store.Scope{there, away, {Account: here.Account}, {Region: here.Region}, {}} {
		if got := get(t, s, sc, "a"); got != "-" {
			t.Errorf("scope %v sees the row of %v: %q", sc, here, got)
		}
	}
	update(t, s, func(tx store.Tx) error {
		if _, err := tx.Get("t2", here, "a"); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("another table has the row: %w", err)
		}
		if err := tx.Delete("t", here, "a", store.Cond{}); err != nil {
			return err
		}
		if err := tx.Delete("t", here, "a", store.Cond{}); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("second delete: %w", err)
		}
		if err := tx.Delete("none", here, "a", store.Cond{}); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("delete in no table: %w", err)
		}
		return nil
	})
	if v3 := put(t, s, here, "a", "three"); v3 <= v2 {
		t.Errorf("version %d of a row made again after %d: want a new one", v3, v2)
	}
}

func testConditions(t *testing.T, open Open) {
	s := opened(t, open)
	v1 := put(t, s, here, "a", "one")
	v2 := put(t, s, here, "a", "two")
	for _, test := range []struct {
		name string
		key  string
		cond store.Cond
		put  error
		del  error
	}{
		{"absent, no row", "b", store.IfAbsent(), nil, store.ErrNotFound},
		{"absent, a row", "a", store.IfAbsent(), store.ErrExists, store.ErrConflict},
		{"version", "a", store.IfVersion(v2), nil, nil},
		{"old version", "a", store.IfVersion(v1), store.ErrConflict, store.ErrConflict},
		{"version, no row", "b", store.IfVersion(v2), store.ErrConflict, store.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			undo := errors.New("undo")
			try := func(want error, op func(tx store.Tx) error) {
				t.Helper()
				var got error
				err := s.Update(t.Context(), func(tx store.Tx) error {
					got = op(tx)
					return undo
				})
				if !errors.Is(got, want) || !errors.Is(err, undo) {
					t.Errorf("got %v, want %v (update: %v)", got, want, err)
				}
			}
			try(test.put, func(tx store.Tx) error {
				_, err := tx.Put("t", here, test.key, []byte("x"), test.cond)
				return err
			})
			try(test.del, func(tx store.Tx) error { return tx.Delete("t", here, test.key, test.cond) })
		})
	}
	if got := get(t, s, here, "a") + get(t, s, here, "b"); got != "two-" {
		t.Errorf("after transactions that were all undone: %q", got)
	}
}

func testScan(t *testing.T, open Open) {
	s := opened(t, open)
	var keys []string
	for i := range 300 { // more than a page of any backend
		keys = append(keys, fmt.Sprintf("k%03d", i))
	}
	keys = append(keys, "", "a", "a\x00", "a\x00b", "a\xff", "b", "\xff", "\xff\xff", "\xff\xffz")
	slices.Sort(keys)
	update(t, s, func(tx store.Tx) error {
		for _, k := range keys {
			if _, err := tx.Put("t", here, k, []byte("v"+k), store.Cond{}); err != nil {
				return err
			}
		}
		_, err := tx.Put("t", there, "k1", nil, store.Cond{})
		return err
	})
	for _, r := range []store.Range{
		{},
		{Reverse: true},
		{Prefix: "k"},
		{Prefix: "k1", Reverse: true},
		{Prefix: "a\x00"},
		{Prefix: "\xff"},
		{Prefix: "\xff\xff", Reverse: true},
		{After: "a"},
		{After: "k150", Limit: 7},
		{After: "k150", Limit: 7, Reverse: true},
		{After: "nothing like it", Reverse: true},
		{Prefix: "k2", After: "k1"},
		{Prefix: "k2", After: "k3"},
		{Prefix: "k2", After: "k3", Reverse: true},
		{Prefix: "k2", After: "k1", Reverse: true},
		{Prefix: "k2", After: "k250", Limit: 1},
		{Limit: 128},
		{Limit: 129},
		{Limit: 1000},
		{Prefix: "zzz"},
	} {
		t.Run(fmt.Sprintf("%+v", r), func(t *testing.T) {
			want := inRange(keys, r)
			check := func(tx store.Tx) error {
				got, err := keysOf(tx, r)
				if err == nil && !slices.Equal(got, want) {
					err = fmt.Errorf("got %q, want %q", got, want)
				}
				return err
			}
			view(t, s, check)
			update(t, s, check)
		})
	}
}

// inRange is what a scan means, on a sorted list.
func inRange(sorted []string, r store.Range) []string {
	var in []string
	for _, k := range sorted {
		if !strings.HasPrefix(k, r.Prefix) {
			continue
		}
		if r.After != "" && ((!r.Reverse && k <= r.After) || (r.Reverse && k >= r.After)) {
			continue
		}
		in = append(in, k)
	}
	if r.Reverse {
		slices.Reverse(in)
	}
	if r.Limit > 0 && len(in) > r.Limit {
		in = in[:r.Limit]
	}
	return in
}

func keysOf(tx store.Tx, r store.Range) ([]string, error) {
	var keys []string
	for rec, err := range tx.Scan("t", here, r) {
		if err != nil {
			return nil, err
		}
		if string(rec.Value) != "v"+rec.Key || rec.Version <= 0 {
			return nil, fmt.Errorf("row %q: value %q, version %d", rec.Key, rec.Value, rec.Version)
		}
		keys = append(keys, rec.Key)
	}
	return keys, nil
}

// A scan sees the table as it was when it began, whatever is written meanwhile, in pages far ahead of it too.
func testScanWhileWriting(t *testing.T, open Open) {
	for _, reverse := range []bool{false, true} {
		t.Run(fmt.Sprint("reverse ", reverse), func(t *testing.T) {
			s := opened(t, open)
			var keys []string
			for i := range 400 {
				keys = append(keys, fmt.Sprintf("k%03d", i))
			}
			update(t, s, func(tx store.Tx) error {
				for _, k := range keys {
					if _, err := tx.Put("t", here, k, []byte("v"+k), store.Cond{}); err != nil {
						return err
					}
				}
				return nil
			})
			update(t, s, func(tx store.Tx) error { return scanAndWrite(tx, keys, reverse) })
		})
	}
}

func scanAndWrite(tx store.Tx, keys []string, reverse bool) error {
	r := store.Range{Reverse: reverse}
	n := 0
	var seen []string
	for rec, err := range tx.Scan("t", here, r) {
		if err != nil {
			return err
		}
		if string(rec.Value) != "v"+rec.Key {
			return fmt.Errorf("row %q as it was written meanwhile: %q", rec.Key, rec.Value)
		}
		seen = append(seen, rec.Key)
		n++
		for _, j := range []int{n, n + 7, n + 150, 399 - n} { // behind, near and far ahead
			key := fmt.Sprintf("k%03d", (j+400)%400)
			err := tx.Delete("t", here, key, store.Cond{})
			if errors.Is(err, store.ErrNotFound) {
				_, err = tx.Put("t", here, key, []byte("changed"), store.Cond{})
			}
			if err != nil {
				return err
			}
			if _, err := tx.Put("t", here, key+"new", []byte("new"), store.Cond{}); err != nil {
				return err
			}
		}
	}
	if want := inRange(keys, r); !slices.Equal(seen, want) {
		return fmt.Errorf("saw %d rows %q, want the %d of the beginning", len(seen), seen, len(want))
	}
	return nil
}

func testScopes(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, there, "a", "1")
	put(t, s, here, "a", "1")
	put(t, s, away, "a", "1")
	put(t, s, store.Scope{Account: "333333333333"}, "a", "1")
	update(t, s, func(tx store.Tx) error {
		_, err := tx.Put("other", store.Scope{Account: "9"}, "a", nil, store.Cond{})
		return err
	})
	update(t, s, func(tx store.Tx) error { return tx.Delete("t", away, "a", store.Cond{}) })
	want := []store.Scope{here, there, {Account: "333333333333"}}
	view(t, s, func(tx store.Tx) error {
		got, err := tx.Scopes("t")
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	})
}

func testLimits(t *testing.T, open Open) {
	s := opened(t, open)
	long := strings.Repeat("n", store.MaxKey+1)
	big := make([]byte, store.MaxValue+1)
	for name, op := range map[string]func(tx store.Tx) error{
		"key":     func(tx store.Tx) error { _, err := tx.Put("t", here, long, nil, store.Cond{}); return err },
		"table":   func(tx store.Tx) error { _, err := tx.Put(long, here, "k", nil, store.Cond{}); return err },
		"value":   func(tx store.Tx) error { _, err := tx.Put("t", here, "k", big, store.Cond{}); return err },
		"queue":   func(tx store.Tx) error { _, err := tx.Enqueue(long, here, store.Message{}); return err },
		"message": func(tx store.Tx) error { _, err := tx.Enqueue("q", here, store.Message{Body: big}); return err },
		"group":   func(tx store.Tx) error { _, err := tx.Enqueue("q", here, store.Message{Group: long}); return err },
		"dedup":   func(tx store.Tx) error { _, err := tx.Enqueue("q", here, store.Message{Dedup: long}); return err },
		"log":     func(tx store.Tx) error { _, err := tx.Append(long, here, store.Chunk{}); return err },
		"chunk":   func(tx store.Tx) error { _, err := tx.Append("l", here, store.Chunk{Data: big}); return err },
	} {
		if err := s.Update(t.Context(), op); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
	if err := s.Logs().Append(t.Context(), "l", here, store.Chunk{Data: big}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("chunk of Logs: got %v, want ErrTooLarge", err)
	}
	if err := s.Logs().Append(t.Context(), long, here, store.Chunk{}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("name of Logs: got %v, want ErrTooLarge", err)
	}
	most := bytes.Repeat([]byte("m"), store.MaxValue)
	update(t, s, func(tx store.Tx) error {
		_, err := tx.Put("t", here, "most", most, store.Cond{})
		return err
	})
	if get(t, s, here, "most") != string(most) {
		t.Error("the largest value did not come back")
	}
}
