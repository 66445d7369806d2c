//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// client is one connection.
type client struct {
	o      *options
	source *source
	nc     net.Conn
	in     *bufio.Reader
	body   []byte // of the last response
}

// once sends the requests of a round and reads their responses. The error is of that round alone: the next one gets a new
// connection if it must.
func (c *client) once(now time.Time) error {
	for _, st := range c.source.steps {
		if err := c.step(st, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) step(st *step, now time.Time) error {
	req, err := c.source.next(st, now, c.body)
	if err != nil {
		return err
	}
	if c.nc == nil {
		if c.nc, err = net.DialTimeout("tcp", c.o.address, c.o.timeout); err != nil {
			c.nc = nil
			return err
		}
		if c.in == nil {
			c.in = bufio.NewReaderSize(c.nc, 16<<10)
		}
		c.in.Reset(c.nc)
	}
	return c.exchange(req, now)
}

// exchange drops the connection when it cannot be used again.
func (c *client) exchange(req []byte, now time.Time) error {
	_ = c.nc.SetDeadline(now.Add(c.o.timeout))
	_, err := c.nc.Write(req)
	var resp response
	if err == nil {
		resp, err = c.read()
	}
	if err != nil || resp.close {
		c.nc.Close()
		c.nc = nil
	}
	switch {
	case err != nil:
		return err
	case resp.status/100 != 2:
		return fmt.Errorf("status %d: %.300s", resp.status, c.body)
	case resp.functionError != "":
		return fmt.Errorf("function error %s: %.300s", resp.functionError, c.body)
	}
	return nil
}

// response is a response's head.
type response struct {
	status        int
	length        int
	chunked       bool
	close         bool
	functionError string
}

// read reads a response with its body.
func (c *client) read() (response, error) {
	resp, err := readHead(c.in)
	if err != nil {
		return resp, err
	}
	switch {
	case resp.chunked:
		if c.body, err = io.ReadAll(httputil.NewChunkedReader(c.in)); err == nil {
			_, err = c.in.ReadSlice('\n') // no trailers
		}
	case resp.length >= 0:
		if cap(c.body) < resp.length {
			c.body = make([]byte, resp.length)
		}
		c.body = c.body[:resp.length]
		_, err = io.ReadFull(c.in, c.body)
	default:
		resp.close = true
		c.body, err = io.ReadAll(c.in)
	}
	if err != nil {
		return resp, fmt.Errorf("read response: %w", err)
	}
	return resp, nil
}

func readHead(in *bufio.Reader) (response, error) {
	resp := response{length: -1}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return resp, fmt.Errorf("read response: %w", err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return resp, fmt.Errorf("not a response: %.40q", line)
	}
	if resp.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return resp, fmt.Errorf("not a response: %.40q", line)
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return resp, fmt.Errorf("read response: %w", err)
		}
		if len(line) <= 2 {
			return resp, nil
		}
		if err := resp.header(line); err != nil {
			return resp, err
		}
	}
}

// header notes what matters of a header's line.
func (r *response) header(line []byte) (err error) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimSpace(value)
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	switch {
	case is("content-length"):
		if r.length, err = strconv.Atoi(string(value)); err != nil || r.length < 0 || r.length > 16<<20 {
			return fmt.Errorf("content length %q", value)
		}
	case is("transfer-encoding"):
		r.chunked = true
	case is("connection"):
		r.close = bytes.EqualFold(value, []byte("close"))
	case is("x-amz-function-error"):
		r.functionError = string(value)
	}
	return nil
}
