package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options are a Server's. Handler must be given; a zero of the others is the default.
type Options struct {
	Handler http.Handler
	Log     *slog.Logger // of handlers that panic; nil: slog.Default

	HeadTimeout time.Duration // for a whole head, and for a new connection's first one; 10 s
	IdleTimeout time.Duration // between requests; 3 min
	WriteGrace  time.Duration // at least so long, and at most twice, may a write wait if the handler set no deadline; 1 min
	MaxHead     int           // bytes of a request's head; more is answered 431; 64 KiB
	MaxConns    int           // at once; 4096
}

// Server serves connections. Its methods may be called from any goroutine.
type Server struct {
	o     Options
	crowd *crowd
	watch watch
	dates atomic.Pointer[dateText]

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	ended     atomic.Bool
}

// New is a Server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	orDefault(&o.HeadTimeout, 10*time.Second)
	orDefault(&o.IdleTimeout, 3*time.Minute)
	orDefault(&o.WriteGrace, time.Minute)
	orDefault(&o.MaxHead, 64<<10)
	orDefault(&o.MaxConns, 4096)
	s := &Server{o: o, crowd: newCrowd(o.MaxConns), listeners: map[net.Listener]struct{}{}}
	s.watch.s = s
	return s
}

func orDefault[T ~int | ~int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Serve serves the connections of l, and closes l. It returns http.ErrServerClosed after Shutdown and Close, at once, or
// the error of l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return http.ErrServerClosed
	}
	defer s.forget(l)
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.add(nc)
			continue
		}
		if s.closing() {
			return http.ErrServerClosed
		}
		if temporary := net.Error(nil); !errors.As(err, &temporary) || errors.Is(err, net.ErrClosed) {
			return err
		}
		pause = min(2*pause+5*time.Millisecond, time.Second) // no file descriptors: they come back
		s.o.Log.Warn("accept connection", "error", err, "again", pause.String())
		time.Sleep(pause)
	}
}

func (s *Server) closing() bool { return s.ended.Load() }

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) forget(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// add serves a connection if there is a place for it.
func (s *Server) add(nc net.Conn) {
	c := newConn(s, nc)
	if !s.crowd.enter(&c.place) {
		nc.Close()
		return
	}
	go c.serve()
}

// leave is the end of a connection.
func (s *Server) leave(c *conn) {
	c.nc.Close()
	c.in.release()
	s.crowd.leave(&c.place)
}

// end stops listening.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Store(true)
	for l := range s.listeners {
		l.Close()
	}
}

// newcomers is how long Shutdown waits for the first request of a connection that was made a moment before.
const newcomers = 250 * time.Millisecond

// Shutdown stops listening, closes the connections that wait for a request, and returns when those at work have answered.
// It returns ctx's error when ctx ends before that.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	s.crowd.end(false)
	late := time.AfterFunc(newcomers, func() { s.crowd.end(true) })
	defer late.Stop()
	select {
	case <-s.crowd.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops listening, closes all connections and cancels the contexts of their requests. It does not wait for the
// handlers.
func (s *Server) Close() error {
	s.end()
	s.crowd.end(true)
	for _, c := range s.crowd.conns(nil) {
		c.nc.Close()
		if x := c.current.Load(); x != nil {
			x.cancel()
		}
	}
	return nil
}
