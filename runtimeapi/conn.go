package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// maxDrain is how much of a body that nobody wants is read, so that the peer reads why.
	maxDrain = 64 << 20
	// maxJoin is the largest payload that is copied behind its head; larger ones are written from where they are.
	maxJoin = 16 << 10
)

// conn is a connection of the runtime. Its goroutine reads; it also writes, except that Run writes the event while a next
// is parked.
type conn struct {
	s   *Session
	gen uint64 // of the process that made it
	nc  net.Conn
	in  reader
	q   request
	out []byte      // what is written, reused; what is to be written, if it is held
	vec [2][]byte   // of bufs
	buf net.Buffers // a field, so that it need not be allocated

	own      bool          // the peer is a bootstrap of ours
	held     bool          // out is an answer that goes out with the next one
	parked   bool          // its next is unanswered; only its goroutine knows
	last     bool          // the event is the last thing to be written to it
	released chan struct{} // a token when the parked next was answered, or never will be
}

// serve reads requests until one of the sides has had enough.
func (c *conn) serve() {
	defer c.s.remove(c)
	for {
		err := readRequest(&c.in, &c.q)
		if c.s.snap != nil && c.s.isHolding(c) {
			return // whatever came: its answer would come before that to restore/next
		}
		if c.parked {
			if err != nil {
				return
			}
			<-c.released // a pipelined request waits its turn
			c.parked = false
		}
		if err != nil {
			if r := headReply(err); r != nil && c.write(r, true) == nil {
				c.linger()
			}
			return
		}
		if !c.handle() {
			return
		}
		c.in.shrink()
	}
}

// handle answers one request and reports whether the connection goes on.
func (c *conn) handle() bool {
	d := newBody(&c.in, &c.q)
	switch q := &c.q; {
	case q.route == routeNone, q.route >= routeRestoreNext && c.s.snap == nil:
		return c.finish(&d, replyNotFound)
	case q.method != q.route.allowed():
		if q.route.allowed() == methodGet {
			return c.finish(&d, replyGetOnly)
		}
		return c.finish(&d, replyPostOnly)
	case q.route == routePing:
		return c.finish(&d, replyPong)
	case q.route == routeNext:
		return c.next(&d)
	case q.route == routeInitError, q.route == routeRestoreError:
		return c.initError(&d)
	case q.route == routeRestoreNext:
		return c.restoreNext(&d)
	case q.route == routeCredentials:
		return c.finish(&d, c.s.snap.credentials(q.token))
	default:
		return c.answer(&d)
	}
}

// next parks the connection. Run answers.
func (c *conn) next(d *body) bool {
	if c.q.expects || d.discard(maxLine) != nil {
		return c.finish(d, replyMalformed)
	}
	c.last = c.q.close
	c.parked = true
	r, cut := c.s.park(c)
	if r == nil {
		return !cut
	}
	c.parked = false
	return c.finish(d, r)
}

// answer takes the response or the error of the running invocation.
func (c *conn) answer(d *body) bool {
	inv, r, cut := c.s.receive(c)
	switch {
	case cut:
		return false
	case r != nil:
		return c.finish(d, r)
	}
	a := &Answer{ContentType: c.q.contentType}
	r, err := c.upload(d, a, inv.Stream)
	c.s.received(c, a, err)
	return c.finish(d, r)
}

// upload reads the answer, to stream if that is not nil.
func (c *conn) upload(d *body, a *Answer, stream io.Writer) (*reply, error) {
	failed := c.q.route == routeError
	limit, tooLarge := int64(MaxPayload), ErrTooLarge
	switch {
	case failed:
		stream = nil
	case c.q.mode == modeInvalid:
		return replyInvalidMode, ErrResponseMode
	case c.q.mode == modeStreaming && stream != nil:
		limit, tooLarge = MaxStream, ErrStreamTooLarge
	}
	if c.q.length > limit {
		return replyTooLarge, tooLarge
	}
	if !c.proceed() {
		return replyTruncated, ErrTruncated
	}
	var err error
	if stream != nil {
		a.Streamed = true
		err = c.copy(d, a, stream, limit)
	} else {
		a.Payload, err = d.collect(int(limit))
		a.Bytes = int64(len(a.Payload))
	}
	if errors.Is(err, errTooBig) {
		return replyTooLarge, tooLarge
	}
	if err != nil {
		return uploadFailed(err)
	}
	a.StreamErrorType, a.StreamErrorBody = d.errorType, d.errorBody
	if failed {
		c.failed(a)
	}
	return replyAccepted, nil
}

// uploadFailed is what the runtime is told of an upload that failed, and what Run returns.
func uploadFailed(err error) (*reply, error) {
	if _, ok := errors.AsType[*streamError](err); ok {
		return replyAccepted, err
	}
	return replyTruncated, ErrTruncated
}

// failed makes a of what was posted as an error.
func (c *conn) failed(a *Answer) {
	a.Failed, a.ErrorType = true, c.q.errorType
	a.StreamErrorType, a.StreamErrorBody = "", nil
	if a.ErrorType == "" {
		a.ErrorType = runtimeUnknown
	}
	if a.ContentType == typeErrorCause {
		a.Payload, a.ContentType = plainError(a.Payload)
		a.Bytes = int64(len(a.Payload))
	}
}

