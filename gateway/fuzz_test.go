package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzGateway feeds the handler what the network may: raw requests, signed anew where they can be, so that what is behind
// the signature is reached too. Nothing may panic, fail as our fault, or be answered unsigned.
func FuzzGateway(f *testing.F) {
	for _, seed := range []string{
		text(f, newRequest("POST", "/things/t/echo", "hello"), "hello"),
		text(f, with(newRequest("POST", "/", `{"Text":"a"}`), "X-Amz-Target", "Fake_20200101.Upper"), `{"Text":"a"}`),
		text(f, with(newRequest("POST", "/", "Action=Upper&Version=2020-01-01&Text=a"), "Content-Type", "application/x-www-form-urlencoded"), "Action=Upper&Version=2020-01-01&Text=a"),
		text(f, with(newRequest("POST", "/things/t/echo", "x"), "Content-Encoding", "gzip"), gzipped("hello")),
		"POST /things/%zz/echo?a=%&b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"PUT /things/t HTTP/1.1\r\nHost: a\r\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Decoded-Content-Length: 1\r\nContent-Length: 11\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"GET /things/t/stream?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /_enfold/health HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		for service := range uint8(3) {
			f.Add([]byte(seed), service)
		}
	}
	h := newHouse()
	f.Fuzz(func(t *testing.T, raw []byte, service uint8) {
		read := func() *http.Request {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				return nil
			}
			r.RemoteAddr = "192.0.2.1:1"
			return r
		}
		r := read()
		if r == nil || strings.HasPrefix(r.URL.Path, internalPath) {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 && w.Code != 501 {
			t.Errorf("unsigned: %d %s", w.Code, w.Body)
		}

		r = read()
		r.Header.Del("Authorization")
		_, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		w = httptest.NewRecorder()
		h.ServeHTTP(w, sign(r, []string{"fake", "fakejson", "fakequery"}[service%3], string(body)))
		if w.Code >= 500 && w.Code != 501 || w.Header().Get("X-Amzn-Requestid") == "" {
			t.Errorf("signed: %d %s %v\n%s", w.Code, w.Body, w.Header(), h.log.String())
		}
	})
}
