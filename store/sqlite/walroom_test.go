package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/enfold-run/enfold/store"
)

// TestRoomInTheLog: a log that has grown is longer than what is in it, small commits do not make it longer, and what is in it is found
// again by who opens the files as they are.
func TestRoomInTheLog(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	defer mustClose(t, s)
	length := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "enfold.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	put := func(i, size int) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Tx) error { return putKey(tx, fmt.Sprint(i), make([]byte, size)) }); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 1)
	if n := length(); n >= roomFrom {
		t.Fatalf("a log of one row has %d bytes", n)
	}
	put(1, roomFrom)
	grown := length()
	if grown < roomFrom+minRoom {
		t.Fatalf("a log of %d bytes has no room: it is %d long", roomFrom, grown)
	}
	i := 2
	for ; i < 20; i++ {
		put(i, 1)
		if n := length(); n != grown {
			t.Fatalf("a small commit made the log longer, from %d to %d", grown, n)
		}
	}
	copied := t.TempDir() // as a crash leaves it
	for _, name := range []string{"enfold.db", "enfold.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := openTest(t, copied)
	defer mustClose(t, c)
	for k := range i {
		if !hasKey(t, c, fmt.Sprint(k)) {
			t.Errorf("row %d is not in the copy", k)
		}
	}
	if err := c.Update(t.Context(), func(tx store.Tx) error { return putKey(tx, "more", nil) }); err != nil {
		t.Error(err)
	}
}
