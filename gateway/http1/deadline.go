package http1

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// deadlines are a connection's, set on it as rarely as they can be: setting one costs a lock and a timer, and most reads
// and writes of most requests never wait.
type deadlines struct {
	nc    net.Conn
	grace time.Duration // of a write that sets none itself

	mu      sync.Mutex
	want    time.Time // when a read fails; zero: never
	armed   time.Time // what is set, which may be earlier
	reading bool

	write time.Time // what is set for writes
	own   bool      // by the handler
}

// setRead sets when reads fail. One that is running is told.
func (d *deadlines) setRead(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if d.reading {
		return d.arm()
	}
	return nil
}

// notAfter makes reads fail at t, if they do not sooner.
func (d *deadlines) notAfter(t time.Time) error {
	d.mu.Lock()
	sooner := !d.want.IsZero() && d.want.Before(t)
	d.mu.Unlock()
	if sooner {
		return nil
	}
	return d.setRead(t)
}

func (d *deadlines) arm() error {
	d.armed = d.want
	return d.nc.SetReadDeadline(d.want)
}

// beginRead is called before a read that may wait.
func (d *deadlines) beginRead() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading = true
	if !d.want.IsZero() && (d.armed.IsZero() || d.armed.After(d.want)) {
		_ = d.arm() // the read says what is wrong with the connection
	}
}

// endRead is called after the read, and reports whether it failed before its time and is to be tried again.
func (d *deadlines) endRead(err error) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading = false
	if err == nil || !isTimeout(err) || !d.want.IsZero() && !time.Now().Before(d.want) {
		return false
	}
	return d.arm() == nil
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// setWrite is the handler's deadline for its writes.
func (d *deadlines) setWrite(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write, d.own = t, true
	return d.nc.SetWriteDeadline(t)
}

// release ends the handler's hold on the deadlines.
func (d *deadlines) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = false
}

// beginWrite is called before each write: a client that does not read must not hold its connection for ever.
func (d *deadlines) beginWrite(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.own && d.write.Sub(now) < d.grace {
		d.write = now.Add(2 * d.grace)
		_ = d.nc.SetWriteDeadline(d.write) // the write says what is wrong
	}
}
