package sqlite

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// heldSyncs are syncs that wait until they are let go.
type heldSyncs struct {
	begun chan struct{}
	goOn  chan error
}

// hold makes the syncs of a store wait, from now on.
func hold(t *testing.T) (Options, *heldSyncs) {
	t.Helper()
	h := &heldSyncs{begun: make(chan struct{}, 100), goOn: make(chan error)}
	sync := newSync()
	return Options{sync: func(f *os.File) error {
		h.begun <- struct{}{}
		if err := <-h.goOn; err != nil {
			return err
		}
		return sync(f)
	}}, h
}

func soon[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func notYet[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	select {
	case v := <-c:
		t.Fatalf("%s did not wait: %v", what, v)
	case <-time.After(30 * time.Millisecond):
	}
}

func begin(s store.Store, fn func(store.Tx) error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Update(context.Background(), fn) }()
	return done
}

func view(s store.Store, key string) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- s.View(context.Background(), func(tx store.Tx) error {
			_, err := tx.Get("t", scope, key)
			return err
		})
	}()
	return done
}

// While a group is synced the next one runs. Nobody hears of either before it is durable: not its callers, not who read it, and
// not who was refused because of it.
func TestNobodyHearsOfWhatIsNotDurable(t *testing.T) {
	o, syncs := hold(t)
	s := openWith(t, o)
	first := begin(s, func(tx store.Tx) error { return putKey(tx, "a", []byte("1")) })
	soon(t, "the first sync", syncs.begun)

	ran := make(chan struct{}, 1)
	refusal := errors.New("there is an a")
	refused := begin(s, func(tx store.Tx) error {
		ran <- struct{}{}
		if _, err := tx.Get("t", scope, "a"); err != nil {
			return err
		}
		return refusal
	})
	soon(t, "the next function, while the first sync goes on", ran)
	reader := view(s, "a")
	notYet(t, "the first caller", first)
	notYet(t, "who was refused", refused)
	notYet(t, "the reader", reader)

	syncs.goOn <- nil
	if err := soon(t, "the first caller", first); err != nil {
		t.Error(err)
	}
	if err := soon(t, "who was refused", refused); !errors.Is(err, refusal) {
		t.Errorf("who was refused got %v", err)
	}
	if err := soon(t, "the reader", reader); err != nil {
		t.Error(err)
	}
}

// What is waiting when a sync ends is one group, however much that is.
func TestAGroupGrowsWhileTheOneBeforeItIsSynced(t *testing.T) {
	o, syncs := hold(t)
	s := openWith(t, o)
	first := begin(s, func(tx store.Tx) error { return putKey(tx, "first", nil) })
	soon(t, "the first sync", syncs.begun)
	var rest []<-chan error
	ran := make(chan struct{}, 50)
	for i := range cap(ran) {
		rest = append(rest, begin(s, func(tx store.Tx) error {
			ran <- struct{}{}
			return putKey(tx, string(rune('a'+i)), nil)
		}))
	}
	for range cap(ran) {
		soon(t, "a function of the second group", ran)
	}
	syncs.goOn <- nil
	soon(t, "the second sync", syncs.begun)
	syncs.goOn <- nil
	for _, c := range append(rest, first) {
		if err := soon(t, "a caller", c); err != nil {
			t.Error(err)
		}
	}
	if len(syncs.begun) > 0 {
		t.Error("the second group took more than one sync")
	}
}

// After a sync that failed the store answers nothing but errors: what it has seen may not be there after a power cut.
func TestASyncThatFails(t *testing.T) {
	o, syncs := hold(t)
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	first := begin(s, func(tx store.Tx) error { return putKey(tx, "a", nil) })
	soon(t, "the first sync", syncs.begun)
	ran := make(chan struct{}, 1)
	second := begin(s, func(tx store.Tx) error {
		ran <- struct{}{}
		return putKey(tx, "b", nil)
	})
	soon(t, "the second function", ran)
	reader := view(s, "a")
	bad := errors.New("the disk is on fire")
	syncs.goOn <- bad
	third := begin(s, func(tx store.Tx) error { return putKey(tx, "c", nil) })
	for name, c := range map[string]<-chan error{"first": first, "second": second, "third": third, "reader": reader, "late reader": view(s, "a")} {
		if err := soon(t, "the "+name, c); !errors.Is(err, bad) || !strings.Contains(err.Error(), "start Enfold again") {
			t.Errorf("the %s got %v", name, err)
		}
	}
	if len(syncs.begun) > 0 {
		t.Error("something was synced after a sync that failed")
	}
	mustClose(t, s)
	again, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, again)
	if hasKey(t, again, "b") || hasKey(t, again, "c") {
		t.Error("what was refused is there")
	}
}

// A transaction that changed nothing waits for no sync of its own, but for that of what it read.
func TestWhatChangesNothingIsNotSynced(t *testing.T) {
	o, syncs := hold(t)
	s := openWith(t, o)
	look := func(tx store.Tx) error {
		_, err := tx.Claim("q", scope, 1, time.Now(), time.Minute)
		return err
	}
	if err := soon(t, "a claim that finds nothing", begin(s, look)); err != nil {
		t.Fatal(err)
	}
	first := begin(s, func(tx store.Tx) error { return putKey(tx, "a", nil) })
	soon(t, "the first sync", syncs.begun)
	behind := begin(s, look)
	notYet(t, "who came behind a change", behind)
	syncs.goOn <- nil
	for _, c := range []<-chan error{first, behind} {
		if err := soon(t, "a caller", c); err != nil {
			t.Error(err)
		}
	}
	if len(syncs.begun) > 0 {
		t.Error("what changed nothing was synced")
	}
}
