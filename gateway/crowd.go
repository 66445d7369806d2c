package gateway

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// crowd bounds the connections of a server. Where there are too many, the one that waited longest without a request goes;
// if all are at work, the newcomer does.
type crowd struct {
	mu      sync.Mutex
	max     int
	all     map[net.Conn]*list.Element // nil while at work
	waiting list.List                  // of net.Conn, the longest first
}

func newCrowd(limit int) *crowd {
	return &crowd{max: limit, all: map[net.Conn]*list.Element{}}
}

// changed is http.Server.ConnState.
func (c *crowd) changed(conn net.Conn, state http.ConnState) {
	if out := c.update(conn, state); out != nil {
		go out.Close() // a TLS connection says good-bye, which takes a while
	}
}

// update answers the connection that has to go, if any.
func (c *crowd) update(conn net.Conn, state http.ConnState) (out net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[conn]; e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.all, conn)
		return nil
	case http.StateActive:
		c.all[conn] = nil
		return nil
	case http.StateNew:
		if len(c.all) >= c.max {
			out = conn
			if oldest := c.waiting.Front(); oldest != nil {
				out = oldest.Value.(net.Conn)
				c.waiting.Remove(oldest)
				c.all[out] = nil
			}
		}
	}
	if out != conn {
		c.all[conn] = c.waiting.PushBack(conn)
	}
	return out
}
