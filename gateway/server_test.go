package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listen serves h on a loopback port until the test ends.
func listen(t testing.TB, srv *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	return l.Addr().String()
}

// client is a raw connection.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{conn, t, bufio.NewReader(conn)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer reads one answer and its body.
func (c *client) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	for err == nil && resp.StatusCode == 100 {
		resp, err = http.ReadResponse(c.r, nil)
	}
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	return resp, string(body)
}

// closed demands that the server closes the connection and sends nothing before.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection is open: %q, %v", b, err)
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	c := dial(t, listen(t, NewServer(newHouse(), nil)))
	for i := range 3 {
		c.send(text(t, echo(fmt.Sprint("one by one ", i)), fmt.Sprint("one by one ", i)))
		if resp, body := c.answer(); resp.StatusCode != 200 || body != fmt.Sprint("one by one ", i) {
			t.Errorf("answer = %d %s", resp.StatusCode, body)
		}
	}
	var all string
	for i := range 10 {
		all += text(t, echo(fmt.Sprint("at once ", i)), fmt.Sprint("at once ", i))
	}
	c.send(all)
	for i := range 10 {
		if resp, body := c.answer(); resp.StatusCode != 200 || body != fmt.Sprint("at once ", i) {
			t.Errorf("answer = %d %s", resp.StatusCode, body)
		}
	}
}

// TestExpect checks that a client that asks first is refused before it sends its body, or told to go on.
func TestExpect(t *testing.T) {
	large := strings.Repeat("x", maxEcho+1)
	signed := func(body string) *http.Request { return with(echo(body), "Expect", "100-continue") }
	for _, c := range []struct {
		name   string
		r      *http.Request
		body   string
		status int
	}{
		{"not signed", with(newRequest("POST", "/things/t/echo", "x"), "Expect", "100-continue"), "x", 403},
		{"unknown key", with(signed("x"), "Authorization", strings.Replace(signed("x").Header.Get("Authorization"), keyID, "AKIDOTHER", 1)), "x", 403},
		{"too large", signed(large), large, 413},
		{"unknown path", with(sign(newRequest("POST", "/nothing", "x"), "fake", "x"), "Expect", "100-continue"), "x", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, listen(t, NewServer(newHouse(), nil)))
			head, _, _ := strings.Cut(text(t, c.r, c.body), "\r\n\r\n")
			conn.send(head + "\r\n\r\n")
			resp, body := conn.answer()
			if resp.StatusCode != c.status {
				t.Errorf("answer = %d %s", resp.StatusCode, body)
			}
			_ = conn.SetDeadline(time.Now().Add(bodyGrace / 4)) // at once, that is
			conn.closed()
		})
	}
	t.Run("in order", func(t *testing.T) {
		conn := dial(t, listen(t, NewServer(newHouse(), nil)))
		head, body, _ := strings.Cut(text(t, signed("hello"), "hello"), "\r\n\r\n")
		conn.send(head + "\r\n\r\n")
		if resp, err := http.ReadResponse(conn.r, nil); err != nil || resp.StatusCode != 100 {
			t.Fatalf("answer = %v, %v", resp, err)
		}
		conn.send(body)
		if resp, body := conn.answer(); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("answer = %d %s", resp.StatusCode, body)
		}
	})
}

