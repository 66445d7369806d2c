package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// DiskFull fills the disk under a store: whatever is refused is refused with ErrFull, nothing that was acknowledged is lost,
// and the store goes on when there is space again.
func DiskFull(t *testing.T, b Backend) {
	disk := newSmallDisk(t, "size=24m")
	ballast, dir := filepath.Join(disk, "ballast"), filepath.Join(disk, "data")
	if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := b.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte("v"), 60_000)
	acked := fill(t, s, value)
	t.Logf("%d rows of %d bytes until the disk was full", acked, len(value))
	checkRows(t, s, acked, value)
	if err := s.Update(ctx, func(tx store.Tx) error { return putRow(tx, acked, value) }); !errors.Is(err, store.ErrFull) {
		t.Errorf("a write on a full disk: %v, want ErrFull", err)
	}
	if _, err := s.Blobs().Put(ctx, bytes.NewReader(make([]byte, 4<<20)), 4<<20); !errors.Is(err, store.ErrFull) {
		t.Errorf("a blob on a full disk: %v, want ErrFull", err)
	}
	for id, err := range s.Blobs().All() {
		t.Errorf("a blob of a full disk: %q, %v", id, err)
	}
	big := store.Chunk{First: noon, Last: noon, Data: make([]byte, 4<<20)}
	err = s.Logs().Append(ctx, "l", here, big)
	if err == nil {
		err = s.Logs().Sync(ctx)
	}
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("logs on a full disk: %v, want ErrFull", err)
	}
	checkRows(t, s, acked, value)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, func(tx store.Tx) error { return putRow(tx, acked, value) }); err != nil {
		t.Errorf("a write when there is space again: %v", err)
	}
	acked++
	if _, err := s.Blobs().Put(ctx, bytes.NewReader(value), 1<<20); err != nil {
		t.Errorf("a blob when there is space again: %v", err)
	}
	if err := s.Logs().Append(ctx, "later", here, store.Chunk{First: noon, Last: noon, Data: []byte("x")}); err != nil {
		t.Errorf("a log when there is space again: %v", err)
	}
	if err := s.Logs().Sync(ctx); err != nil {
		t.Errorf("sync when there is space again: %v", err)
	}
	checkRows(t, s, acked, value)
	shut(t, s)
	if s, err = b.Open(dir); err != nil {
		t.Fatal(err)
	}
	checkRows(t, s, acked, value)
	shut(t, s)
}

func putRow(tx store.Tx, n int, value []byte) error {
	return second(tx.Put("t", here, fmt.Sprintf("k%06d", n), value, store.IfAbsent()))
}

// fill writes rows until one is refused, and answers how many were acknowledged: those before it.
func fill(t *testing.T, s store.Store, value []byte) int {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; time.Now().Before(deadline); n++ {
		err := s.Update(ctx, func(tx store.Tx) error { return putRow(tx, n, value) })
		if errors.Is(err, store.ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("row %d: %v, want ErrFull", n, err)
		}
	}
	t.Fatal("the disk is not full after 20 seconds")
	return 0
}

// checkRows wants exactly n rows.
func checkRows(t *testing.T, s store.Store, n int, value []byte) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		seen := 0
		for r, err := range tx.Scan("t", here, store.Range{}) {
			if err != nil {
				return err
			}
			if r.Key != fmt.Sprintf("k%06d", seen) || !bytes.Equal(r.Value, value) {
				t.Errorf("row %d is %q with %d bytes", seen, r.Key, len(r.Value))
			}
			seen++
		}
		if seen != n {
			t.Errorf("%d rows, want %d", seen, n)
		}
		return nil
	})
}
