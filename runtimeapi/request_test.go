package runtimeapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

func TestReadRequest(t *testing.T) {
	next := "GET " + pathNext + " HTTP/1.1"
	post := "POST " + pathResponse(testID) + " HTTP/1.1"
	long := strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		name, in string
		want     request // route, method, length, close, old, expects, contentType, errorType, mode
		err      error
	}{
		{name: "next", in: head(next, "Host: a"), want: request{route: routeNext, method: methodGet}},
		{name: "empty line first", in: "\r\n" + head(next, "Host: a"), want: request{route: routeNext, method: methodGet}},
		{name: "query", in: head("GET "+pathNext+"?a=b HTTP/1.1", "Host: a"), want: request{route: routeNext, method: methodGet}},
		{name: "absolute", in: head("GET http://h:1"+pathNext+" HTTP/1.1", "Host: a"), want: request{route: routeNext, method: methodGet}},
		{name: "absolute without path", in: head("GET http://h:1111 HTTP/1.1", "Host: a"), want: request{method: methodGet}},
		{name: "asterisk", in: head("OPTIONS * HTTP/1.1", "Host: a"), want: request{}},
		{name: "http 1.0", in: head("GET /ping HTTP/1.0"), want: request{route: routePing, method: methodGet, close: true, old: true}},
		{name: "versioned ping", in: head("HEAD /2018-06-01/ping HTTP/1.1", "Host: a"), want: request{route: routePing, method: methodHead}},
		{name: "close", in: head(next, "Host: a", "CONNECTION: foo , Close"), want: request{route: routeNext, method: methodGet, close: true}},
		{name: "keep-alive", in: head(next, "Host: a", "Connection: keep-alive"), want: request{route: routeNext, method: methodGet}},
		{name: "length", in: head(post, "Host:", "content-length:  12 \t"), want: request{route: routeResponse, method: methodPost, length: 12}},
		{name: "chunked", in: head(post, "Host: a", "Transfer-Encoding: Chunked", "Content-Type: x/y"), want: request{route: routeResponse, method: methodPost, length: -1, contentType: "x/y"}},
		{name: "error", in: head("POST "+pathError("i")+" HTTP/1.1", "Host: a", "Lambda-Runtime-Function-Error-Type: Runtime.Abc"), want: request{route: routeError, method: methodPost, errorType: "Runtime.Abc"}},
		{name: "init error", in: head("POST "+pathInit+" HTTP/1.1", "Host: a", "lambda-runtime-function-error-type: "), want: request{route: routeInitError, method: methodPost, errorType: runtimeUnknown}},
		{name: "streaming", in: head(post, "Host: a", "Lambda-Runtime-Function-Response-Mode: streaming"), want: request{route: routeResponse, method: methodPost, mode: modeStreaming}},
		{name: "other mode", in: head(post, "Host: a", "Lambda-Runtime-Function-Response-Mode: Streaming"), want: request{route: routeResponse, method: methodPost, mode: modeInvalid}},
		{name: "empty mode", in: head(post, "Host: a", "Lambda-Runtime-Function-Response-Mode:"), want: request{route: routeResponse, method: methodPost}},
		{name: "expect", in: head(post, "Host: a", "Expect: 100-Continue", "Content-Length: 1"), want: request{route: routeResponse, method: methodPost, length: 1, expects: true}},
		{name: "expect without body", in: head(post, "Host: a", "Expect: 100-continue"), want: request{route: routeResponse, method: methodPost}},
		{name: "x-ray cause", in: head(post, "Host: a", "Lambda-Runtime-Function-XRay-Error-Cause: "+strings.Repeat("y", 1<<20), "Content-Length: 2"), want: request{route: routeResponse, method: methodPost, length: 2}},
		{name: "long header", in: head(next, "Host: a", "Cookie: "+long[:60<<10]), want: request{route: routeNext, method: methodGet}},
		{name: "extension route", in: head("POST /2020-01-01/extension/register HTTP/1.1", "Host: a"), want: request{method: methodPost}},
		{name: "restore", in: head("GET /2018-06-01/runtime/restore/next HTTP/1.1", "Host: a"), want: request{route: routeRestoreNext, method: methodGet}},
		{name: "restore error", in: head("POST /2018-06-01/runtime/restore/error HTTP/1.1", "Host: a", "Content-Length: 2"), want: request{route: routeRestoreError, method: methodPost, length: 2}},
		{name: "credentials", in: head("GET /2021-04-23/credentials HTTP/1.1", "Host: a", "authorization: abc"), want: request{route: routeCredentials, method: methodGet, token: "abc"}},
		{name: "authorization of others", in: head(next, "Host: a", "Authorization: abc"), want: request{route: routeNext, method: methodGet}},
		{name: "no id", in: head("POST /2018-06-01/runtime/invocation//response HTTP/1.1", "Host: a"), want: request{method: methodPost}},
		{name: "dots", in: head("GET /2018-06-01/./runtime/invocation/next HTTP/1.1", "Host: a"), want: request{method: methodGet}},

		{name: "nothing", in: "", err: io.EOF},
		{name: "cut line", in: "GET /pi", err: io.ErrUnexpectedEOF},
		{name: "cut head", in: next + "\r\nHost: a\r\n", err: io.ErrUnexpectedEOF},
		{name: "cut in x-ray", in: next + "\r\nLambda-Runtime-Function-XRay-", err: io.ErrUnexpectedEOF},
		{name: "cut in x-ray's value", in: next + "\r\nLambda-Runtime-Function-XRay-Error-Cause: abc", err: io.ErrUnexpectedEOF},
		{name: "bare line feed", in: next + "\nHost: a\r\n\r\n", err: errSyntax},
		{name: "bare line feed ends head", in: next + "\r\nHost: a\r\n\n", err: errSyntax},
		{name: "bare carriage return", in: head(next, "Host: a\rb"), err: errSyntax},
		{name: "nul", in: head(next, "Host: a", "X: \x00"), err: errSyntax},
		{name: "two spaces", in: head("GET  /ping HTTP/1.1", "Host: a"), err: errSyntax},
		{name: "no version", in: head("GET /ping"), err: errSyntax},
		{name: "0.9", in: head("GET /ping HTTP/0.9", "Host: a"), err: errVersion},
		{name: "2.0", in: head("PRI * HTTP/2.0"), err: errVersion},
		{name: "lower-case version", in: head("GET /ping http/1.1", "Host: a"), err: errSyntax},
		{name: "bad method", in: head("G(T /ping HTTP/1.1", "Host: a"), err: errSyntax},
		{name: "bad target", in: head("GET ping HTTP/1.1", "Host: a"), err: errSyntax},
		{name: "control in target", in: head("GET /\x7f HTTP/1.1", "Host: a"), err: errSyntax},
		{name: "no host", in: head(next), err: errSyntax},
		{name: "two hosts", in: head(next, "Host: a", "Host: a"), err: errSyntax},
		{name: "folded", in: head(next, "Host: a", "X: a", " b"), err: errSyntax},
		{name: "space before colon", in: head(post, "Host: a", "Content-Length : 1"), err: errSyntax},
		{name: "no colon", in: head(next, "Host: a", "X"), err: errSyntax},
		{name: "two lengths", in: head(post, "Host: a", "Content-Length: 1", "Content-Length: 1"), err: errSyntax},
		{name: "list of lengths", in: head(post, "Host: a", "Content-Length: 1, 1"), err: errSyntax},
		{name: "signed length", in: head(post, "Host: a", "Content-Length: +1"), err: errSyntax},
		{name: "negative length", in: head(post, "Host: a", "Content-Length: -1"), err: errSyntax},
		{name: "hex length", in: head(post, "Host: a", "Content-Length: 0x1"), err: errSyntax},
		{name: "empty length", in: head(post, "Host: a", "Content-Length:"), err: errSyntax},
		{name: "huge length", in: head(post, "Host: a", "Content-Length: 1000000000000000000"), err: errSyntax},
		{name: "length and chunks", in: head(post, "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"), err: errSyntax},
		{name: "two codings", in: head(post, "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), err: errSyntax},
		{name: "list of codings", in: head(post, "Host: a", "Transfer-Encoding: gzip, chunked"), err: errCoding},
		{name: "quoted coding", in: head(post, "Host: a", "Transfer-Encoding: \x0bchunked"), err: errSyntax},
		{name: "chunks in 1.0", in: head("POST "+pathInit+" HTTP/1.0", "Transfer-Encoding: chunked"), err: errSyntax},
		{name: "other expectation", in: head(post, "Host: a", "Expect: 200-ok"), err: errExpectation},
		{name: "too many headers", in: head(append([]string{next, "Host: a"}, make100("X: 1")...)...), err: errHeadTooLarge},
		{name: "head too large", in: head(next, "Host: a", "A: "+long[:40<<10], "B: "+long[:40<<10]), err: errHeadTooLarge},
		{name: "line too long", in: head("GET /" + long + " HTTP/1.1"), err: errHeadTooLarge},
		{name: "endless line", in: long + long, err: errHeadTooLarge},
		{name: "x-ray cause too large", in: head(post, "Lambda-Runtime-Function-XRay-Error-Cause: "+strings.Repeat("y", 2<<20)), err: errHeadTooLarge},
		{name: "x-ray cause with bare line feed", in: post + "\r\nLambda-Runtime-Function-XRay-Error-Cause: y\nHost: a\r\n\r\n", err: errSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, src := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
				b := newReader(src)
				var q request
				if err := readRequest(&b, &q); !errors.Is(err, tt.err) {
					t.Fatalf("%s: error %v, want %v", name, err, tt.err)
				}
				if tt.err != nil {
					continue
				}
				q.id, q.idLen, q.hosts, q.lengths, q.codings = [maxID]byte{}, 0, 0, 0, 0
				if q != tt.want {
					t.Errorf("%s:\n got %+v\nwant %+v", name, q, tt.want)
				}
				if b.buffered() != 0 {
					t.Errorf("%s: %d bytes left", name, b.buffered())
				}
			}
		})
	}
}

