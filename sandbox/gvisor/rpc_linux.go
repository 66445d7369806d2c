//go:build amd64 || arm64

package gvisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// controlSocket is where gVisor listens, in the keeper's mount namespace: runsc names it after the container.
const controlSocket = stateDir + "/runsc-box.sock"

// maxAnswer is the most bytes of an answer of gVisor's. Nothing that we ask needs as much.
const maxAnswer = 16 << 20

// call has gVisor do something: this is its pkg/urpc, of which we need little. Files go with the call.
func (k *keeper) call(method string, arg, result any, files ...*os.File) error {
	conn, err := k.dial()
	if err != nil {
		return fmt.Errorf("call gVisor's %s: %w", method, err)
	}
	defer conn.Close()
	if err := converse(conn, method, arg, result, files); err != nil {
		return fmt.Errorf("call gVisor's %s: %w", method, err)
	}
	return nil
}

func (k *keeper) dial() (*net.UnixConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "gVisor")
	defer f.Close()
	if err := k.do(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: controlSocket}) }); err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// converse asks and reads the answer, both JSON. The files go with the first byte.
func converse(conn *net.UnixConn, method string, arg, result any, files []*os.File) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	ask, err := json.Marshal(map[string]any{"method": method, "arg": arg})
	if err != nil {
		return err
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	n, _, err := conn.WriteMsgUnix(ask, unix.UnixRights(fds...), nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(ask[n:]); err != nil {
		return err
	}
	answer := struct {
		Success bool            `json:"success"`
		Err     string          `json:"err"`
		Result  json.RawMessage `json:"result"`
	}{}
	if err := json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&answer); err != nil {
		return err
	}
	if !answer.Success {
		return errors.New(answer.Err)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}
