package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var seeds = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /a/%41?b=c HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nA: b\r\nA: c\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET http://b/c?d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"HEAD /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
	"POST /flush HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\nA:\tb\t\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
}

// FuzzLikeNetHTTP demands that what we accept, net/http accepts too and reads the same: request, body, and where the next
// request begins. Whoever passes requests on to us then cannot be fooled about where one ends.
func FuzzLikeNetHTTP(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &conn{s: New(Options{MaxHead: 1 << 20}), remote: "192.0.2.1:1"}
		c.in.src = bytes.NewReader(raw)
		c.in.acquire()
		defer c.in.release()
		text, lines, err := c.in.head(1 << 20)
		if err != nil {
			return
		}
		x := &exchange{c: c}
		if x.parse(string(text), lines) != nil {
			return
		}
		defer x.end()
		x.body.expects = false // nobody listens
		got, gotErr := io.ReadAll(x.r.Body)
		var rest bytes.Buffer
		rest.Write(c.in.buf[c.in.r:c.in.w])
		_, _ = io.Copy(&rest, c.in.src)

		in := bufio.NewReader(bytes.NewReader(raw))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http refuses what we accept: %v", err)
		}
		want, wantErr := io.ReadAll(r.Body)
		if gotErr != nil && (wantErr == nil || bytes.HasPrefix(want, got)) {
			return // stricter
		}
		if gotErr != nil || wantErr != nil {
			t.Fatalf("body errors: %v, net/http's %v", gotErr, wantErr)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("body = %q, net/http's %q", got, want)
		}
		if after, _ := io.ReadAll(in); !bytes.Equal(rest.Bytes(), after) {
			t.Errorf("the next request begins at %q, net/http's at %q", rest.Bytes(), after)
		}
		compare(t, x.r, r)
	})
}

// compare holds our request against net/http's.
func compare(t *testing.T, got, want *http.Request) {
	t.Helper()
	if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || got.Proto != want.Proto ||
		got.ContentLength != want.ContentLength || !slices.Equal(got.TransferEncoding, want.TransferEncoding) {
		t.Errorf("request = %+v\nnet/http's %+v", got, want)
	}
	if *got.URL != *want.URL || got.URL.EscapedPath() != want.URL.EscapedPath() {
		t.Errorf("URL = %#v\nnet/http's %#v", got.URL, want.URL)
	}
	// These net/http moves or makes up.
	for _, h := range []http.Header{got.Header, want.Header} {
		h.Del("Trailer")
		if h.Get("Pragma") == "no-cache" {
			h.Del("Cache-Control")
		}
	}
	if !maps.EqualFunc(got.Header, want.Header, slices.Equal) {
		t.Errorf("header = %q\nnet/http's %q", got.Header, want.Header)
	}
}

// FuzzConnection lets a client send anything, in two parts. It gets well-formed answers, and the server works on.
func FuzzConnection(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), len(s)/2)
		f.Add([]byte(strings.Replace(s, " / ", " /echo ", 1)), len(s))
		f.Add([]byte(strings.Replace(s, " / ", " /chunks ", 1)+s), 9)
	}
	f.Fuzz(func(t *testing.T, raw []byte, split int) {
		synctest.Test(t, func(t *testing.T) { anything(t, raw, max(0, min(split, len(raw)))) })
	})
}

func anything(t *testing.T, raw []byte, split int) {
	var log logText
	l := newPipes()
	s := New(Options{Handler: http.HandlerFunc(odd), Log: slog.New(slog.NewTextHandler(&log, nil))})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c := l.dial(t)
	var out bytes.Buffer
	read := make(chan struct{})
	go func() { _, _ = io.Copy(&out, c); close(read) }()
	go func() {
		_, _ = c.Write(raw[:split])
		time.Sleep(time.Second)
		_, _ = c.Write(raw[split:])
	}()
	time.Sleep(5 * time.Second)
	_ = c.Close()
	<-read
	whole := out.String()
	answers := bufio.NewReader(&out)
	for !bytes.Contains(raw, []byte("HEAD")) { // whose answers cannot be told apart without the requests
		if _, err := answers.Peek(1); err != nil {
			break
		}
		resp, err := http.ReadResponse(answers, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			break // cut off when the client went
		}
		if err != nil {
			t.Errorf("%v in %q", err, whole)
			break
		}
	}
	again := l.dial(t)
	again.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	again.want(200, "")
	_ = again.Close()
	_ = s.Close()
	<-done
	if log.String() != "" {
		t.Error(log.String())
	}
	time.Sleep(time.Minute) // what sleeps wakes up and sees it
}

// odd is a handler of some habits.
func odd(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		echo(w, r)
	case "/flush":
		w.(http.Flusher).Flush()
		_, _ = io.Copy(w, r.Body)
	case "/chunks":
		for range 10 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 3000))
		}
	}
}