// TestTransferChunked sends bodies whose length is not said.
func TestTransferChunked(t *testing.T) {
	addr := listen(t, NewServer(newHouse(), nil))
	for _, c := range []struct {
		size, status int
	}{{0, 200}, {5, 200}, {maxEcho, 200}, {maxEcho + 1, 413}, {3 * maxEcho, 413}} {
		body := strings.Repeat("x", c.size)
		r, err := http.NewRequest("POST", "http://"+addr+"/things/t/echo", io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		sign(r, "fake", body)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if c.status != 200 && errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			continue // the server stopped reading while the client still sent
		}
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || c.status == 200 && len(got) != c.size {
			t.Errorf("%d bytes: answer = %d and %d bytes", c.size, resp.StatusCode, len(got))
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestLargeHead(t *testing.T) {
	c := dial(t, listen(t, NewServer(newHouse(), nil)))
	go func() { // the server closes before it read it all
		_, _ = io.WriteString(c.Conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Large: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	}()
	resp, _ := c.answer()
	if resp.StatusCode != 431 {
		t.Errorf("answer = %d", resp.StatusCode)
	}
}

// TestHalfABody checks that a body that ends too soon is no call.
func TestHalfABody(t *testing.T) {
	h := newHouse()
	c := dial(t, listen(t, NewServer(h, nil)))
	whole := text(t, echo("hello world"), "hello world")
	c.send(whole[:len(whole)-3])
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if resp, body := c.answer(); resp.StatusCode != 400 {
		t.Errorf("answer = %d %s", resp.StatusCode, body)
	}
	if h.last != nil {
		t.Error("the service was called")
	}
}

// TestDisconnect checks that a call ends when its client goes away.
func TestDisconnect(t *testing.T) {
	for _, body := range []string{"", "hello"} {
		h := newHouse()
		began, ended := make(chan struct{}), make(chan error, 1)
		h.fake.echo = func(ctx context.Context, _ *echoInput) (*echoOutput, error) {
			close(began)
			select {
			case <-ctx.Done():
				ended <- nil
			case <-time.After(10 * time.Second):
				ended <- errors.New("the call went on")
			}
			return nil, ctx.Err()
		}
		c := dial(t, listen(t, NewServer(h, nil)))
		c.send(text(t, echo(body), body))
		<-began
		_ = c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if h.log.String() != "" {
			t.Errorf("log = %s", h.log.String())
		}
	}
}

// TestShutdown checks that running calls finish.
func TestShutdown(t *testing.T) {
	h := newHouse()
	began, finish := make(chan struct{}), make(chan struct{})
	h.fake.echo = func(context.Context, *echoInput) (*echoOutput, error) {
		close(began)
		<-finish
		return &echoOutput{Payload: []byte("done")}, nil
	}
	srv := NewServer(h, nil)
	c := dial(t, listen(t, srv))
	c.send(text(t, echo("x"), "x"))
	<-began
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(t.Context()) }()
	select {
	case <-down:
		t.Error("Shutdown did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if _, body := c.answer(); body != "done" {
		t.Errorf("answer = %s", body)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestCutOff checks that a client sees an answer that breaks off as one, not as whole.
func TestCutOff(t *testing.T) {
	h := newHouse()
	h.fake.stream = func(context.Context) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			if yield(&chunkEvent{Payload: []byte("one")}, nil) {
				panic("oh no")
			}
		}
	}
	c := dial(t, listen(t, NewServer(h, nil)))
	c.send(text(t, sign(newRequest("GET", "/things/t/stream", ""), "fake", ""), ""))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil || !bytes.Contains(body, []byte("one")) {
		t.Errorf("body = %q, %v", body, err)
	}
	if !strings.Contains(h.log.String(), "oh no") {
		t.Errorf("log = %s", h.log.String())
	}
}

func TestHTTP2(t *testing.T) {
	h := newHouse()
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = NewTLSServer(h)
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	for _, body := range []string{"", "hello", strings.Repeat("x", maxEcho)} {
		r, err := http.NewRequest("POST", ts.URL+"/things/t/echo", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := ts.Client().Do(sign(r, "fake", body))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 200 || string(got) != body {
			t.Errorf("answer = %s %d %.100s", resp.Proto, resp.StatusCode, got)
		}
		if !h.last.Secure || !strings.HasPrefix(h.last.BaseURL, "https://127.0.0.1:") {
			t.Errorf("call = %+v", h.last)
		}
	}
}

func TestTLSNeedsTLS(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = NewTLSServer(newHouse())
	ts.Config.ErrorLog = log.New(io.Discard, "", 0)
	ts.StartTLS()
	defer ts.Close()
	c := dial(t, ts.Listener.Addr().String())
	c.send("GET /_enfold/health HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, _ := c.answer(); resp.StatusCode != 400 {
		t.Errorf("answer = %d", resp.StatusCode)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", ts.Listener.Addr().String(), old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// TestManyConnections opens more idle connections than there may be: the server goes on serving, and the oldest go.
func TestManyConnections(t *testing.T) {
	n := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(min(limit.Cur, 1<<20)); room < n+maxConns+100 {
		n = room - maxConns - 100
		t.Logf("only %d connections: the limit on open files is %d", n, room)
	}
	if n < maxConns+10 {
		t.Skipf("the limit on open files (%d) is too low for more than %d connections", limit.Cur, maxConns)
	}
	addr := listen(t, NewServer(newHouse(), nil))
	first := dial(t, addr)
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				conns[i], _ = net.Dial("tcp", addr)
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	_ = first.SetDeadline(time.Now().Add(headerTimeout / 2)) // when it would be closed anyway
	first.closed()
	c := dial(t, addr)
	c.send(text(t, echo("hello"), "hello"))
	if resp, body := c.answer(); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("answer = %d %s", resp.StatusCode, body)
	}
}
