package http1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConnections is what a client may send on one connection and gets back. "EOF" at the end: the connection is closed.
func TestConnections(t *testing.T) {
	const host = "Host: a\r\n"
	for _, c := range []struct {
		name, send string
		want       string // status and body of each answer
	}{
		{"one after the other", "GET / HTTP/1.1\r\n" + host + "\r\nPOST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" 200 "hi" 200 ""`},
		{"chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;a=b\r\n!\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", `200 "hi!" 200 ""`},
		{"empty chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" 200 ""`},
		{"chunk without its end", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n", `400 "malformed HTTP\n" EOF`},
		{"chunk line with a bare LF", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n", `400 "malformed HTTP\n" EOF`},
		{"bad trailer", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", `400 "malformed HTTP\n" EOF`},
		{"endless extension", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", maxLine) + "\r\n", `400 "malformed HTTP\n" EOF`},
		{"many extensions", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 17), `400 "malformed HTTP\n" EOF`},
		{"many trailers", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 4000), `400 "malformed HTTP\n" EOF`},
		{"close", "GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" EOF`},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", `200 "" EOF`},
		{"HTTP/1.0 that stays", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.0\r\n\r\n", `200 "hi" 200 "" EOF`},
		{"not HTTP", "hello\r\n\r\n", `400 "400 Bad Request" EOF`},
		{"good, then bad", "GET / HTTP/1.1\r\n" + host + "\r\nGET / HTTP/1.1\r\n\r\n", `200 "" 400 "400 Bad Request" EOF`},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", `400 "400 Bad Request" EOF`},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", `505 "505 HTTP Version Not Supported" EOF`},
		{"large head", "GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", `431 "431 Request Header Fields Too Large" EOF`},
		{"many fields", "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 1000) + "\r\n", `431 "431 Request Header Fields Too Large" EOF`},
		{"unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", `501 "501 Not Implemented" EOF`},
		{"unknown expectation", "POST / HTTP/1.1\r\n" + host + "Expect: x\r\n\r\n", `417 "417 Expectation Failed" EOF`},
		{"body that nobody reads", "POST /ignore HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" 200 ""`},
		{"chunks that nobody reads", "POST /ignore HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" 200 ""`},
		{"large body that nobody reads", "POST /ignore HTTP/1.1\r\n" + host + fmt.Sprintf("Content-Length: %d\r\n\r\n", maxDrain+1), `200 "" EOF`},
		{"expected body that nobody reads", "POST /ignore HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", `200 "" EOF`},
		{"expected body", "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" + host + "\r\n", `100 "" 200 "hello" 200 ""`},
		{"expected body, asked for by the handler", "POST /continue HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", `100 "" 200 "hello"`},
		{"unexpected body, asked for by the handler", "POST /continue HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", `200 "hello"`},
		{"expected body, read after the answer", "POST /late HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", `200 "hello" EOF`},
		{"expectation of HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", `200 "hello" EOF`},
		{"hint", "GET /hint HTTP/1.1\r\n" + host + "\r\n", `103 "" 200 "hi"`},
		{"handler that closes", "GET /close HTTP/1.1\r\n" + host + "\r\n", `200 "" EOF`},
		{"handler that says too little", "GET /short HTTP/1.1\r\n" + host + "\r\n", `200 "hi" unexpected EOF EOF`},
		{"handler that panics", "GET /panic HTTP/1.1\r\n" + host + "\r\n", `EOF`},
		{"handler that panics late", "GET /latepanic HTTP/1.1\r\n" + host + "\r\n", `200 "hi" unexpected EOF EOF`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := start(t, habits)
			conn := dial(t, addr)
			go func() { _, _ = io.WriteString(conn.Conn, c.send) }() // it may be refused before it is all read
			var got []string
			for range strings.Count(c.want, `" `) + strings.Count(c.want, `"`)/2 + 1 {
				if strings.Join(got, " ") == c.want {
					break
				}
				_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
				if _, err := conn.r.Peek(1); err != nil {
					if errors.Is(err, io.EOF) {
						got = append(got, "EOF")
					}
					break
				}
				resp, body, err := conn.answer("GET")
				got = append(got, fmt.Sprintf("%d %q", resp.StatusCode, body))
				if err != nil {
					got = append(got, err.Error())
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}

// habits is a handler with one habit for each path.
func habits(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ignore":
	case "/continue":
		w.WriteHeader(100)
		echo(w, r)
	case "/late":
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	case "/hint":
		w.Header().Set("Link", "<a>")
		w.WriteHeader(103)
		_, _ = io.WriteString(w, "hi")
	case "/close":
		w.Header().Set("Connection", "close")
	case "/short":
		w.Header().Set("Content-Length", "3")
		_, _ = io.WriteString(w, "hi")
	case "/panic":
		_, _ = io.WriteString(w, "hi")
		panic("oh no")
	case "/latepanic":
		_, _ = io.WriteString(w, "hi")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		echo(w, r)
	}
}

func TestPanicIsLogged(t *testing.T) {
	var log logText
	_, addr := start(t, habits, func(o *Options) { o.Log = newLog(&log) })
	for _, path := range []string{"/latepanic", "/panic"} {
		c := dial(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		_, _ = io.ReadAll(c.r)
	}
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "oh no") || !strings.Contains(s, "serve_test.go") {
		t.Errorf("log = %s", s)
	}
}

// TestBodies sends and gets bodies of many sizes in many pieces, both ways framed both ways.
func TestBodies(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(iotestReader{r.Body, 1 + len(r.URL.Path)*777})
		if err != nil {
			t.Error(err)
		}
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		}
		for part := max(1, len(b)/3); len(b) > 0; b = b[min(part, len(b)):] {
			if _, err := w.Write(b[:min(part, len(b))]); err != nil {
				t.Error(err)
			}
		}
	})
	c := dial(t, addr)
	for _, size := range []int{0, 1, 100, maxPending - 1, maxPending, maxPending + 1, smallOutput, 3 * smallOutput, 100_000, 3 << 20} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for _, query := range []string{"?length", "?"} {
			for _, chunk := range []int{0, 7, 5000} {
				if size > 1<<20 && chunk == 7 {
					continue
				}
				go c.send(request("POST", "/x"+query, body, chunk))
				resp, got, err := c.answer("POST")
				if err != nil || got != body {
					t.Fatalf("%d bytes by %d, %s: %d bytes, %v", size, chunk, query, len(got), err)
				}
				if known := resp.ContentLength >= 0; known != (query == "?length" || size <= maxPending) {
					t.Errorf("%d bytes, %s: length %d", size, query, resp.ContentLength)
				}
			}
		}
	}
}

// A client that sends all of a body before it reads learns why nobody wanted it.
func TestUnwantedBody(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	c := dial(t, addr)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request("POST", "/", strings.Repeat("x", 70<<20), 0)); err != nil {
		t.Fatalf("send: %v", err)
	}
	if resp, _, err := c.answer("POST"); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("answer: %v, %v", resp, err)
	}
}

// iotestReader reads at most n bytes at once.
type iotestReader struct {
	io.Reader
	n int
}

func (r iotestReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.n)]) }

// request is one on the wire, in chunks of that size if it is not 0.
func request(method, target, body string, chunk int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: a\r\n", method, target)
	if chunk == 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
		return b.String()
	}
	b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	for ; body != ""; body = body[min(chunk, len(body)):] {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", min(chunk, len(body)), body[:min(chunk, len(body))])
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// TestDuplex checks that a handler may answer while it reads.
func TestDuplex(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}
			_, _ = w.Write(b)
			w.(http.Flusher).Flush()
		}
	})
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range "abc" {
		b := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, b); err != nil || rune(b[0]) != want {
			t.Fatalf("got %q, %v, want %q", b, err, want)
		}
		c.send(map[rune]string{'a': "1\r\nb\r\n", 'b': "1\r\nc\r\n", 'c': "0\r\n\r\n"}[want])
	}
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestKept checks that what a handler keeps of a request is not touched by the next, and that what it keeps of an answer
// is of no use.
func TestKept(t *testing.T) {
	var kept []*http.Request
	var writers []http.ResponseWriter
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		kept, writers = append(kept, r), append(writers, w)
	})
	c := dial(t, addr)
	for i := range 4 { // the last one shows that the server has done with those before
		c.send(fmt.Sprintf("POST /%d?%d HTTP/1.1\r\nHost: %d\r\nA: %d\r\nContent-Length: 1\r\n\r\nx", i, i, i, i))
		c.want(200, "")
	}
	for i, r := range kept[:3] {
		n := fmt.Sprint(i)
		if r.URL.Path != "/"+n || r.URL.RawQuery != n || r.Host != n || r.Header.Get("A") != n {
			t.Errorf("request %d = %+v", i, r)
		}
		if !errors.Is(r.Context().Err(), context.Canceled) {
			t.Error("the context goes on")
		}
		if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read = %v", err)
		}
		if _, err := writers[i].Write([]byte("x")); err == nil {
			t.Error("a handler that has returned writes")
		}
		ctl := http.NewResponseController(writers[i])
		if ctl.Flush() == nil || ctl.SetReadDeadline(time.Now()) == nil || ctl.SetWriteDeadline(time.Now()) == nil {
			t.Error("a handler that has returned has a say")
		}
		writers[i].WriteHeader(500)
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want(200, "")
}

// TestClientLeaves checks that a request's context ends when its client goes away, whether it had a body or not, and only
// then.
func TestClientLeaves(t *testing.T) {
	for _, c := range []struct {
		name, send string
		leave      func(net.Conn) error
		ends       bool
	}{
		{"close", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", net.Conn.Close, true},
		{"close after a body", request("POST", "/", "hello", 0), net.Conn.Close, true},
		{"close after chunks", request("POST", "/", "hello", 2), net.Conn.Close, true},
		{"reset", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(nc net.Conn) error {
			_ = nc.(*net.TCPConn).SetLinger(0)
			return nc.Close()
		}, true},
		{"close with another request on the way", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", net.Conn.Close, false},
		{"stay", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(net.Conn) error { return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began, ended := make(chan struct{}, 2), make(chan bool, 2)
			_, addr := start(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				began <- struct{}{}
				select {
				case <-r.Context().Done():
					ended <- true
				case <-time.After(5 * watchEvery):
					ended <- false
				}
			})
			conn := dial(t, addr)
			conn.send(c.send)
			<-began
			if err := c.leave(conn.Conn); err != nil {
				t.Fatal(err)
			}
			if got := <-ended; got != c.ends {
				t.Errorf("the context ended: %t", got)
			}
		})
	}
}

// TestWatchSleeps checks that nothing runs while no request does.
func TestWatchSleeps(t *testing.T) {
	s, addr := start(t, echo)
	c := dial(t, addr)
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want(200, "")
		if !s.watch.awake.Load() {
			t.Error("the watch slept")
		}
		for end := time.Now().Add(10 * watchEvery); s.watch.awake.Load(); time.Sleep(watchEvery / 10) {
			if time.Now().After(end) {
				t.Fatal("the watch does not sleep")
			}
		}
	}
}

func TestLargeAnswer(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 6<<20)
	_, addr := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(large)))
		_, _ = w.Write(large)
	})
	c := dial(t, addr)
	get := func() {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(large)) {
			t.Fatal(n, err)
		}
	}
	get()
	if n := testing.AllocsPerRun(5, get); n > 200 {
		t.Errorf("%v allocations", n)
	}
}
