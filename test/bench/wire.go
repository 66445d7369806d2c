//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// exchangeLimit is how long one exchange may take.
const exchangeLimit = 5 * time.Minute

// wires are connections that are kept, as an SDK keeps them, without the goroutines of net/http's client: what they hand to each other
// takes longer than much of what is measured here, and a bare interpreter's first byte is read without them too.
type wires struct {
	mu   sync.Mutex
	idle map[string][]*conn // by address
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

var connections = wires{idle: map[string][]*conn{}}

// exchange sends a request and reads the answer to its end. The time is from the first byte sent to the last one read.
func (w *wires) exchange(address string, req *http.Request) (resp *http.Response, body []byte, took time.Duration, err error) {
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return nil, nil, 0, err
	}
	for {
		c, kept, err := w.get(address)
		if err != nil {
			return nil, nil, 0, err
		}
		begun := time.Now()
		resp, body, err = c.exchange(text.Bytes(), req)
		took = time.Since(begun)
		switch {
		case err == nil && !resp.Close:
			w.put(address, c)
			return resp, body, took, nil
		case err == nil:
			return resp, body, took, c.Close()
		}
		c.Close()
		if !kept || !errors.Is(err, errStale) { // else the server has closed it meanwhile
			return nil, nil, 0, err
		}
	}
}

// errStale says that a connection ended before anything was answered.
var errStale = errors.New("the connection was closed")

func (c *conn) exchange(text []byte, req *http.Request) (*http.Response, []byte, error) {
	if err := c.SetDeadline(time.Now().Add(exchangeLimit)); err != nil {
		return nil, nil, err
	}
	if _, err := c.Write(text); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errStale, err)
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errStale, err)
	}
	resp, err := http.ReadResponse(c.in, req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (w *wires) get(address string) (c *conn, kept bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all := w.idle[address]; len(all) > 0 {
		w.idle[address] = all[:len(all)-1]
		return all[len(all)-1], true, nil
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, false, err
	}
	return &conn{Conn: nc, in: bufio.NewReader(nc)}, false, nil
}

func (w *wires) put(address string, c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle[address] = append(w.idle[address], c)
}
