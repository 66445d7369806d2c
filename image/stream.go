package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// budget is what is left of an image's limits. Its layers are unpacked side by side.
type budget struct {
	size, entries, stream atomic.Int64
}

func newBudget(l *Limits) *budget {
	b := new(budget)
	b.size.Store(l.Size)
	b.entries.Store(l.Entries)
	b.stream.Store(l.stream())
	return b
}

// take takes n, and is ErrTooLarge if there is not as much.
func take(left *atomic.Int64, n int64, what string) error {
	if n < 0 || left.Add(-n) < 0 {
		return fmt.Errorf("%w: the image has more %s than are allowed", ErrTooLarge, what)
	}
	return nil
}

// tarStream is the tar of a layer, decompressed and hashed while it is read.
type tarStream struct {
	ctx    context.Context
	layer  *layerOf
	budget *budget

	sent     *hashed   // as it comes
	plain    io.Reader // decompressed
	tarSum   hash.Hash
	consumed int64 // of the budget
	failed   error // of reading; what reads it may say something vaguer
	closers  []func()
}

// hashed counts and hashes what is read, and ends with an error beyond most bytes.
type hashed struct {
	r    io.Reader
	sum  hash.Hash
	n    int64
	most int64
	err  error
}

// Read implements io.Reader.
func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.n += int64(n)
	if h.n > h.most {
		n, err = 0, fmt.Errorf("%w: a layer is longer than its manifest says", ErrInvalid)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		h.err = err
	}
	h.sum.Write(p[:n])
	return n, err
}

// zstdWindow is how much memory a layer that is compressed with zstd may want, in bytes.
const zstdWindow = 32 << 20

// newTarStream begins to read a layer. What it is compressed with is told by its first bytes, as media types are often wrong.
func newTarStream(ctx context.Context, body io.Reader, l *layerOf, b *budget) (*tarStream, error) {
	t := &tarStream{
		ctx: ctx, layer: l, budget: b, tarSum: sha256.New(), sent: &hashed{r: body, sum: sha256.New(), most: l.sent.Size},
	}
	buffered := bufio.NewReaderSize(t.sent, 64<<10)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	t.plain = buffered
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		if t.plain, err = gzip.NewReader(buffered); err != nil {
			return nil, t.broken(err)
		}
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, t.broken(err)
		}
		t.plain, t.closers = d, append(t.closers, d.Close)
	}
	return t, nil
}

// Read implements io.Reader.
func (t *tarStream) Read(p []byte) (int, error) {
	n, err := t.read(p)
	if err != nil && !errors.Is(err, io.EOF) && t.failed == nil {
		t.failed = err
	}
	return n, err
}

func (t *tarStream) read(p []byte) (int, error) {
	if t.ctx.Err() != nil {
		return 0, context.Cause(t.ctx)
	}
	n, err := t.plain.Read(p)
	t.consumed += int64(n)
	if e := take(&t.budget.stream, int64(n), "bytes"); e != nil {
		return 0, e
	}
	t.tarSum.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		return n, t.broken(err)
	}
	return n, err
}

// broken is the error of a decompressor, unless what it reads from failed.
func (t *tarStream) broken(err error) error {
	if t.sent.err != nil {
		return t.sent.err
	}
	return fmt.Errorf("%w: a layer cannot be decompressed: %w", ErrInvalid, err)
}

// verify reads what is left and holds it all against the digests.
func (t *tarStream) verify() error {
	if _, err := io.Copy(io.Discard, t); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, t.sent); err != nil {
		return err
	}
	if is := hex.EncodeToString(t.sent.sum.Sum(nil)); !t.layer.unnamed && is != t.layer.sent.Digest.Hex {
		return fmt.Errorf("%w: the layer %s has the digest sha256:%s", ErrInvalid, t.layer.sent.Digest, is)
	}
	if t.sent.n != t.layer.sent.Size {
		return fmt.Errorf("%w: the layer %s has %d bytes, its manifest says %d", ErrInvalid, t.layer.sent.Digest, t.sent.n, t.layer.sent.Size)
	}
	if is := hex.EncodeToString(t.tarSum.Sum(nil)); is != t.layer.diffID {
		return fmt.Errorf("%w: the layer with the diff id sha256:%s has sha256:%s", ErrInvalid, t.layer.diffID, is)
	}
	return nil
}

// Close lets the decompressor go.
func (t *tarStream) Close() {
	for _, c := range t.closers {
		c()
	}
}

// refund gives back what a failed attempt has used.
func (t *tarStream) refund() { t.budget.stream.Add(t.consumed) }
