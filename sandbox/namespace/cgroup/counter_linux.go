package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// A counter is an open file of the kernel's that says something new each time. Reading it is one system call and allocates
// nothing: os.File.ReadAt would look for the file's end. It is safe for concurrent use.
type counter struct {
	*os.File
	conn  syscall.RawConn
	pread func(fd uintptr)

	mu  sync.Mutex
	buf [1024]byte // the files have a few lines
	n   int
	err error
}

func openCounter(file string, flag int) (*counter, error) {
	f, err := os.OpenFile(file, flag, 0)
	if err != nil {
		return nil, err
	}
	c := &counter{File: f}
	if c.conn, err = f.SyscallConn(); err != nil {
		f.Close()
		return nil, err
	}
	c.pread = func(fd uintptr) {
		for c.err = syscall.EINTR; errors.Is(c.err, syscall.EINTR); {
			c.n, c.err = syscall.Pread(int(fd), c.buf[:], 0)
		}
	}
	return c, nil
}

// number is what the line "name number" says, 0 if there is none, or the whole file if name is empty.
func (c *counter) number(name string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.conn.Control(c.pread)
	if err == nil {
		err = c.err
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", c.Name(), err)
	}
	text := c.buf[:c.n]
	if name == "" {
		return parseBytes(text)
	}
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if k, v, ok := bytes.Cut(line, []byte{' '}); ok && string(k) == name {
			return parseBytes(v)
		}
	}
	return 0, nil
}

// close may be called on nil.
func (c *counter) close() {
	if c != nil {
		c.Close()
	}
}
