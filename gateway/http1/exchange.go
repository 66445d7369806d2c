package http1

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
)

// exchange is a request and its answer. Each has its own, so that a handler that keeps something of one sees nothing of
// the next.
type exchange struct {
	c    *conn
	r    *http.Request
	w    response
	body body
	url  url.URL

	cancel    context.CancelFunc
	watchable atomic.Bool // nothing can come but the next request: the end of the stream is the client's leaving

	values [16]string // of the header
}

// blank is what requests are made from.
var blank http.Request

// parse makes the request of its head.
func (x *exchange) parse(text string, lines int) error {
	var h head
	if err := h.parse(text, lines, x.values[:]); err != nil {
		return err
	}
	host, err := parseTarget(&x.url, h.method, h.target)
	if err != nil {
		return err
	}
	if host == "" {
		host = h.host
	}
	var ctx context.Context
	ctx, x.cancel = context.WithCancel(context.Background())
	r := blank.WithContext(ctx)
	r.Method, r.URL, r.RequestURI, r.Host, r.Header = h.method, &x.url, h.target, host, h.header
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	if h.old {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	}
	r.RemoteAddr, r.Close, r.ContentLength = x.c.remote, h.close, h.length
	x.body = body{c: x.c, x: x, chunked: h.length < 0, left: max(h.length, 0), expects: h.expects}
	r.Body = &x.body
	switch {
	case h.length == 0:
		r.Body = http.NoBody
		x.body.end()
	case h.length < 0:
		r.TransferEncoding = []string{"chunked"}
	}
	x.r = r
	x.w = response{c: x.c, x: x, old: h.old, keep: h.keep, last: h.close, head: h.method == http.MethodHead, length: -1}
	return nil
}

// end ends the request's context.
func (x *exchange) end() { x.cancel() }