// streamError is an error of the caller's Stream, which is not the function's fault.
type streamError struct{ err error }

func (e *streamError) Error() string { return fmt.Sprintf("write answer to its stream: %v", e.err) }
func (e *streamError) Unwrap() error { return e.err }

// copy writes the body to stream as it comes, up to limit bytes.
func (c *conn) copy(d *body, a *Answer, stream io.Writer, limit int64) error {
	flusher, _ := stream.(interface{ Flush() })
	c.in.room(copyBuffer)
	for {
		p, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		left := limit - a.Bytes
		n, err := stream.Write(p[:min(int64(len(p)), left)])
		a.Bytes += int64(n)
		if err != nil {
			return &streamError{err}
		}
		if flusher != nil {
			flusher.Flush()
		}
		if int64(len(p)) > left {
			return errTooBig
		}
	}
}

// initError takes the error of a runtime that cannot start, or of one that cannot go on after it was restored.
func (c *conn) initError(d *body) bool {
	r, cut := c.s.receiveInit(c)
	switch {
	case cut:
		return false
	case r != nil:
		return c.finish(d, r)
	}
	e := &InitError{ErrorType: c.q.errorType}
	if e.ErrorType == "" {
		e.ErrorType = runtimeUnknown
	}
	err := io.ErrUnexpectedEOF
	if c.proceed() {
		e.Payload, err = d.collect(MaxPayload)
	}
	e.ContentType = jsonOrBinary(e.Payload)
	switch {
	case errors.Is(err, errTooBig):
		c.s.receivedInit(c, e)
		return c.finish(d, replyTooLarge)
	case err != nil:
		c.s.receivedInit(c, nil)
		return c.finish(d, replyTruncated)
	}
	return c.finish(d, c.s.receivedInit(c, e))
}

// proceed tells a peer that waits for it to send its body.
func (c *conn) proceed() bool {
	if !c.q.expects {
		return true
	}
	c.q.expects = false
	_, err := c.nc.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err == nil
}

// finish reads what is left of the body, answers, and reports whether the connection goes on.
func (c *conn) finish(d *body, r *reply) bool {
	// A peer that still waits for a 100 may send its body or not: there is no telling where its next request begins.
	if c.q.expects || d.discard(maxDrain) != nil {
		if c.write(r, true) == nil {
			c.linger()
		}
		return false
	}
	return c.write(r, c.q.close) == nil && !c.q.close
}

// write sends r; if it is the last answer, it says so. That an answer was accepted waits for the event that our bootstrap has asked for
// already: it would wake it for nothing.
func (c *conn) write(r *reply, last bool) error {
	c.out = appendReply(c.unsent(), r, last, c.q.method == methodHead)
	if c.own && r == replyAccepted && !last && c.in.holds(nextAsked) {
		c.held = true
		return nil
	}
	_, err := c.nc.Write(c.out)
	return err
}

// nextAsked is how a request for an event begins.
const nextAsked = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"

// unsent is what is held, and from now on to be written.
func (c *conn) unsent() []byte {
	if !c.held {
		return c.out[:0]
	}
	c.held = false
	return c.out
}

// linger lets the peer read the last answer before the connection is closed: closing with unread bytes resets it.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyN(io.Discard, c.nc, 1<<20)
}

// deliver writes the event to the parked next. If it fails, the connection is closed and the runtime may ask again. It
// returns by ctx's end even if the runtime does not read.
func (c *conn) deliver(ctx context.Context, inv *Invocation) {
	c.out = appendEvent(c.unsent(), inv, c.last)
	stop := c.bound(ctx, len(inv.Payload) > maxJoin)
	var err error
	if len(inv.Payload) <= maxJoin {
		c.out = append(c.out, inv.Payload...)
		_, err = c.nc.Write(c.out)
	} else {
		c.vec = [2][]byte{c.out, inv.Payload}
		c.buf = c.vec[:]
		_, err = c.buf.WriteTo(c.nc)
		c.vec = [2][]byte{} // the payload is the caller's
	}
	if !stop() || err != nil || c.last {
		c.nc.Close()
	}
	c.released <- struct{}{}
}

// bound makes writes fail when ctx ends: at its deadline, and when it is canceled if the write may have to wait, or there
// is no deadline. The function it returns ends that, and reports false if the connection is of no use any more.
func (c *conn) bound(ctx context.Context, large bool) (stop func() bool) {
	deadline, ok := ctx.Deadline()
	if ok {
		_ = c.nc.SetWriteDeadline(deadline)
	}
	if ok && !large {
		return c.unbound
	}
	after := context.AfterFunc(ctx, func() { _ = c.nc.SetWriteDeadline(time.Unix(1, 0)) })
	return func() bool { return after() && c.unbound() }
}

func (c *conn) unbound() bool { return c.nc.SetWriteDeadline(time.Time{}) == nil }
