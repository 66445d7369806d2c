//go:build linux || darwin || freebsd

package http1

import (
	"net"
	"syscall"
	"testing"
)

// slowRaw is a connection on which a byte comes after the first try to read one.
type slowRaw struct {
	fds  [2]int
	idle func()
}

func (r *slowRaw) Control(f func(uintptr)) error  { f(uintptr(r.fds[0])); return nil }
func (r *slowRaw) Write(func(uintptr) bool) error { return nil }
func (r *slowRaw) Read(f func(fd uintptr) bool) error {
	if f(uintptr(r.fds[0])) {
		return nil
	}
	r.idle()
	if _, err := syscall.Write(r.fds[1], []byte("x")); err != nil {
		return err
	}
	f(uintptr(r.fds[0]))
	return nil
}

// TestIdleHoldsNoBuffer checks that a connection that waits has given its buffer back, large or small.
func TestIdleHoldsNoBuffer(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := newConn(New(Options{}), ours)
	defer c.s.leave(c)
	raw := &slowRaw{idle: func() {
		if c.in.buf != nil || c.in.small != nil {
			t.Error("it waits with a buffer")
		}
	}}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	raw.fds = fds
	c.raw = raw
	for range 2 {
		if err := c.awaitFirst(); err != nil || c.in.buffered() != 1 {
			t.Fatal(c.in.buffered(), err)
		}
		c.in.grow()
		c.in.r = c.in.w
		c.in.shrink()
	}
}