func make100(s string) []string {
	l := make([]string, 100)
	for i := range l {
		l[i] = s
	}
	return l
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		name, path, id string
		want           bool
	}{
		{"same", testID, testID, true},
		{"other", testID, testID[1:] + "x", false},
		{"shorter", testID[1:], testID, false},
		{"longest", strings.Repeat("a", maxID), strings.Repeat("a", maxID), true},
		{"too long", strings.Repeat("a", maxID+1), strings.Repeat("a", maxID+1), false},
		{"too long, same beginning", strings.Repeat("a", maxID+1), strings.Repeat("a", maxID), false},
		{"escaped", "%38" + testID[1:], testID, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newReader(strings.NewReader(head("POST "+pathResponse(tt.path)+" HTTP/1.1", "Host: a")))
			var q request
			if err := readRequest(&b, &q); err != nil {
				t.Fatal(err)
			}
			if got := q.is(tt.id); got != tt.want {
				t.Errorf("is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBufferShrinks(t *testing.T) {
	b := newReader(strings.NewReader(head("GET /ping HTTP/1.1", "Host: a", "X: "+strings.Repeat("x", 50<<10)) + "rest"))
	var q request
	if err := readRequest(&b, &q); err != nil {
		t.Fatal(err)
	}
	if len(b.buf) <= smallBuffer {
		t.Fatal("the buffer did not grow: the test is void")
	}
	b.shrink()
	if len(b.buf) != smallBuffer || string(b.buf[b.r:b.w]) != "rest" {
		t.Errorf("%d bytes with %q", len(b.buf), b.buf[b.r:b.w])
	}
}

// FuzzRequest: a head that both we and net/http accept means the same to both.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(head("GET "+pathNext+" HTTP/1.1", "Host: a")))
	f.Add([]byte(head("POST "+pathResponse(testID)+" HTTP/1.1", "Host: a", "Content-Length: 3", "Connection: close") + "abc"))
	f.Add([]byte(head("POST "+pathError(testID)+" HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Expect: 100-continue") + "0\r\n\r\n"))
	f.Add([]byte(head("POST "+pathInit+" HTTP/1.0", "Lambda-Runtime-Function-Error-Type: Runtime.X", "Lambda-Runtime-Function-XRay-Error-Cause: {}")))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newReader(bytes.NewReader(in))
		var q request
		err := readRequest(&b, &q)
		if len(b.buf) > 2*maxLine {
			t.Fatalf("buffer of %d bytes", len(b.buf))
		}
		if err != nil {
			if headReply(err) == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("no reply for %v", err)
			}
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		if r.ContentLength != q.length {
			t.Errorf("length %d, net/http says %d", q.length, r.ContentLength)
		}
		if want := map[string]method{"GET": methodGet, "HEAD": methodHead, "POST": methodPost}[r.Method]; q.method != want {
			t.Errorf("method %d, net/http says %s", q.method, r.Method)
		}
		if q.route == routeNext && r.URL.Path != pathNext {
			t.Errorf("next for %q", r.URL.Path)
		}
		if (q.route == routeResponse || q.route == routeError) && q.idLen > 0 && !strings.Contains(r.RequestURI, "/"+string(q.id[:q.idLen])+"/") {
			t.Errorf("id %q of %q", q.id[:q.idLen], r.URL)
		}
		if r.Close && !q.close {
			t.Error("net/http would close")
		}
	})
}
