package lambda

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// A sealed blob is a random id and then chunks, each sealed and bound to the id, to its number and to whether it is the last:
// chunks cannot be changed, left out, or moved between blobs, and any part can be read without the rest.
const (
	blobID      = 32       // bytes before the first chunk
	chunkSize   = 64 << 10 // bytes of a chunk, before sealing; only the last is shorter
	sealedChunk = chunkSize + seal.Overhead
)

// SealBlobs is blobs whose content is encrypted on the disk: deployment packages and layers. Sizes and check sums are of
// what was put. Blobs that were not put through it do not open.
func SealBlobs(blobs store.Blobs, key *seal.Key) store.Blobs { return &sealedBlobs{blobs, key} }

type sealedBlobs struct {
	store.Blobs
	key *seal.Key
}

// Put implements store.Blobs.
func (b *sealedBlobs) Put(ctx context.Context, r io.Reader, limit int64) (store.Blob, error) {
	w := &sealer{key: b.key, src: r, sum: sha256.New(), id: make([]byte, blobID)}
	rand.Read(w.id) // never fails
	w.out = w.id
	made, err := b.Blobs.Put(ctx, w, sealedSize(limit))
	if err != nil {
		return store.Blob{}, err
	}
	return store.Blob{ID: made.ID, Size: w.size, SHA256: [32]byte(w.sum.Sum(nil))}, nil
}

// sealedSize is how many bytes a blob of n bytes has on the disk. There is always a chunk.
func sealedSize(n int64) int64 {
	chunks := max(1, (n+chunkSize-1)/chunkSize)
	return blobID + n + chunks*seal.Overhead
}

// plainSize is sealedSize the other way round.
func plainSize(sealed int64) (n int64, ok bool) {
	body := sealed - blobID
	chunks := (body + sealedChunk - 1) / sealedChunk
	n = body - chunks*seal.Overhead
	return n, body > 0 && n >= 0 && sealedSize(n) == sealed
}

// chunkName is what a chunk is bound to.
func chunkName(id []byte, i int64, last bool) []byte {
	name := append([]byte("lambda code\x00"), id...)
	name = binary.BigEndian.AppendUint64(name, uint64(i))
	if last {
		return append(name, 1)
	}
	return append(name, 0)
}

// sealer reads what it seals from src.
type sealer struct {
	key   *seal.Key
	src   io.Reader
	id    []byte
	sum   hash.Hash
	size  int64
	out   []byte // sealed and not read yet
	ahead []byte // the chunk to be sealed next: whether it is the last is known when there is one after it
	begun bool
	next  int64
	done  bool
}

func (s *sealer) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.done {
			return 0, io.EOF
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// fill seals one chunk.
func (s *sealer) fill() (err error) {
	if !s.begun {
		s.begun = true
		if s.ahead, err = s.chunk(); err != nil {
			return err
		}
	}
	var after []byte
	if len(s.ahead) == chunkSize {
		if after, err = s.chunk(); err != nil {
			return err
		}
	}
	s.done = len(after) == 0
	s.out = s.key.Seal(s.ahead, chunkName(s.id, s.next, s.done))
	s.next++
	s.ahead = after
	return nil
}

// chunk reads a chunk, which is short only at the end.
func (s *sealer) chunk() ([]byte, error) {
	b := make([]byte, chunkSize)
	n, err := io.ReadFull(s.src, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	s.sum.Write(b[:n])
	s.size += int64(n)
	return b[:n], nil
}

// Open implements store.Blobs.
func (b *sealedBlobs) Open(id string) (store.BlobFile, error) {
	f, err := b.Blobs.Open(id)
	if err != nil {
		return nil, err
	}
	o := &sealedFile{file: f, key: b.key, id: make([]byte, blobID), held: -1}
	size, ok := plainSize(f.Size())
	o.size = size
	if _, err := f.ReadAt(o.id, 0); err != nil && ok {
		ok = false
	}
	if !ok {
		return nil, errors.Join(fmt.Errorf("open blob %s: %w", id, seal.ErrSealed), f.Close())
	}
	return o, nil
}

// sealedFile reads a sealed blob. Like the file below it, it is safe for concurrent ReadAt.
type sealedFile struct {
	file store.BlobFile
	key  *seal.Key
	id   []byte
	size int64
	at   int64 // of Read and Seek

	mu    sync.Mutex
	held  int64 // number of the chunk in plain; -1 for none
	plain []byte
}

func (f *sealedFile) Size() int64  { return f.size }
func (f *sealedFile) Close() error { return f.file.Close() }

func (f *sealedFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *sealedFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a blob")
	}
	f.at = offset
	return offset, nil
}

func (f *sealedFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read before the beginning of a blob")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(p) {
		if off >= f.size {
			return n, io.EOF
		}
		plain, err := f.chunk(off / chunkSize)
		if err != nil {
			return n, err
		}
		c := copy(p[n:], plain[off%chunkSize:])
		n, off = n+c, off+int64(c)
	}
	return n, nil
}

// chunk opens a chunk. f.mu is held.
func (f *sealedFile) chunk(i int64) ([]byte, error) {
	if f.held == i {
		return f.plain, nil
	}
	start := i * chunkSize
	end := min(start+chunkSize, f.size)
	sealed := make([]byte, end-start+seal.Overhead)
	if n, err := f.file.ReadAt(sealed, blobID+i*sealedChunk); n < len(sealed) {
		return nil, fmt.Errorf("read chunk %d of a blob: %w", i, err)
	}
	plain, err := f.key.Open(sealed, chunkName(f.id, i, end == f.size))
	if err != nil {
		return nil, fmt.Errorf("open chunk %d of a blob: %w", i, err)
	}
	f.held, f.plain = i, plain
	return plain, nil
}
