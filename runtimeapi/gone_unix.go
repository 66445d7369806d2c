//go:build linux || darwin || freebsd

package runtimeapi

import (
	"net"
	"syscall"
)

// gone reports whether the peer has closed its side and all that it sent is read.
func gone(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var n int
	var peek error
	if err := raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, peek = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); err != nil {
		return true
	}
	if peek != nil {
		return peek != syscall.EAGAIN && peek != syscall.EINTR
	}
	return n == 0
}
