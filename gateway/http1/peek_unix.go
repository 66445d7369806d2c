//go:build linux || darwin || freebsd

package http1

import "syscall"

// canPeek says that a connection's file descriptor may be read from without waiting.
const canPeek = true

// readNow reads what is there.
func readNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR { //nolint:errorlint // an Errno as it comes
			return n, err
		}
	}
}

func wouldBlock(err error) bool { return err == syscall.EAGAIN } //nolint:errorlint // an Errno as it comes

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
	if peek != nil {
		return peek != syscall.EAGAIN && peek != syscall.EINTR //nolint:errorlint // an Errno as it comes
	}
	return n == 0
}
