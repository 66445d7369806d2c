package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of net.Pipe connections, whose deadlines run on a bubble's clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// bubble runs f with a server in a bubble; dial makes a connection to it.
func bubble(t *testing.T, h http.Handler, f func(t *testing.T, dial func() *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		srv := NewServer(h, nil)
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		var open []net.Conn
		defer func() { // after a t.Fatal too
			_ = srv.Close()
			for _, c := range open {
				_ = c.Close()
			}
			<-done
			time.Sleep(time.Minute) // what sleeps wakes up and sees it
		}()
		f(t, func() *client {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			open = append(open, ours)
			return &client{ours, t, bufio.NewReader(ours)}
		})
	})
}

func TestSlowClients(t *testing.T) {
	drip := func(c *client, s string, every time.Duration) {
		go func() {
			for i := range len(s) {
				if _, err := io.WriteString(c.Conn, s[i:i+1]); err != nil {
					return
				}
				time.Sleep(every)
			}
		}()
	}
	t.Run("head", func(t *testing.T) {
		bubble(t, newHouse(), func(t *testing.T, dial func() *client) {
			c, start := dial(), time.Now()
			drip(c, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("X-A: b\r\n", 1000), time.Second)
			if said, err := io.ReadAll(c.r); err != nil || strings.Contains(string(said), "200 OK") {
				t.Errorf("answer = %s, %v", said, err)
			}
			if took := time.Since(start); took < headerTimeout || took > headerTimeout+2*time.Second {
				t.Errorf("closed after %s", took)
			}
		})
	})
	t.Run("nothing", func(t *testing.T) {
		bubble(t, newHouse(), func(t *testing.T, dial func() *client) {
			c, start := dial(), time.Now()
			c.closed()
			if took := time.Since(start); took != headerTimeout {
				t.Errorf("closed after %s", took)
			}
		})
	})
	t.Run("body", func(t *testing.T) {
		h := newHouse()
		bubble(t, h, func(t *testing.T, dial func() *client) {
			c, start := dial(), time.Now()
			body := strings.Repeat("x", 2000)
			head, _, _ := strings.Cut(text(t, echo(body), body), "\r\n\r\n")
			c.send(head + "\r\n\r\n")
			drip(c, body, time.Second)
			resp, answer := c.answer()
			if resp.StatusCode != 408 || !resp.Close {
				t.Errorf("answer = %d %s %v", resp.StatusCode, answer, resp.Header)
			}
			if took := time.Since(start); took < bodyGrace || took > bodyGrace+2*time.Second {
				t.Errorf("refused after %s", took)
			}
			c.closed()
			if h.last != nil {
				t.Error("the service was called")
			}
		})
	})
	t.Run("body at the least rate", func(t *testing.T) {
		bubble(t, newHouse(), func(t *testing.T, dial func() *client) {
			c := dial()
			body := strings.Repeat("x", 60*minRate)
			head, _, _ := strings.Cut(text(t, echo(body), body), "\r\n\r\n")
			c.send(head + "\r\n\r\n")
			for range 60 {
				c.send(body[:minRate])
				time.Sleep(time.Second)
			}
			if resp, answer := c.answer(); resp.StatusCode != 200 || len(answer) != len(body) {
				t.Errorf("answer = %d, %d bytes", resp.StatusCode, len(answer))
			}
		})
	})
	t.Run("body that nobody wants", func(t *testing.T) {
		bubble(t, newHouse(), func(t *testing.T, dial func() *client) {
			for _, path := range []string{"/", "/_enfold/health", "/_enfold/file/x"} {
				c, start := dial(), time.Now()
				c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
				_, err := io.ReadAll(c.r)
				if took := time.Since(start); err != nil || took > bodyGrace {
					t.Errorf("%s: closed after %s (%v)", path, took, err)
				}
			}
		})
	})
	t.Run("idle", func(t *testing.T) {
		bubble(t, newHouse(), func(t *testing.T, dial func() *client) {
			c := dial()
			c.send(text(t, echo("x"), "x"))
			c.answer()
			start := time.Now()
			c.closed()
			if took := time.Since(start); took != idleTimeout {
				t.Errorf("closed after %s", took)
			}
		})
	})
	t.Run("reads nothing", func(t *testing.T) {
		h := newHouse()
		bubble(t, h, func(t *testing.T, dial func() *client) {
			c, start := dial(), time.Now()
			body := strings.Repeat("x", maxEcho)
			c.send(text(t, echo(body), body))
			most := writeGrace + maxEcho*time.Second/minRate + time.Second
			time.Sleep(most)
			rest, err := io.ReadAll(c.r)
			if len(rest) > 8<<10 {
				t.Errorf("%d bytes were still sent after %s (%v)", len(rest), time.Since(start), err)
			}
		})
	})
}

// TestLongCall checks that a call of fifteen minutes is answered, and that its client is noticed leaving until then.
func TestLongCall(t *testing.T) {
	h := newHouse()
	h.fake.echo = func(ctx context.Context, in *echoInput) (*echoOutput, error) {
		select {
		case <-time.After(15 * time.Minute):
			return &echoOutput{Payload: in.Payload}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	bubble(t, h, func(t *testing.T, dial func() *client) {
		c := dial()
		for range 2 {
			c.send(text(t, echo("x"), "x"))
			if resp, body := c.answer(); resp.StatusCode != 200 || body != "x" {
				t.Errorf("answer = %d %s", resp.StatusCode, body)
			}
		}
	})
}

// TestRefusedAndOn checks that a connection is as good as new after a refusal: no deadline of it is left.
func TestRefusedAndOn(t *testing.T) {
	h := newHouse()
	h.fake.echo = func(ctx context.Context, in *echoInput) (*echoOutput, error) {
		select {
		case <-time.After(10 * time.Minute):
			return &echoOutput{Payload: in.Payload}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	bubble(t, h, func(t *testing.T, dial func() *client) {
		c := dial()
		for _, r := range []func() *http.Request{
			func() *http.Request { return newRequest("POST", "/things/t/echo", "x") },
			func() *http.Request { return with(newRequest("POST", "/things/t/echo", "x"), "Expect", "200-ok") },
			func() *http.Request {
				return with(sign(newRequest("POST", "/things/t/echo", "x"), "fake", "y"), "Expect", "100-continue")
			},
			func() *http.Request { return sign(newRequest("POST", "/nothing", "x"), "fake", "x") },
			func() *http.Request { return sign(newRequest("POST", "/things/t/echo", "x"), "fake", "y") },
			func() *http.Request { return newRequest("GET", "/_enfold/file/x", "x") },
		} {
			c.send(text(t, r(), "x"))
			refused, _ := c.answer()
			time.Sleep(2 * bodyGrace)
			if refused.StatusCode == 417 { // net/http's own answer to an unknown expectation, which ends the connection
				c = dial()
			}
			c.send(text(t, echo("y"), "y"))
			if resp, body := c.answer(); resp.StatusCode != 200 || body != "y" {
				t.Fatalf("after %d: answer = %d %s", refused.StatusCode, resp.StatusCode, body)
			}
		}
	})
}
