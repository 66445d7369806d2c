package http1

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Sizes of a read buffer. It starts small, and grows for large heads only.
const (
	smallBuffer = 4 << 10
	maxLine     = 4 << 10 // of a chunk's size or of a trailer
)

// Errors of reading a request, which the connection cannot outlive.
var (
	errSyntax  = errors.New("malformed HTTP")
	errTooLong = errors.New("line too long")
)

// buffers are small read buffers that no connection uses now.
var buffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}

// reader buffers what a connection sends. The bytes that it returns are valid until the next call.
type reader struct {
	src   io.Reader
	buf   []byte
	r, w  int // buf[r:w] is read and not yet taken
	small *[smallBuffer]byte
}

func (b *reader) buffered() int { return b.w - b.r }

// acquire gets a buffer.
func (b *reader) acquire() {
	if b.buf == nil {
		b.small = buffers.Get().(*[smallBuffer]byte)
		b.buf, b.r, b.w = b.small[:], 0, 0
	}
}

// release gives the buffer back. What is in it is lost.
func (b *reader) release() {
	if b.small != nil {
		buffers.Put(b.small)
	}
	b.small, b.buf, b.r, b.w = nil, nil, 0, 0
}

// shrink gives a grown buffer back between requests.
func (b *reader) shrink() {
	if len(b.buf) <= smallBuffer || b.buffered() > smallBuffer {
		return
	}
	rest := b.buf[b.r:b.w]
	b.buf = nil
	b.acquire()
	b.w = copy(b.buf, rest)
}

// fill reads once, after making room. It returns errTooLong if there are max bytes already.
func (b *reader) fill(max int) error {
	switch {
	case b.r == b.w:
		b.r, b.w = 0, 0
	case b.buffered() >= max:
		return errTooLong
	case b.w < len(b.buf):
	case b.r > 0:
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
	default:
		b.grow()
	}
	return b.read()
}

// grow doubles the buffer.
func (b *reader) grow() {
	grown := make([]byte, 2*len(b.buf))
	n := copy(grown, b.buf[b.r:b.w])
	b.release()
	b.buf, b.w = grown, n
}

// read adds what one read of the source gives.
func (b *reader) read() error {
	for range 100 {
		n, err := b.src.Read(b.buf[b.w:])
		b.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// head returns a whole head: the lines up to the empty one, each with its CRLF, and how many they are. A line that ends in
// a bare line feed is refused as soon as it is there. Of errTooLong, at least max bytes have been read. io.EOF: the source
// ended before the first byte.
func (b *reader) head(max int) (head []byte, lines int, err error) {
	line := 0 // where the current one begins, after b.r
	for seen := 0; ; {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := seen + i
			if end == line || b.buf[b.r+end-1] != '\r' {
				return nil, 0, errSyntax
			}
			if end == line+1 {
				if end >= max {
					return nil, 0, errTooLong
				}
				head = b.buf[b.r : b.r+line]
				b.r += end + 1
				return head, lines, nil
			}
			lines++
			line, seen = end+1, end+1
			continue
		}
		seen = b.buffered()
		if err := b.fill(max); err != nil {
			if seen > 0 {
				err = unexpected(err)
			}
			return nil, 0, err
		}
	}
}

// line returns the next line without its CRLF. A line that ends in a bare LF, or is longer than maxLine, is refused.
func (b *reader) line() ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || b.buf[b.r+end-1] != '\r' || end > maxLine {
				return nil, errSyntax
			}
			l := b.buf[b.r : b.r+end-1]
			b.r += end + 1
			return l, nil
		}
		seen = b.buffered()
		if err := b.fill(maxLine + 1); errors.Is(err, errTooLong) {
			return nil, errSyntax
		} else if err != nil {
			return nil, unexpected(err)
		}
	}
}

// into fills p with at least a byte: from the buffer, or past it if that is empty and p is large.
func (b *reader) into(p []byte) (int, error) {
	if b.r == b.w {
		if len(p) >= smallBuffer/2 {
			n, err := b.src.Read(p)
			return n, unexpected(err)
		}
		b.r, b.w = 0, 0
		if err := b.read(); err != nil {
			return 0, unexpected(err)
		}
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}

// unexpected is for reads in the middle of something, where the source must not end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
