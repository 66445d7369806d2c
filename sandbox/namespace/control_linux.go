//go:build amd64 || arm64

package namespace

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// errGone says that a sandbox's first process has died.
var errGone = errors.New("the sandbox's first process is gone")

// patience is how long a first process may take for one answer. It takes milliseconds unless the host is overloaded.
const patience = 20 * time.Second

// A control is the driver's side of the connection to a first process. receive is for one goroutine, send for all.
type control struct {
	conn *net.UnixConn
	mu   sync.Mutex
}

// newControl makes a connection; the other end is for the first process, and to be closed here.
func newControl() (*control, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a control connection: %w", err)
	}
	other := os.NewFile(uintptr(fds[1]), "control")
	ours := os.NewFile(uintptr(fds[0]), "control")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		other.Close()
		return nil, nil, fmt.Errorf("make a control connection: %w", err)
	}
	return &control{conn: conn.(*net.UnixConn)}, other, nil
}

// send sends a message with descriptors, which stay the caller's.
func (c *control) send(k pid1.Kind, body []byte, files ...int) error {
	if len(body) > pid1.MaxMessage {
		return fmt.Errorf("message of %d bytes is too long", len(body))
	}
	msg := append(pid1.AppendHeader(make([]byte, 0, pid1.HeaderSize+len(body)), k, len(body)), body...)
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _, err := c.conn.WriteMsgUnix(msg, oob, nil)
	if err == nil && n < len(msg) {
		_, err = c.conn.Write(msg[n:])
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// receive waits for a message. Descriptors are the caller's.
func (c *control) receive() (k pid1.Kind, body []byte, files []int, err error) {
	head := make([]byte, pid1.HeaderSize)
	oob := make([]byte, unix.CmsgSpace(4*pid1.Listeners))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(head, oob)
	if err == nil && oobn > 0 {
		files, err = rights(oob[:oobn])
	}
	if err == nil {
		_, err = io.ReadFull(c.conn, head[n:])
	}
	if err == nil {
		var size int
		k, size, err = pid1.ParseHeader(head)
		body = make([]byte, size)
	}
	if err == nil {
		_, err = io.ReadFull(c.conn, body)
	}
	if err != nil {
		closeAll(files)
		return 0, nil, nil, fmt.Errorf("%w: %w", errGone, err)
	}
	return k, body, files, nil
}

func rights(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []int
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			return files, err
		}
		files = append(files, fds...)
	}
	for _, fd := range files {
		unix.CloseOnExec(fd)
	}
	return files, nil
}

// expect waits for one message of a kind, for as long as patience.
func (c *control) expect(want pid1.Kind) ([]byte, []int, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	defer c.conn.SetReadDeadline(time.Time{})
	k, body, files, err := c.receive()
	if err != nil {
		return nil, nil, err
	}
	if k != want {
		closeAll(files)
		return nil, nil, fmt.Errorf("first process answered with message %d instead of %d", k, want)
	}
	return body, files, nil
}

// do sends a message that is answered by Done.
func (c *control) do(k pid1.Kind, body []byte, files ...int) ([]int, error) {
	if err := c.send(k, body, files...); err != nil {
		return nil, err
	}
	text, got, err := c.expect(pid1.KindDone)
	if err == nil && len(text) > 0 {
		closeAll(got)
		return nil, errors.New(string(text))
	}
	return got, err
}

func (c *control) close() { c.conn.Close() }

func closeAll(files []int) {
	for _, fd := range files {
		unix.Close(fd)
	}
}
