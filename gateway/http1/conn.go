package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	drainTime = 5 * time.Second        // for the rest of a body that no handler wants
	maxDrain  = 256 << 10              // bytes of it
	lingering = 500 * time.Millisecond // for the client to read the last answer, or to send more
	maxLinger = 128 << 20              // bytes of that: more than any operation takes
)

// conn is one connection. Its goroutine reads requests, runs the handler and writes.
type conn struct {
	s      *Server
	nc     net.Conn
	raw    syscall.RawConn // nil: there is no file descriptor
	remote string
	in     reader
	limits deadlines
	place  place
	served atomic.Bool // the first bytes of a request, or more

	current atomic.Pointer[exchange] // the one that runs
	seen    *exchange                // by the last watch; the watch's own

	firstN   int // what tryFirst read
	firstErr error
	tryFirst func(fd uintptr) bool // c.first, made once
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, remote: nc.RemoteAddr().String()}
	c.limits = deadlines{nc: nc, grace: s.o.WriteGrace}
	c.in.src = c
	c.place.c = c
	c.tryFirst = c.first
	if sc, ok := nc.(syscall.Conn); ok && canPeek {
		c.raw, _ = sc.SyscallConn()
	}
	return c
}

// Read is what c.in reads from: the connection, within the deadline.
func (c *conn) Read(p []byte) (n int, err error) {
	for {
		c.limits.beginRead()
		n, err = c.nc.Read(p)
		if !c.limits.endRead(err) || n > 0 {
			return n, err
		}
	}
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	defer c.s.leave(c)
	_ = c.limits.setRead(time.Now().Add(c.s.o.HeadTimeout))
	for c.await() == nil {
		text, lines, err := c.in.head(c.s.o.MaxHead)
		if err == nil {
			if !c.s.crowd.work(&c.place) {
				return
			}
			err = c.handle(string(text), lines)
		}
		if err != nil {
			c.refuse(err)
			return
		}
		c.in.shrink()
		if !c.s.crowd.wait(&c.place) {
			return
		}
	}
}

// errDone ends a connection that has nothing more to say.
var errDone = errors.New("connection is done")

// await waits for the first bytes of a request, without a buffer if it has to wait long.
func (c *conn) await() error {
	if c.in.buffered() > 0 {
		c.headBegins()
		return nil
	}
	if c.served.Load() {
		_ = c.limits.setRead(time.Now().Add(c.s.o.IdleTimeout))
	}
	if err := c.awaitFirst(); err != nil {
		return err
	}
	c.headBegins()
	return nil
}

// headBegins bounds the time for the rest of a head. A new connection's bound is that of its silence.
func (c *conn) headBegins() {
	if c.served.Load() {
		_ = c.limits.setRead(time.Now().Add(c.s.o.HeadTimeout))
	}
	c.served.Store(true)
}

// awaitFirst reads once into an empty buffer.
func (c *conn) awaitFirst() error {
	if c.raw == nil {
		c.in.acquire()
		return c.in.fill(smallBuffer)
	}
	for {
		c.limits.beginRead()
		c.firstN, c.firstErr = 0, nil
		err := c.raw.Read(c.tryFirst)
		if err == nil {
			err = c.firstErr
		}
		if c.limits.endRead(err) {
			continue
		}
		if err == nil && c.firstN == 0 {
			err = io.EOF
		}
		return err
	}
}

// first reads if there is something to be read. If not, the buffer goes back until there is.
func (c *conn) first(fd uintptr) bool {
	c.in.acquire()
	n, waits, err := readNow(fd, c.in.buf)
	if waits {
		c.in.release()
		return false
	}
	c.in.r, c.in.w = 0, n
	c.firstN, c.firstErr = n, err
	return true
}

// handle runs the handler for a request. An error ends the connection, whether the client is told or not.
func (c *conn) handle(text string, lines int) error {
	x := &exchange{c: c}
	if err := x.parse(text, lines); err != nil {
		return err
	}
	_ = c.limits.setRead(time.Time{})
	c.current.Store(x)
	c.s.watch.wake()
	whole := c.run(x)
	c.current.Store(nil)
	x.end()
	c.limits.release()
	if !whole {
		x.w.release()
		return errDone
	}
	if err := x.w.finish(); err != nil {
		return errDone
	}
	if x.w.last || !c.drain(&x.body) {
		c.linger()
		return errDone
	}
	return nil
}

// drain reads what the handler left of the body, and reports whether the connection is at the next request. If the handler
// set a deadline that is sooner than ours, it holds.
func (c *conn) drain(d *body) bool {
	if d.close() {
		return true
	}
	_ = c.limits.notAfter(time.Now().Add(drainTime))
	return d.discard(maxDrain)
}

// run reports whether the handler came to its end.
func (c *conn) run(x *exchange) (whole bool) {
	defer func() {
		if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
			c.s.o.Log.Error("handler panicked", "remote", c.remote, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.s.o.Handler.ServeHTTP(&x.w, x.r)
	return true
}

// proceed tells a client that waits for it to send its body.
func (c *conn) proceed() error {
	c.limits.beginWrite(time.Now())
	_, err := io.WriteString(c.nc, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// refuse answers a request whose head is no good.
func (c *conn) refuse(err error) {
	status := statusOf(err)
	if status == "" {
		return // nobody to tell
	}
	c.limits.beginWrite(time.Now())
	if _, err := io.WriteString(c.nc, "HTTP/1.1 "+status+"\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+status); err == nil {
		c.linger()
	}
}

func statusOf(err error) string {
	switch {
	case errors.Is(err, errSyntax):
		return "400 Bad Request"
	case errors.Is(err, errHeadTooLarge), errors.Is(err, errTooLong):
		return "431 Request Header Fields Too Large"
	case errors.Is(err, errVersion):
		return "505 HTTP Version Not Supported"
	case errors.Is(err, errCoding):
		return "501 Not Implemented"
	case errors.Is(err, errExpectation):
		return "417 Expectation Failed"
	}
	return ""
}

// linger lets the client read the last answer: closing a connection with unread bytes resets it, and a client that still sends a body
// which was refused for its size would see that and not the refusal.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	sink := buffers.Get().(*[smallBuffer]byte)
	defer buffers.Put(sink)
	end := time.Now().Add(drainTime)
	for left := maxLinger; left > 0; {
		until := time.Now().Add(lingering)
		if until.After(end) {
			until = end
		}
		if c.nc.SetReadDeadline(until) != nil {
			return
		}
		n, err := c.nc.Read(sink[:])
		if err != nil {
			return
		}
		left -= n
	}
}
