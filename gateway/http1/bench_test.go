package http1

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// BenchmarkExchange is the server's own part of a small POST: everything but the connection and the handler.
func BenchmarkExchange(b *testing.B) {
	const text = "POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nContent-Length: 12\r\n" +
		"Accept-Encoding: gzip\r\nAmz-Sdk-Invocation-Id: 5f3f2a36-4b8f-4d0c-9a5e-3c2f6d1e7b10\r\nAmz-Sdk-Request: attempt=1; max=3\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/lambda/aws4_request, " +
		"SignedHeaders=amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-date, " +
		"Signature=5f3f2a364b8f4d0c9a5e3c2f6d1e7b105f3f2a364b8f4d0c9a5e3c2f6d1e7b10\r\nContent-Type: application/octet-stream\r\n" +
		"User-Agent: aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26.0 md/GOOS#linux md/GOARCH#amd64 api/lambda#1.114.1\r\n" +
		"X-Amz-Date: 20261121T150405Z\r\n\r\n{\"name\":\"x\"}"
	answer := []byte(`{"hello":"x"}`)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p [64]byte
		_, _ = io.ReadFull(r.Body, p[:r.ContentLength])
		head := w.Header()
		head["Content-Type"], head["Content-Length"] = []string{"application/json"}, []string{"13"}
		head["X-Amzn-Requestid"] = []string{"5f3f2a36-4b8f-4d0c-9a5e-3c2f6d1e7b10"}
		w.WriteHeader(200)
		_, _ = w.Write(answer)
	})
	nc := &endless{text: text}
	c := newConn(New(Options{Handler: h}), nc)
	c.s.watch.awake.Store(true) // nobody looks
	b.ReportAllocs()
	for b.Loop() {
		if err := c.await(); err != nil {
			b.Fatal(err)
		}
		head, lines, err := c.in.head(c.s.o.MaxHead)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.handle(string(head), lines); err != nil {
			b.Fatal(err)
		}
		c.in.shrink()
	}
}

// endless is a client that sends the same request again and again.
type endless struct {
	net.Conn
	text string
}

func (e *endless) Read(p []byte) (int, error)       { return copy(p, e.text), nil }
func (e *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (e *endless) SetReadDeadline(time.Time) error  { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }
func (e *endless) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
