package runtimeapi

import (
	"bytes"
	"errors"
	"io"
)

// Sizes of a connection's read buffer. It starts small, because an idle sandbox keeps it, and grows for long lines only.
const (
	smallBuffer = 4 << 10
	copyBuffer  = 32 << 10
	maxLine     = 64 << 10
)

// Errors of reading a request. All but errTooLong mean that the connection cannot go on.
var (
	errSyntax  = errors.New("malformed HTTP")
	errTooLong = errors.New("line too long")
)

// reader reads lines and bytes from a connection. The bytes that it returns are valid until the next call.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] is read and not yet taken
}

func newReader(src io.Reader) reader { return reader{src: src, buf: make([]byte, smallBuffer)} }

func (b *reader) buffered() int { return b.w - b.r }

// holds says whether a request that begins like this one is read already, whole and alone. It has no body.
func (b *reader) holds(begin string) bool {
	const end = "\r\n\r\n"
	p := b.buf[b.r:b.w]
	return len(p) > len(begin) && string(p[:len(begin)]) == begin && bytes.Index(p, []byte(end)) == len(p)-len(end)
}

// shrink gives a grown buffer back between requests.
func (b *reader) shrink() {
	if len(b.buf) > smallBuffer && b.buffered() <= smallBuffer {
		small := make([]byte, smallBuffer)
		b.w = copy(small, b.buf[b.r:b.w])
		b.r, b.buf = 0, small
	}
}

// room makes the buffer at least n bytes long.
func (b *reader) room(n int) {
	if len(b.buf) < n {
		grown := make([]byte, n)
		b.w = copy(grown, b.buf[b.r:b.w])
		b.r, b.buf = 0, grown
	}
}

// fill reads once, making room if the buffer is full. It returns errTooLong if the buffer is full at maxLine.
func (b *reader) fill() error {
	switch {
	case b.r == b.w:
		b.r, b.w = 0, 0
	case b.w < len(b.buf):
	case b.r > 0:
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
	case len(b.buf) >= maxLine:
		return errTooLong
	default:
		b.room(2 * len(b.buf))
	}
	return b.read()
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

// line returns the next line without its CRLF. A line that ends in a bare LF, or is longer than max, is refused.
// io.EOF means that the source ended before the line's first byte, io.ErrUnexpectedEOF within it.
func (b *reader) line(max int) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := seen + i
			l := b.buf[b.r : b.r+end]
			b.r += end + 1
			if end == 0 || l[end-1] != '\r' {
				return nil, errSyntax
			}
			if end-1 > max {
				return nil, errTooLong
			}
			return l[:end-1], nil
		}
		seen = b.buffered()
		if seen > max+1 { // with the carriage return
			return nil, errTooLong
		}
		if err := b.fill(); err != nil {
			if errors.Is(err, io.EOF) && b.buffered() > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// skipLine throws away the rest of a line, which must end in CRLF within max bytes.
func (b *reader) skipLine(max int) error {
	last := byte(0)
	for {
		part := b.buf[b.r:b.w]
		i := bytes.IndexByte(part, '\n')
		if i >= 0 {
			part = part[:i]
		}
		if max -= len(part); max < 0 {
			return errTooLong
		}
		if len(part) > 0 {
			last = part[len(part)-1]
		}
		b.r += len(part)
		if i >= 0 {
			b.r++
			if last != '\r' {
				return errSyntax
			}
			return nil
		}
		if err := b.fill(); err != nil {
			return unexpected(err)
		}
	}
}

// some returns between 1 and max bytes: what is buffered, else what one read gives.
func (b *reader) some(max int64) ([]byte, error) {
	if b.r == b.w {
		b.r, b.w = 0, 0
		if err := b.read(); err != nil {
			return nil, unexpected(err)
		}
	}
	n := int(min(int64(b.buffered()), max))
	p := b.buf[b.r : b.r+n]
	b.r += n
	return p, nil
}

// full fills p, past the buffer once that is empty.
func (b *reader) full(p []byte) error {
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	if n == len(p) {
		return nil
	}
	_, err := io.ReadFull(b.src, p[n:])
	return unexpected(err)
}

// unexpected is for reads in the middle of something, where the source must not end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
