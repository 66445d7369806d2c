//go:build unix

package worker

import (
	"errors"
	"syscall"
)

// readNow reads what is there, without waiting: of a pipe that os has opened it is non-blocking.
func readNow(fd uintptr, buf []byte) (int, pipeState) {
	for {
		n, err := syscall.Read(int(fd), buf)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, pipeEmpty
		case err != nil || n == 0:
			return 0, pipeEnded
		}
		return n, pipeMore
	}
}

// eachTime calls step whenever there may be something to read, until it answers pipeEnded or the pipe is closed.
func eachTime(conn syscall.RawConn, step func(fd uintptr) pipeState) {
	_ = conn.Read(func(fd uintptr) bool {
		for {
			// It must not wait before all is read: the kernel tells of new bytes only.
			switch step(fd) {
			case pipeEmpty:
				return false
			case pipeEnded:
				return true
			}
		}
	})
}
