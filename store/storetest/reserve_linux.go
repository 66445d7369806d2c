package storetest

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"

	"github.com/enfold-run/enfold/store"
)

// LogsLeaveRoom floods a log until the disk takes no more of it: the last of the space is for everything else, so that rows
// are still written, the log is still deleted, and then there is room for logs again.
func LogsLeaveRoom(t *testing.T, b Backend) {
	const rows, rowSize = 40, 20_000
	dir := filepath.Join(newSmallDisk(t, "size=64m"), "data")
	s, err := b.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 256<<10)
	rand.Read(noise) // never fails
	flood := func() (n int, err error) {
		for ; err == nil && n < 512; n++ {
			if err = s.Logs().Append(ctx, "flood", here, store.Chunk{First: noon, Last: noon, Data: noise}); err == nil {
				err = s.Logs().Sync(ctx)
			}
		}
		return n, err
	}
	before := s.Logs().Room()
	n, err := flood()
	if !errors.Is(err, store.ErrFull) || n < 8 {
		t.Fatalf("a flood of %d chunks ends with %v, want ErrFull", n, err)
	}
	taken := int64(n * len(noise))
	if after := s.Logs().Room(); before < taken || before > 64<<20 || after > 1<<20 {
		t.Errorf("a disk of 64 MiB has room for %d bytes of logs, and for %d when it has taken %d", before, after, taken)
	}
	for i := range rows {
		if err := s.Update(ctx, func(tx store.Tx) error { return putRow(tx, i, noise[:rowSize]) }); err != nil {
			t.Fatalf("row %d when logs take no more: %v", i, err)
		}
	}
	checkRows(t, s, rows, noise[:rowSize])
	if err := s.Logs().Append(ctx, "other", here, store.Chunk{First: noon, Last: noon, Data: noise}); err == nil {
		err = s.Logs().Sync(ctx)
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("another log when logs take no more: %v, want ErrFull", err)
		}
	}
	if err := s.Logs().Delete(ctx, "flood", here); err != nil {
		t.Fatalf("delete the log that took it all: %v", err)
	}
	if err := s.Logs().Sync(ctx); err != nil {
		t.Errorf("what waited for room: %v", err)
	}
	if room := s.Logs().Room(); room < taken/2 {
		t.Errorf("when %d bytes are deleted there is room for %d", taken, room)
	}
	if again, err := flood(); again < n/4 {
		t.Errorf("after the deletion %d chunks find room, before it %d did: %v", again, n, err)
	}
	if err := s.Logs().Delete(ctx, "flood", here); err != nil {
		t.Errorf("delete it again: %v", err)
	}
	shut(t, s)
}
