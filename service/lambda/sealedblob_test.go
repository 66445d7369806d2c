package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// stored is an archive of one file that is not compressed.
func stored(t testing.TB, name, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = io.WriteString(f, body)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSealedBlobs(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 7} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		made := must(w.Service.blobs.Put(ctx, iotest.HalfReader(bytes.NewReader(data)), int64(n)))(t)
		if made.Size != int64(n) || made.SHA256 != sha256.Sum256(data) {
			t.Errorf("%d bytes: %+v", n, made)
		}
		f := must(w.Service.blobs.Open(made.ID))(t)
		if err := iotest.TestReader(f, data); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if f.Size() != int64(n) {
			t.Errorf("size %d of %d", f.Size(), n)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if n > 0 {
			if _, err := w.Service.blobs.Put(ctx, bytes.NewReader(data), int64(n)-1); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%d bytes into %d: %v", n, n-1, err)
			}
		}
	}
}

// A sealed blob that was changed, cut off, put together from others, or sealed with another key, does not open.
func TestSealedBlobsAreWhole(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	put := func() (id, path string) {
		made := must(w.Service.blobs.Put(ctx, bytes.NewReader(make([]byte, 2*chunkSize+9)), 1<<20))(t)
		return made.ID, w.blobFile(made.ID)
	}
	read := func(id string) error {
		f, err := w.Service.blobs.Open(id)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.ReadAll(f)
		return err
	}
	_, other := put()
	foreign := must(os.ReadFile(other))(t)
	for name, change := range map[string]func(b []byte) []byte{
		"a flipped bit":          func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"another id":             func(b []byte) []byte { b[3] ^= 1; return b },
		"cut off inside a chunk": func(b []byte) []byte { return b[:len(b)-3] },
		"cut off between chunks": func(b []byte) []byte { return b[:blobID+2*sealedChunk] },
		"only an id":             func(b []byte) []byte { return b[:blobID] },
		"nothing":                func(b []byte) []byte { return nil },
		"a chunk of another":     func(b []byte) []byte { copy(b[blobID:blobID+sealedChunk], foreign[blobID:]); return b },
		"chunks that were swapped": func(b []byte) []byte {
			c := bytes.Clone(b)
			copy(b[blobID:], c[blobID+sealedChunk:blobID+2*sealedChunk])
			return b
		},
		"longer": func(b []byte) []byte { return append(b, make([]byte, seal.Overhead+4)...) },
	} {
		id, path := put()
		if err := read(id); err != nil {
			t.Fatal(err)
		}
		b := change(must(os.ReadFile(path))(t))
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := read(id); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	id, _ := put()
	if f, err := SealBlobs(w.store.Blobs(), w.root.Key("another")).Open(id); err == nil {
		if _, err := io.ReadAll(f); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("another key: %v", err)
		}
		f.Close()
	}
}

// blobFile finds the file of a blob.
func (w *world) blobFile(id string) string {
	w.t.Helper()
	found := ""
	filepath.WalkDir(w.dir, func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.Name() == id {
			found = path
		}
		return nil
	})
	if found == "" {
		w.t.Fatal("no file of blob " + id)
	}
	return found
}
