package sqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/store"
)

// blobs is a folder of files, named by 26 random characters. A blob is written into the folder incoming, which is on the same
// file system and is emptied when the store is opened, and moved when it is complete and fsynced.
type blobs struct {
	dir  string
	gate *gate
}

const incoming = "incoming"

// makeBlobs makes the folders and removes what a crash left half written. Only incoming is read: a million blobs would
// otherwise be listed at each start.
func makeBlobs(dir string) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	in := filepath.Join(dir, incoming)
	if err := makeDir(in); err != nil {
		return err
	}
	left, err := os.ReadDir(in)
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := os.Remove(filepath.Join(in, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Put is [store.Blobs.Put].
func (b *blobs) Put(ctx context.Context, r io.Reader, limit int64) (store.Blob, error) {
	if err := b.gate.enter(); err != nil {
		return store.Blob{}, err
	}
	defer b.gate.leave()
	blob, err := b.put(ctx, r, limit)
	if err == nil {
		return blob, nil
	}
	if diskFull(err) {
		return store.Blob{}, fmt.Errorf("put blob: %w: %w", store.ErrFull, err)
	}
	return store.Blob{}, fmt.Errorf("put blob: %w", err)
}

func (b *blobs) put(ctx context.Context, r io.Reader, limit int64) (blob store.Blob, err error) {
	if limit < 0 {
		return blob, store.ErrTooLarge
	}
	id := rand.Text()
	temp := filepath.Join(b.dir, incoming, id)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return blob, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), &limited{ctx: ctx, r: r, left: limit})
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, b.path(id))
	}
	if err != nil {
		return blob, errors.Join(err, os.Remove(temp))
	}
	if err := syncDir(b.dir); err != nil {
		return blob, errors.Join(err, os.Remove(b.path(id)))
	}
	blob = store.Blob{ID: id, Size: n}
	h.Sum(blob.SHA256[:0])
	return blob, nil
}

// limited reads until the context ends, or answers ErrTooLarge when there is more than the limit.
type limited struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(len(p))-1 > l.left {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		return 0, store.ErrTooLarge
	}
	l.left -= int64(n)
	return n, err
}

// Open is [store.Blobs.Open].
func (b *blobs) Open(id string) (store.BlobFile, error) {
	if err := b.gate.enter(); err != nil {
		return nil, err
	}
	defer b.gate.leave()
	if !isBlobID(id) {
		return nil, store.ErrNotFound
	}
	f, err := os.Open(b.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open blob: %w", err), f.Close())
	}
	return &blobFile{File: f, size: info.Size()}, nil
}

// blobFile is a blob that is open. It can be read to the end even if the blob is deleted meanwhile.
type blobFile struct {
	*os.File
	size int64
}

// Size is the blob's length in bytes.
func (f *blobFile) Size() int64 { return f.size }

// Delete is [store.Blobs.Delete].
func (b *blobs) Delete(id string) error {
	if err := b.gate.enter(); err != nil {
		return err
	}
	defer b.gate.leave()
	if !isBlobID(id) {
		return nil
	}
	if err := os.Remove(b.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// All is [store.Blobs.All].
func (b *blobs) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := b.all(yield); err != nil {
			yield("", err)
		}
	}
}

func (b *blobs) all(yield func(string, error) bool) error {
	if err := b.gate.enter(); err != nil {
		return err
	}
	defer b.gate.leave()
	d, err := os.Open(b.dir)
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, id := range names {
			if isBlobID(id) && !yield(id, nil) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
	}
}

func (b *blobs) path(id string) string { return filepath.Join(b.dir, id) }

// isBlobID keeps every other name, and so every path, from the file system.
func isBlobID(id string) bool {
	if len(id) != 26 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
