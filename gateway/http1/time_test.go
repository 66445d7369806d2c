package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f with a server in a bubble.
func bubble(t *testing.T, o Options, f func(t *testing.T, s *Server, l *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := New(o)
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		defer func() { // after a t.Fatal too
			_ = s.Close()
			<-done
			time.Sleep(time.Hour) // what sleeps wakes up and sees it
		}()
		f(t, s, l)
	})
}

func drip(c *client, s string, every time.Duration) {
	go func() {
		for i := range len(s) {
			if _, err := io.WriteString(c.Conn, s[i:i+1]); err != nil {
				return
			}
			time.Sleep(every)
		}
	}()
}

// took demands how long something took, give or take a second.
func took(t *testing.T, what string, since time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(since) - want; d < 0 || d > time.Second {
		t.Errorf("%s after %s, want %s", what, time.Since(since), want)
	}
}

// TestPatience is how long the server waits for its clients.
func TestPatience(t *testing.T) {
	const head, idle = 10 * time.Second, 3 * time.Minute
	o := Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ignore" {
			echo(w, r)
		}
	})}
	bubble(t, o, func(t *testing.T, _ *Server, l *pipes) {
		c, start := l.dial(t), time.Now()
		c.closed()
		took(t, "nothing: closed", start, head)

		c, start = l.dial(t), time.Now()
		drip(c, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("A: b\r\n", 100), time.Second)
		c.closed()
		took(t, "slow head: closed", start, head)

		c = l.dial(t)
		for range 3 { // an old deadline that comes due is none
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.want(200, "")
			time.Sleep(idle - time.Second)
		}
		start = time.Now()
		c.closed()
		took(t, "idle: closed", start, time.Second)

		c = l.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want(200, "")
		time.Sleep(idle / 2)
		c.send("G")
		start = time.Now()
		c.closed()
		took(t, "second head: closed", start, head)

		c = l.dial(t)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want(200, "")
		drip(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"+strings.Repeat("x", 100), 150*time.Millisecond)
		c.want(200, "*")
		drip(c, "POST / HTTP/1.1\r\n", time.Millisecond)
		time.Sleep(time.Second)
		drip(c, "Host: a\r\nContent-Length: 4\r\n\r\nslow", time.Second/8) // as long as the handler likes
		c.want(200, "slow")

		c, start = l.dial(t), time.Now()
		c.send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
		c.want(200, "")
		c.closed()
		took(t, "body that nobody wants: closed", start, drainTime)
	})
}

// TestReadDeadline checks the handler's, in all its orders.
func TestReadDeadline(t *testing.T) {
	var result error
	o := Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		set := func(d time.Duration) {
			if err := ctl.SetReadDeadline(time.Now().Add(d)); err != nil {
				t.Error(err)
			}
		}
		switch r.URL.Path {
		case "/before":
			set(7 * time.Second)
		case "/later":
			set(time.Second)
			set(7 * time.Second)
		case "/during":
			time.AfterFunc(4*time.Second, func() { set(3 * time.Second) })
		}
		_, result = io.ReadAll(r.Body)
		w.WriteHeader(204)
	})}
	bubble(t, o, func(t *testing.T, _ *Server, l *pipes) {
		for _, path := range []string{"/before", "/later", "/during"} {
			c, start := l.dial(t), time.Now()
			c.send("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
			c.want(204, "")
			took(t, path, start, 7*time.Second)
			if !errors.Is(result, os.ErrDeadlineExceeded) {
				t.Error(path, result)
			}
			c.closed()
		}
		c := l.dial(t)
		for range 3 { // a deadline of one request is none of the next
			c.send(request("POST", "/before", "x", 0))
			c.want(204, "")
			time.Sleep(time.Minute)
		}
	})
}

// TestWriteDeadline checks that a client that does not read does not hold its connection.
func TestWriteDeadline(t *testing.T) {
	const grace = 30 * time.Second
	var failed chan time.Time
	o := Options{WriteGrace: grace, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Error(err)
			}
		}
		if r.URL.Path == "/late" {
			time.Sleep(time.Hour)
		}
		for {
			if _, err := w.Write(make([]byte, 10_000)); err != nil {
				failed <- time.Now()
				return
			}
		}
	})}
	bubble(t, o, func(t *testing.T, _ *Server, l *pipes) {
		failed = make(chan time.Time, 1)
		for path, most := range map[string]time.Duration{"/": 2 * grace, "/own": 5 * time.Second, "/late": time.Hour + 2*grace} {
			c, start := l.dial(t), time.Now()
			c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			end := <-failed
			if d := end.Sub(start); d < most-grace && path != "/own" || d > most || path == "/own" && d != most {
				t.Errorf("%s: failed after %s", path, d)
			}
			_, _ = io.Copy(io.Discard, c) // it is cut off
		}
		c := l.dial(t) // one that reads, slowly
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		for range 100 {
			if _, err := io.ReadFull(c, make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(grace / 2)
		}
		_ = c.Close()
		<-failed
	})
}
