package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestShutdown(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	o := Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-finish
		}
		echo(w, r)
	})}
	bubble(t, o, func(t *testing.T, s *Server, l *pipes) {
		began, finish = make(chan struct{}), make(chan struct{})
		busy, idle, fresh, silent := l.dial(t), l.dial(t), l.dial(t), l.dial(t)
		idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		idle.want(200, "")
		busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		<-began
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		idle.closed()
		fresh.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") // it was on its way
		if resp := fresh.want(200, ""); !resp.Close {
			t.Error("the answer does not say that it is the last")
		}
		fresh.closed()
		start := time.Now()
		silent.closed()
		took(t, "silent newcomer: closed", start, newcomers)
		if err := s.Serve(newPipes()); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		select {
		case err := <-down:
			t.Error("Shutdown did not wait:", err)
		default:
		}
		close(finish)
		if resp := busy.want(200, ""); !resp.Close {
			t.Error("the answer does not say that it is the last")
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error("again:", err)
		}
	})
}

// TestClose checks that requests are told, and that a Shutdown that has no time left says so.
func TestClose(t *testing.T) {
	ended := make(chan error, 1)
	o := Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- r.Context().Err()
	})}
	bubble(t, o, func(t *testing.T, s *Server, l *pipes) {
		ended = make(chan error, 1)
		c := l.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		_ = s.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		c.closed()
	})
}

// TestCrowd checks who has to go where there are too many.
func TestCrowd(t *testing.T) {
	finish := make(chan struct{})
	o := Options{MaxConns: 3, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-finish
		}
	})}
	bubble(t, o, func(t *testing.T, s *Server, l *pipes) {
		finish = make(chan struct{})
		get := func(c *client, path string) { c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n") }
		a, b, c := l.dial(t), l.dial(t), l.dial(t)
		for _, conn := range []*client{b, a, c} {
			get(conn, "/")
			conn.want(200, "")
			synctest.Wait()
		}
		d := l.dial(t)
		b.closed() // waits longest
		get(a, "/slow")
		get(c, "/slow")
		synctest.Wait()
		e := l.dial(t)
		d.closed()
		get(e, "/slow")
		synctest.Wait()
		l.dial(t).closed() // all are at work
		close(finish)
		for _, conn := range []*client{a, c, e} {
			conn.want(200, "")
		}
		synctest.Wait()
		f := l.dial(t)
		get(f, "/")
		f.want(200, "")
		if n := len(s.crowd.conns(nil)); n != 3 {
			t.Errorf("%d connections", n)
		}
	})
}

// faulty is a listener whose Accept fails now and then.
type faulty struct {
	net.Listener
	errs []error
	n    atomic.Int32
}

func (f *faulty) Accept() (net.Conn, error) {
	if i := int(f.n.Add(1)) - 1; i < len(f.errs) {
		return nil, &net.OpError{Op: "accept", Err: f.errs[i]}
	}
	return f.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := New(Options{Handler: http.HandlerFunc(echo), Log: slog.New(slog.DiscardHandler)})
		f := &faulty{Listener: l, errs: []error{syscall.EMFILE, syscall.EMFILE, syscall.ECONNABORTED}}
		done := make(chan error, 1)
		go func() { done <- s.Serve(f) }()
		c := l.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		c.want(200, "")
		_ = l.Close() // by somebody else
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = s.Close()
		time.Sleep(time.Minute)
	})
}
