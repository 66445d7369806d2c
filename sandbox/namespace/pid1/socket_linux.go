package pid1

import (
	"errors"
	"sync"
	"syscall"
	"unsafe"
)

// controlFD is the socket to the driver.
const controlFD = 3

// headerSize is a message's kind and the length of its body.
const headerSize = 5

// AppendHeader starts a message: its kind and the length of its body.
func AppendHeader(b []byte, k Kind, body int) []byte {
	return append(b, byte(k), byte(body), byte(body>>8), byte(body>>16), byte(body>>24))
}

// ParseHeader reads what AppendHeader wrote.
func ParseHeader(b []byte) (k Kind, body int, err error) {
	if len(b) != headerSize {
		return 0, 0, errMessage
	}
	n := uint32(b[1]) | uint32(b[2])<<8 | uint32(b[3])<<16 | uint32(b[4])<<24
	if n > MaxMessage {
		return 0, 0, errMessage
	}
	return Kind(b[0]), int(n), nil
}

// HeaderSize is how many bytes precede a message's body. Descriptors come with the first of them.
const HeaderSize = headerSize

// A socket is the first process's side of the control connection. receive is for one goroutine, send for all.
type socket struct {
	mu  sync.Mutex
	oob [syscall.SizeofCmsghdr + 4*MaxFiles + 32]byte
}

// receive waits for a message. Any error means that the driver is gone or has gone mad: exit.
func (s *socket) receive() (k Kind, body []byte, files []int, err error) {
	var head [headerSize]byte
	got := 0
	for got < headerSize {
		n, oobn, _, _, err := syscall.Recvmsg(controlFD, head[got:], s.oob[:], syscall.MSG_CMSG_CLOEXEC)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return 0, nil, nil, errMessage
		}
		got += n
		more, err := parseFiles(s.oob[:oobn])
		if err != nil {
			return 0, nil, nil, err
		}
		files = append(files, more...)
	}
	k, size, err := ParseHeader(head[:])
	if err != nil {
		return 0, nil, nil, err
	}
	body = make([]byte, size)
	for got := 0; got < size; {
		// It comes with the head. A call of Go's that may wait gives the right to run away, and gets it back by way of other threads.
		rest := body[got:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, controlFD, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			return 0, nil, nil, errMessage
		}
		got += int(n)
	}
	return k, body, files, nil
}

func parseFiles(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []int
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			return nil, err
		}
		files = append(files, fds...)
	}
	return files, nil
}

// send answers. Errors are not told: if the driver is gone, receive sees it.
func (s *socket) send(k Kind, body []byte, files ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	msg := append(AppendHeader(make([]byte, 0, headerSize+len(body)), k, len(body)), body...)
	var oob []byte
	if len(files) > 0 {
		oob = syscall.UnixRights(files...)
	}
	for len(msg) > 0 {
		n, err := syscall.SendmsgN(controlFD, msg, oob, nil, syscall.MSG_NOSIGNAL)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		msg, oob = msg[n:], nil
	}
}
