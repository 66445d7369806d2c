package http1

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logText is a log that is read while it is written.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start serves h on a loopback port until the test ends.
func start(t testing.TB, h http.HandlerFunc, change ...func(*Options)) (s *Server, addr string) {
	t.Helper()
	o := Options{Handler: h, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = New(o)
	serveUntilEnd(t, s, l)
	return s, l.Addr().String()
}

// server is ours or net/http's.
type server interface {
	Serve(net.Listener) error
	Close() error
}

func serveUntilEnd(t testing.TB, s server, l net.Listener) {
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
}

// client is a raw connection.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{nc, t, bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer reads one answer with its body. err is of the body.
func (c *client) answer(method string) (resp *http.Response, body string, err error) {
	c.t.Helper()
	resp, err = http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// want reads an answer and compares it.
func (c *client) want(status int, body string) *http.Response {
	c.t.Helper()
	resp, got, err := c.answer("GET")
	if err != nil || resp.StatusCode != status || body != "*" && got != body {
		c.t.Errorf("answer = %d %q, %v; want %d %q", resp.StatusCode, got, err, status, body)
	}
	return resp
}

// closed demands that the server closes the connection, and sends nothing before.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection is open: %q, %v", b, err)
	}
}

// pipes is a listener in memory, whose deadlines run on a bubble's clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) dial(t testing.TB) *client {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return &client{ours, t, bufio.NewReader(ours)}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// echo answers the body.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(b)
}

func newLog(l *logText) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
