//go:build linux || darwin || freebsd

package http1

import "syscall"

// canPeek says that a connection's file descriptor may be read from without waiting.
const canPeek = true

// readNow reads what is there; waits says that there is nothing yet.
func readNow(fd uintptr, p []byte) (n int, waits bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch errno, _ := err.(syscall.Errno); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return max(n, 0), false, err
		}
	}
}

// gone reports whether the client has closed its side and all that it sent is read.
func gone(raw syscall.RawConn) bool {
	if raw == nil {
		return false
	}
	var n int
	var peek error
	if err := raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, peek = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); err != nil {
		return true
	}
	switch errno, _ := peek.(syscall.Errno); errno {
	case 0:
		return n == 0
	case syscall.EAGAIN, syscall.EINTR:
		return false
	}
	return true
}
