package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/enfold-run/enfold/store"
)

func testBlobs(t *testing.T, open Open) {
	dir := t.TempDir()
	s := open(t, dir)
	var mu sync.Mutex
	contents := make(map[string][]byte)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			content := bytes.Repeat([]byte{byte(i / 2)}, i/2*40_000) // some alike
			b, err := s.Blobs().Put(t.Context(), bytes.NewReader(content), int64(len(content)))
			if err != nil {
				t.Error(err)
				return
			}
			if b.Size != int64(len(content)) || b.SHA256 != sha256.Sum256(content) {
				t.Errorf("blob %+v of %d bytes", b, len(content))
			}
			mu.Lock()
			defer mu.Unlock()
			contents[b.ID] = content
		})
	}
	group.Wait()
	shut(t, s)
	s = open(t, dir)
	defer func() { shut(t, s) }()
	for id, content := range contents {
		wantBlob(t, s, id, content)
	}
	all := func() (got []string) {
		t.Helper()
		for id, err := range s.Blobs().All() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		return got
	}
	if got := all(); len(got) != len(contents) {
		t.Errorf("all: %d blobs, want %d", len(got), len(contents))
	}
	for id, content := range contents {
		f, err := s.Blobs().Open(id)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Blobs().Delete(id); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
			t.Errorf("a blob deleted while open: %d bytes, %v", len(got), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Blobs().Open(id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("open after delete: %v", err)
		}
	}
	if got := all(); len(got) != 0 {
		t.Errorf("all after deletes: %q", got)
	}
}

func wantBlob(t *testing.T, s store.Store, id string, content []byte) {
	t.Helper()
	f, err := s.Blobs().Open(id)
	if err != nil {
		t.Errorf("open blob: %v", err)
		return
	}
	defer f.Close()
	if f.Size() != int64(len(content)) {
		t.Errorf("blob of %d bytes, want %d", f.Size(), len(content))
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("blob of %d bytes read as %d, %v", len(content), len(got), err)
	}
	if len(content) < 10 {
		return
	}
	part := make([]byte, 5)
	if _, err := f.ReadAt(part, 3); err != nil || !bytes.Equal(part, content[3:8]) {
		t.Errorf("read at 3: %q, %v", part, err)
	}
	if at, err := f.Seek(-2, io.SeekEnd); err != nil || at != int64(len(content))-2 {
		t.Errorf("seek: %d, %v", at, err)
	}
}

// failing yields some bytes and then an error.
type failing struct {
	n   int
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, f.err
	}
	n := min(len(p), f.n)
	f.n -= n
	return n, nil
}

func testBlobsRefused(t *testing.T, open Open) {
	s := opened(t, open)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	odd := errors.New("odd")
	for _, test := range []struct {
		name  string
		ctx   context.Context
		r     io.Reader
		limit int64
		want  error
	}{
		{"one byte too many", t.Context(), strings.NewReader("12345"), 4, store.ErrTooLarge},
		{"endless", t.Context(), &failing{n: 1 << 40}, 1 << 20, store.ErrTooLarge},
		{"anything into nothing", t.Context(), strings.NewReader("1"), 0, store.ErrTooLarge},
		{"negative limit", t.Context(), strings.NewReader(""), -5, store.ErrTooLarge},
		{"reader fails", t.Context(), &failing{n: 100_000, err: odd}, 1 << 20, odd},
		{"context over", over, strings.NewReader("1"), 9, context.Canceled},
	} {
		if b, err := s.Blobs().Put(test.ctx, test.r, test.limit); !errors.Is(err, test.want) {
			t.Errorf("%s: got %+v, %v, want %v", test.name, b, err, test.want)
		}
	}
	for id, err := range s.Blobs().All() {
		t.Errorf("left behind: %q, %v", id, err)
	}
	b, err := s.Blobs().Put(t.Context(), strings.NewReader("secret"), 6)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"", ".", "..", "../blobs/" + b.ID, "./" + b.ID, b.ID + "/", "/etc/passwd", "incoming", "../enfold.db", b.ID + "\x00", strings.ToLower(b.ID) + "x"}
	for _, id := range slices.Concat(names, []string{strings.Repeat("A", 26)}) {
		if f, err := s.Blobs().Open(id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("open %q: %v, %v", id, f, err)
		}
		if err := s.Blobs().Delete(id); err != nil {
			t.Errorf("delete %q: %v", id, err)
		}
	}
	wantBlob(t, s, b.ID, []byte("secret"))
	if b2, err := s.Blobs().Put(t.Context(), strings.NewReader("secret"), 6); err != nil || b2.SHA256 != b.SHA256 {
		t.Errorf("the same content again: %s, %v", fmt.Sprint(b2), err)
	}
}
