package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/enfold-run/enfold/store"
)

// Who fails after it wrote has nothing of it kept, and its neighbours lose nothing: the group runs again, with savepoints. The next
// who fails so costs nobody anything.
func TestFailedWriteInAGroup(t *testing.T) {
	odd := errors.New("odd")
	fails := map[string]func(store.Tx) error{
		"an error": func(tx store.Tx) error { return errors.Join(putKey(tx, "bad", nil), odd) },
		"a refused write": func(tx store.Tx) error {
			_, err := tx.Put("t", scope, "before", nil, store.IfAbsent())
			return errors.Join(putKey(tx, "bad", nil), err)
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			s := openWith(t, Options{})
			for round, want := range []int{2, 1} {
				runs := 0
				errs := inOneGroup(t, s,
					func(tx store.Tx) error { runs++; return putKey(tx, "before", []byte{byte(round)}) },
					fail,
					func(tx store.Tx) error {
						if _, err := tx.Get("t", scope, "bad"); !errors.Is(err, store.ErrNotFound) {
							return fmt.Errorf("what was taken back: %w", err)
						}
						return putKey(tx, "behind", []byte{byte(round)})
					},
				)
				if errs[0] != nil || errs[1] == nil || errs[2] != nil {
					t.Errorf("round %d: errors %v, want only the second", round, errs)
				}
				if runs != want {
					t.Errorf("round %d: the first ran %d times, want %d", round, runs, want)
				}
			}
			for key, want := range map[string]bool{"before": true, "bad": false, "behind": true} {
				if hasKey(t, s, key) != want {
					t.Errorf("row %q there: %v, want %v", key, !want, want)
				}
			}
		})
	}
}

// Who fails without having written anything costs nobody anything.
func TestFailedReadInAGroup(t *testing.T) {
	s := openWith(t, Options{})
	runs := 0
	errs := inOneGroup(t, s,
		func(tx store.Tx) error { runs++; return putKey(tx, "before", nil) },
		func(tx store.Tx) error {
			_, err := tx.Get("t", scope, "none")
			return err
		},
		func(tx store.Tx) error { return putKey(tx, "behind", nil) },
	)
	if errs[0] != nil || !errors.Is(errs[1], store.ErrNotFound) || errs[2] != nil || runs != 1 {
		t.Errorf("errors %v, the first ran %d times", errs, runs)
	}
	if !hasKey(t, s, "before") || !hasKey(t, s, "behind") {
		t.Error("a row is not there")
	}
}

// A panic and the end of a goroutine after a write undo that write only, and nobody waits for ever.
func TestEndedAfterAWrite(t *testing.T) {
	s := openWith(t, Options{})
	s.writer.pause.Lock()
	ends := []func(){func() {}, func() { panic("odd") }, func() {}, runtime.Goexit, func() {}}
	var all sync.WaitGroup
	for i, end := range ends {
		all.Go(func() {
			defer func() { _ = recover() }()
			_ = s.Update(context.Background(), func(tx store.Tx) error {
				err := putKey(tx, fmt.Sprint(i), nil)
				end()
				return err
			})
		})
	}
	s.writer.pause.Unlock()
	all.Wait()
	for i, want := range []bool{true, false, true, false, true} {
		if hasKey(t, s, fmt.Sprint(i)) != want {
			t.Errorf("row %d there: %v, want %v", i, !want, want)
		}
	}
}
