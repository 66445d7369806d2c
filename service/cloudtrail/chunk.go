package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/enfold-run/enfold/store"
)

// The kinds of log.
const (
	management = "management"
	data       = "data"
)

func kindOf(isData bool) string {
	if isData {
		return data
	}
	return management
}

// logID is one chain: the management or the data events of an account.
type logID struct{ account, kind string }

func (l logID) name() string       { return "cloudtrail/" + l.kind }
func (l logID) scope() store.Scope { return store.Scope{Account: l.account} }

// A chunk's data: a version, its number in the chain, its hash, and lines of JSON in gzip.
const (
	chunkVersion = 1
	hashAt       = 1 + 8
	linesAt      = hashAt + sha256.Size

	maxChunkLines = 1_000
	maxChunkBytes = 1 << 20 // of lines, after which a chunk ends
	maxOpened     = 8 << 20 // bytes of lines that a chunk may have when it is read: one line beyond maxChunkBytes
)

var errChunk = errors.New("damaged chunk")

type hash = [sha256.Size]byte

// piece is a chunk that is not appended yet.
type piece struct {
	first, last time.Time
	count       int
	lines       []byte // compressed
}

// batch makes pieces of lines.
type batch struct {
	order []logID
	logs  map[logID]*pieces
}

type pieces struct {
	chunks []piece
	open   piece
	size   int
	out    bytes.Buffer
	zip    *gzip.Writer
}

func newBatch() *batch { return &batch{logs: map[logID]*pieces{}} }

func (b *batch) add(l logID, line []byte, at time.Time) error {
	p := b.logs[l]
	if p == nil {
		p = &pieces{}
		zip, err := gzip.NewWriterLevel(&p.out, gzip.BestSpeed)
		if err != nil {
			return err
		}
		p.zip = zip
		b.logs[l], b.order = p, append(b.order, l)
	}
	if p.open.count == 0 {
		p.open.first, p.open.last = at, at
	}
	if at.Before(p.open.first) {
		p.open.first = at
	}
	if at.After(p.open.last) {
		p.open.last = at
	}
	p.open.count++
	p.size += len(line) + 1
	if _, err := p.zip.Write(line); err != nil {
		return err
	}
	if _, err := p.zip.Write([]byte{'\n'}); err != nil {
		return err
	}
	if p.open.count >= maxChunkLines || p.size >= maxChunkBytes {
		return p.close()
	}
	return nil
}

// close ends every chunk.
func (b *batch) close() error {
	for _, p := range b.logs {
		if err := p.close(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pieces) close() error {
	if p.open.count == 0 {
		return nil
	}
	if err := p.zip.Close(); err != nil {
		return err
	}
	p.open.lines = bytes.Clone(p.out.Bytes())
	p.chunks = append(p.chunks, p.open)
	p.open, p.size = piece{}, 0
	p.out.Reset()
	p.zip.Reset(&p.out)
	return nil
}

// chain is a piece's hash: of the hash before it, and of everything that is said of it.
func chain(before hash, number int64, p piece) hash {
	h := sha256.New()
	h.Write(before[:])
	var b [32]byte
	binary.BigEndian.PutUint64(b[0:], uint64(number))
	binary.BigEndian.PutUint64(b[8:], uint64(p.first.UnixMilli()))
	binary.BigEndian.PutUint64(b[16:], uint64(p.last.UnixMilli()))
	binary.BigEndian.PutUint64(b[24:], uint64(p.count))
	h.Write(b[:])
	h.Write(p.lines)
	return hash(h.Sum(nil))
}

// chunkData is what a piece is as number in the chain.
func chunkData(number int64, sum hash, lines []byte) []byte {
	b := make([]byte, 0, linesAt+len(lines))
	b = append(b, chunkVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	b = append(b, sum[:]...)
	return append(b, lines...)
}

// openChunk takes a chunk apart.
func openChunk(c store.Chunk) (number int64, sum hash, p piece, err error) {
	if len(c.Data) < linesAt || c.Data[0] != chunkVersion {
		return 0, sum, p, errChunk
	}
	number = int64(binary.BigEndian.Uint64(c.Data[1:]))
	sum = hash(c.Data[hashAt:linesAt])
	return number, sum, piece{first: c.First, last: c.Last, count: c.Count, lines: c.Data[linesAt:]}, nil
}

// texts are a piece's lines, as many as it says.
func (p piece) texts() ([][]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(p.lines))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	all, err := io.ReadAll(io.LimitReader(r, maxOpened+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	if len(all) > maxOpened {
		return nil, fmt.Errorf("%w: more than %d bytes", errChunk, maxOpened)
	}
	lines := bytes.Split(bytes.TrimSuffix(all, []byte{'\n'}), []byte{'\n'})
	if len(lines) != p.count {
		return nil, fmt.Errorf("%w: %d lines, not %d", errChunk, len(lines), p.count)
	}
	return lines, nil
}
