package sqlite

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

func claimAt(t *testing.T, s store.Store, now time.Time, then error) (ids []string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		ids = nil
		all, err := tx.Claim("q", scope, 10, now, time.Minute)
		for _, m := range all {
			ids = append(ids, m.ID)
		}
		return errors.Join(err, then)
	})
	if !errors.Is(err, then) {
		t.Fatal(err)
	}
	return ids
}

// What a claim made ready and a refusal took back waits again, and is found by the next claim, whatever was remembered.
func TestAClaimThatIsTakenBackIsMadeAgain(t *testing.T) {
	s := openWith(t, Options{})
	now := time.Now()
	enqueue := func(id string, due time.Time) {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.Enqueue("q", scope, store.Message{ID: id, Body: []byte("x"), Due: due})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(at time.Time, want ...string) {
		t.Helper()
		if got := claimAt(t, s, at, nil); !slices.Equal(got, want) {
			t.Errorf("claimed %v, want %v", got, want)
		}
	}
	enqueue("a", now.Add(time.Hour))
	want(now)
	later := now.Add(2 * time.Hour)
	refusal := errors.New("no")
	if got := claimAt(t, s, later, refusal); len(got) != 1 {
		t.Errorf("claimed %v", got)
	}
	want(later, "a")
	want(later) // it is hidden for a minute
	want(later.Add(2*time.Minute), "a")

	enqueue("b", now.Add(time.Hour)) // due before what is known to be the soonest
	want(later.Add(2*time.Minute), "b")

	// The same in a group that has another transaction before it, which has a savepoint of its own.
	enqueue("c", now.Add(time.Hour))
	want(later, "c")
	errs := inOneGroup(t, s,
		func(tx store.Tx) error { return putKey(tx, "k", nil) },
		func(tx store.Tx) error {
			_, err := tx.Claim("q", scope, 10, later.Add(time.Hour), time.Minute)
			return errors.Join(err, refusal)
		})
	if errs[0] != nil || !errors.Is(errs[1], refusal) {
		t.Fatal(errs)
	}
	want(later.Add(time.Hour), "a", "b", "c")
}

// A claim is two statements, but for the first of all, which finds out when something is due.
func TestAClaimIsTwoStatements(t *testing.T) {
	s := openWith(t, Options{})
	now := time.Now()
	for i := range 4 {
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.Enqueue("q", scope, store.Message{Body: []byte("x")})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		before := s.writer.conn.ran
		if got := claimAt(t, s, now, nil); len(got) != 1 {
			t.Fatalf("claimed %v", got)
		}
		// BEGIN, the claim, the tally, COMMIT
		if n := s.writer.conn.ran - before; n != 5 && i > 0 {
			t.Errorf("a claim in a transaction of its own ran %d statements, want 5", n)
		}
	}
}
