package runtimeapi

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	testID      = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
	testArn     = "arn:aws:lambda:us-east-1:123456789012:function:hello"
	testTrace   = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
	testTimeout = 20 * time.Second

	pathNext  = "/2018-06-01/runtime/invocation/next"
	pathInit  = "/2018-06-01/runtime/init/error"
	acceptedB = "{\"status\":\"OK\"}\n"
)

func pathResponse(id string) string { return "/2018-06-01/runtime/invocation/" + id + "/response" }
func pathError(id string) string    { return "/2018-06-01/runtime/invocation/" + id + "/error" }

// serve starts a session that ends with the test.
func serve(tb testing.TB) (s *Session, addr string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s = NewSession(l)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error("close:", err)
		}
	})
	return s, l.Addr().String()
}

// peer is a runtime that writes requests by hand and reads replies with net/http's parser.
type peer struct {
	tb interface {
		Helper()
		Fatal(...any)
		Fatalf(string, ...any)
	}
	nc net.Conn
	r  *bufio.Reader
}

func dial(tb testing.TB, addr string) *peer {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return newPeer(tb, nc)
}

func newPeer(tb testing.TB, nc net.Conn) *peer {
	tb.Cleanup(func() { nc.Close() })
	return &peer{tb: tb, nc: nc, r: bufio.NewReader(nc)}
}

// send writes text with CRLF for each newline of the head.
func (p *peer) send(text string) {
	p.tb.Helper()
	head, rest, _ := strings.Cut(text, "\n\n")
	if _, err := io.WriteString(p.nc, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+rest); err != nil {
		p.tb.Fatal("send:", err)
	}
}

type got struct {
	status int
	header http.Header
	body   string
	close  bool
}

// reply reads one reply.
func (p *peer) reply() got {
	p.tb.Helper()
	return p.replyTo("GET")
}

func (p *peer) replyTo(method string) got {
	p.tb.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(testTimeout))
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.tb.Fatal("read reply:", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.tb.Fatal("read reply's body:", err)
	}
	return got{resp.StatusCode, resp.Header, string(body), resp.Close}
}

// ended waits until the other side has closed the connection.
func (p *peer) ended() {
	p.tb.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(testTimeout))
	b, err := p.r.ReadByte()
	if err == nil {
		p.tb.Fatalf("connection goes on with %q", b)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		p.tb.Fatal("connection was not closed")
	}
}

func (p *peer) next() { p.tb.Helper(); p.send("GET " + pathNext + " HTTP/1.1\nHost: a\n\n") }

func (p *peer) post(path, body string) {
	p.tb.Helper()
	p.send("POST " + path + " HTTP/1.1\nHost: a\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n" + body)
}

// poll returns a reply if one is there, without waiting. It is for pipes, in a bubble that is at rest.
func (p *peer) poll() *got {
	first := make([]byte, 4<<10)
	_ = p.nc.SetReadDeadline(time.Now().Add(time.Nanosecond))
	defer func() { _ = p.nc.SetReadDeadline(time.Time{}) }()
	n, err := p.nc.Read(first)
	if err != nil {
		return nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(first[:n])), nil)
	if err != nil {
		p.tb.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	return &got{resp.StatusCode, resp.Header, string(body), resp.Close}
}
