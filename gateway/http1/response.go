package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// maxPending is how much of a body of unknown length is gathered: to learn its length if it ends there, and to be
	// sent as one chunk if it does not.
	maxPending = 4 << 10
	// smallOutput is the buffer of an answer. What does not fit beside the head is sent from where it is.
	smallOutput = 8 << 10
)

// outputs are buffers of answers.
var outputs = sync.Pool{New: func() any { return new([smallOutput]byte) }}

var errOver = errors.New("http1: the handler has returned")

// response is the way of an answer to its client. Like any http.ResponseWriter it is for one goroutine at a time.
type response struct {
	c *conn
	x *exchange

	old  bool // HTTP/1.0
	keep bool // HTTP/1.0: the client wants the connection to stay
	head bool // a HEAD: the body is counted and not sent
	last bool // the connection ends with this answer

	header  http.Header
	status  int  // 0: WriteHeader was not called
	framed  bool // the head is whole, and how the body ends is decided
	chunked bool
	over    bool  // the handler has returned
	length  int64 // of the body; -1: not known
	written int64 // by the handler

	typed    bool      // there is a Content-Type, or need be none
	trailers []string  // that the handler announced
	fields   int       // in the header when it was written
	now      time.Time // when the head was begun
	buf      *[smallOutput]byte
	out      []byte // ready to be sent
	pending  []byte // of a body of unknown length
	err      error  // of writing: everything after it is in vain
}

// Header is the answer's header, to be changed until it is written. Trailers may be set until the handler returns.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader begins the answer. 100 to 199 are sent at once and begin nothing.
func (w *response) WriteHeader(status int) {
	switch {
	case w.over, w.status != 0:
		return
	case status < 100 || status > 999:
		panic("http1: invalid status " + strconv.Itoa(status))
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.inform(status)
		return
	}
	w.begin(status)
}

// Write sends a part of the body, or gathers it.
func (w *response) Write(p []byte) (int, error) {
	if err := w.admit(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if !w.typed {
		w.sniff(p)
	}
	if w.head {
		return len(p), nil
	}
	w.err = w.body(p)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// admit says whether n more bytes may be written.
func (w *response) admit(n int) error {
	switch {
	case w.over:
		return errOver
	case w.err != nil:
		return w.err
	}
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case !bodyAllowed(w.status):
		return http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(n) > w.length:
		return http.ErrContentLength
	}
	w.written += int64(n)
	return nil
}

// body takes bytes of the body, however it is framed.
func (w *response) body(p []byte) error {
	if w.length >= 0 {
		w.frame(w.length)
	}
	if w.framed && !w.chunked {
		return w.send(p)
	}
	if len(w.pending)+len(p) <= maxPending {
		w.pending = append(w.pending, p...)
		return nil
	}
	w.frame(unknown)
	if !w.chunked { // HTTP/1.0
		if err := w.send(w.pending); err != nil {
			return err
		}
		w.pending = w.pending[:0]
		return w.send(p)
	}
	if len(p) < maxPending {
		err := w.sendChunk(w.pending)
		w.pending = append(w.pending[:0], p...)
		return err
	}
	if err := w.sendChunk(w.pending); err != nil {
		return err
	}
	w.pending = w.pending[:0]
	return w.sendChunk(p)
}

// send sends p after what is ready, or makes it ready if it is small.
func (w *response) send(p []byte) error {
	if len(w.out)+len(p) <= cap(w.out) {
		w.out = append(w.out, p...)
		return nil
	}
	return w.write(p, nil)
}

// sendChunk sends p as a chunk.
func (w *response) sendChunk(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
	w.out = append(w.out, "\r\n"...)
	if len(w.out)+len(p)+2 <= cap(w.out) {
		w.out = append(append(w.out, p...), "\r\n"...)
		return nil
	}
	return w.write(p, []byte("\r\n"))
}

// write sends what is ready, and p and tail behind it.
func (w *response) write(p, tail []byte) error {
	w.c.limits.beginWrite(time.Now())
	var err error
	switch {
	case len(p)+len(tail) == 0:
		_, err = w.c.nc.Write(w.out)
	default:
		vec := net.Buffers{w.out, p, tail}
		_, err = vec.WriteTo(w.c.nc)
	}
	w.out = w.out[:0]
	return err
}

// FlushError sends what was written.
func (w *response) FlushError() error {
	if err := w.admit(0); err != nil {
		return err
	}
	w.frame(unknown)
	if w.err = w.flush(); w.err == nil && len(w.out) > 0 {
		w.err = w.write(nil, nil)
	}
	return w.err
}

// flush makes what is pending ready.
func (w *response) flush() error {
	p := w.pending
	w.pending = w.pending[:0]
	if w.chunked {
		return w.sendChunk(p)
	}
	return w.send(p)
}

// Flush is FlushError; the next Write answers its error.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.over {
		return errOver
	}
	return w.c.limits.setRead(t)
}

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.over {
		return errOver
	}
	return w.c.limits.setWrite(t)
}

// EnableFullDuplex is for http.ResponseController. It always is.
func (w *response) EnableFullDuplex() error { return nil }

// finish sends the rest of the answer when the handler has returned. After an error the connection is of no use.
func (w *response) finish() error {
	defer w.release()
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	w.over = true
	if w.err != nil {
		return w.err
	}
	switch {
	case w.head && w.written == 0:
		w.frame(never)
	case w.hasTrailers():
		w.frame(unknown)
	default:
		w.frame(w.written)
	}
	if w.length >= 0 && w.written < w.length && bodyAllowed(w.status) && !w.head {
		_ = w.write(nil, nil) // the client sees that it is not whole
		return io.ErrUnexpectedEOF
	}
	if err := w.flush(); err != nil {
		return err
	}
	if w.chunked {
		w.out = append(w.out, "0\r\n"...)
		w.appendTrailers()
		w.out = append(w.out, "\r\n"...)
	}
	if len(w.out) == 0 {
		return nil
	}
	return w.write(nil, nil)
}

// release gives the buffer back.
func (w *response) release() {
	w.over = true
	if w.buf != nil {
		outputs.Put(w.buf)
	}
	w.buf, w.out, w.pending = nil, nil, nil
}

func bodyAllowed(status int) bool { return status >= 200 && status != 204 && status != 304 }
