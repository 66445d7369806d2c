package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// downgrades make of a file of a version one of the version before it.
var downgrades = []string{
	`DROP INDEX messages_group; CREATE INDEX messages_group ON messages (space, grp) WHERE grp <> '';
		ALTER TABLE messages DROP COLUMN first; PRAGMA user_version=1`,
	`CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
		INSERT INTO counter SELECT 1, value FROM counters WHERE space = 1; DROP TABLE counters; PRAGMA user_version=2`,
}

// A file of an earlier version is brought to this one with what is in it.
func TestUpgrade(t *testing.T) {
	for from := 1; from <= len(downgrades); from++ {
		t.Run(fmt.Sprint(from), func(t *testing.T) { testUpgrade(t, from) })
	}
}

func testUpgrade(t *testing.T, from int) {
	dir := t.TempDir()
	s := openTest(t, dir)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Enqueue("q", scope, store.Message{ID: "a", Group: "g"}, store.Message{ID: "b", Group: "g"}, store.Message{ID: "c"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	c, err := file{path: filepath.Join(dir, "enfold.db")}.connect()
	if err != nil {
		t.Fatal(err)
	}
	for i := len(downgrades); i >= from && err == nil; i-- {
		err = c.script(downgrades[i-1])
	}
	if err := errors.Join(err, c.close()); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	defer mustClose(t, s)
	var depth store.Depth
	err = s.View(t.Context(), func(tx store.Tx) (err error) {
		depth, err = tx.Depth("q", scope, time.Now())
		return err
	})
	if err != nil || depth != (store.Depth{Due: 3}) {
		t.Errorf("depth %+v, %v, want three", depth, err)
	}
	now := time.Now()
	for _, want := range []string{"a c", "b"} {
		got := ""
		err := s.Update(t.Context(), func(tx store.Tx) error {
			all, err := tx.Claim("q", scope, 9, now, time.Minute)
			if err != nil {
				return err
			}
			for i, m := range all {
				if i > 0 {
					got += " "
				}
				got += m.ID
				if err := tx.Ack("q", scope, m.Receipt); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || got != want {
			t.Errorf("claimed %q, %v, want %q", got, err, want)
		}
	}
}

// What was purged is deleted afterwards, also if the process ends before.
func TestReaper(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	rows := func() int64 {
		var n int64
		err := s.(*db).readers.with(t.Context(), func(c *conn) (err error) {
			n, err = c.number(&query{"SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM bodies) + (SELECT count(*) FROM dedups) + (SELECT count(*) FROM spaces WHERE kind = 5)"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	purge := func() {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for i := range 3 * reapRows {
				m := store.Message{Dedup: fmt.Sprint(i), DedupFor: time.Hour}
				if i%7 == 0 {
					m.Body = make([]byte, inlineBody+1)
				}
				if _, err := tx.Enqueue("q", scope, m); err != nil {
					return err
				}
			}
			return tx.Purge("q", scope)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := func() {
		for deadline := time.Now().Add(time.Minute); rows() != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d rows are left", rows())
			}
		}
	}
	purge()
	empty()
	s.(*db).writer.reaper.stop()
	s.(*db).writer.reaper = newReaper() // which nobody starts: the rows stay
	s.(*db).writer.reaper.cancel = func() {}
	close(s.(*db).writer.reaper.done)
	purge()
	if rows() == 0 {
		t.Fatal("the rows are gone without a reaper")
	}
	mustClose(t, s)
	s = openTest(t, dir)
	defer func() { mustClose(t, s) }()
	empty()
}
