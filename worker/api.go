package worker

import (
	"net"
	"sync"

	"github.com/enfold-run/enfold/runtimeapi"
)

// apiConns is how many connections to the AWS API a sandbox may hold. More wait in the kernel until one is closed.
const apiConns = 128

// serveAPI hands the sandbox's AWS API to the server. What it answers ends that; it is never nil.
func (p *Pool) serveAPI(l net.Listener, f *Function) (stop func()) {
	if l == nil || p.deps.API == nil {
		return func() {}
	}
	b := &boundedListener{Listener: l, places: runtimeapi.NewPlaces(apiConns, p.conns), done: make(chan struct{})}
	end := p.deps.API(b, f)
	return func() {
		b.Close() // the sandbox has closed it already: whoever waits for a place has not noticed
		end()
	}
}

// apiURL is where a function finds the AWS API, empty if nobody serves it.
func (p *Pool) apiURL(l net.Listener, endpoint string) string {
	switch {
	case l == nil:
		return p.deps.Endpoint
	case p.deps.API == nil:
		return ""
	}
	return "http://" + endpoint
}

// A boundedListener has at most so many connections at once as there are places.
type boundedListener struct {
	net.Listener
	places *runtimeapi.Places
	done   chan struct{} // closed by Close
	once   sync.Once
}

// Accept waits for a place, then for a connection.
func (l *boundedListener) Accept() (net.Conn, error) {
	if !l.places.Take(l.done) {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.places.Free()
		return nil, err
	}
	return &boundedConn{Conn: c, places: l.places}, nil
}

// Close ends Accept. Connections live on.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// A boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	places *runtimeapi.Places
	once   sync.Once
}

// Close closes it.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.places.Free)
	return err
}
