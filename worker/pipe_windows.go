package worker

import (
	"syscall"
	"time"
	"unsafe"
)

var peekNamedPipe = syscall.NewLazyDLL("kernel32.dll").NewProc("PeekNamedPipe")

// lookEvery is how often a pipe is looked at: Windows tells nobody of new bytes in one.
const lookEvery = 5 * time.Millisecond

// readNow reads what is there, without waiting.
func readNow(fd uintptr, buf []byte) (int, pipeState) {
	var there uint32
	if ok, _, _ := peekNamedPipe.Call(fd, 0, 0, 0, uintptr(unsafe.Pointer(&there)), 0); ok == 0 {
		return 0, pipeEnded // by then nobody can write to it
	}
	if there == 0 {
		return 0, pipeEmpty
	}
	n, err := syscall.Read(syscall.Handle(fd), buf)
	if err != nil || n == 0 {
		return 0, pipeEnded
	}
	return n, pipeMore
}

// eachTime calls step whenever there may be something to read, until it answers pipeEnded or the pipe is closed.
func eachTime(conn syscall.RawConn, step func(fd uintptr) pipeState) {
	for {
		state := pipeEnded
		if err := conn.Control(func(fd uintptr) { state = step(fd) }); err != nil || state == pipeEnded {
			return
		}
		if state == pipeEmpty {
			time.Sleep(lookEvery)
		}
	}
}
