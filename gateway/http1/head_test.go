package http1

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// parseHead reads a head that is all there.
func parseHead(text string) (*head, error) {
	b := reader{src: strings.NewReader(text)}
	b.acquire()
	defer b.release()
	raw, lines, err := b.head(64 << 10)
	if err != nil {
		return nil, err
	}
	h := &head{}
	if err := h.parse(string(raw), lines, make([]string, 4)); err != nil {
		return nil, err
	}
	var u url.URL
	_, err = parseTarget(&u, h.method, h.target)
	return h, err
}

// TestRefusedHeads are requests that could be read in two ways, or are none.
func TestRefusedHeads(t *testing.T) {
	const get, host = "GET / HTTP/1.1\r\n", "Host: a\r\n"
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", errSyntax},
		{"bare LF after a field", get + "Host: a\n\r\n", errSyntax},
		{"bare LF at the end", get + host + "\n", errSyntax},
		{"bare CR in a value", get + host + "A: b\rc\r\n\r\n", errSyntax},
		{"two CRs", get + "Host: a\r\r\n\r\n", errSyntax},
		{"NUL in a value", get + host + "A: b\x00\r\n\r\n", errSyntax},
		{"DEL in a value", get + host + "A: b\x7f\r\n\r\n", errSyntax},
		{"empty line first", "\r\n" + get + host + "\r\n", errSyntax},
		{"folded field", get + host + "A: b\r\n c\r\n\r\n", errSyntax},
		{"folded first field", get + " Host: a\r\n\r\n", errSyntax},
		{"space before the colon", get + "Host : a\r\n\r\n", errSyntax},
		{"space in a name", get + host + "A b: c\r\n\r\n", errSyntax},
		{"no colon", get + host + "A\r\n\r\n", errSyntax},
		{"no name", get + host + ": a\r\n\r\n", errSyntax},
		{"name that is not ASCII", get + host + "\xc3\xa4: a\r\n\r\n", errSyntax},
		{"no method", " / HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"tab for a space", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"space after the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", errSyntax},
		{"no version", "GET /\r\n" + host + "\r\n", errSyntax},
		{"version in lower case", "GET / http/1.1\r\n" + host + "\r\n", errSyntax},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\n", errVersion},
		{"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", errVersion},
		{"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", errVersion},
		{"no host", get + "\r\n", errSyntax},
		{"two hosts", get + host + host + "\r\n", errSyntax},
		{"host with a path", get + "Host: a/b\r\n\r\n", errSyntax},
		{"host with a user", get + "Host: a@b\r\n\r\n", errSyntax},
		{"host with a space", get + "Host: a b\r\n\r\n", errSyntax},
		{"length and coding", get + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errSyntax},
		{"coding and length", get + host + "transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n", errSyntax},
		{"two lengths", get + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", errSyntax},
		{"the same length twice", get + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", errSyntax},
		{"list of lengths", get + host + "Content-Length: 1, 1\r\n\r\n", errSyntax},
		{"length with a sign", get + host + "Content-Length: +1\r\n\r\n", errSyntax},
		{"negative length", get + host + "Content-Length: -1\r\n\r\n", errSyntax},
		{"empty length", get + host + "Content-Length: \r\n\r\n", errSyntax},
		{"hexadecimal length", get + host + "Content-Length: 0x1\r\n\r\n", errSyntax},
		{"length that overflows", get + host + "Content-Length: 18446744073709551617\r\n\r\n", errSyntax},
		{"other coding", get + host + "Transfer-Encoding: gzip\r\n\r\n", errCoding},
		{"coding before chunked", get + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", errCoding},
		{"identity", get + host + "Transfer-Encoding: identity\r\n\r\n", errCoding},
		{"chunked in disguise", get + host + "Transfer-Encoding: \x0bchunked\r\n\r\n", errSyntax},
		{"chunked twice", get + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errSyntax},
		{"chunked twice in one", get + host + "Transfer-Encoding: chunked, chunked\r\n\r\n", errCoding},
		{"chunked with a parameter", get + host + "Transfer-Encoding: chunked;a=b\r\n\r\n", errCoding},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errSyntax},
		{"unknown expectation", get + host + "Expect: 200-ok\r\n\r\n", errExpectation},
		{"no path", "GET a HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"empty target", "GET  HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"target that is not ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"half an escape", "GET /%4 HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"asterisk", "GET * HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"other scheme", "GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"absolute without a host", "GET http:///a HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"absolute with a user", "GET http://u:p@a/ HTTP/1.1\r\n" + host + "\r\n", errSyntax},
		{"too many fields", get + strings.Repeat("A: b\r\n", maxFields+1) + "\r\n", errHeadTooLarge},
		{"too large", get + "A: " + strings.Repeat("b", 64<<10) + "\r\n\r\n", errTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			if h, err := parseHead(c.text); !errors.Is(err, c.want) {
				t.Errorf("parse = %+v, %v, want %v", h, err, c.want)
			}
		})
	}
}

func TestHeads(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       head
	}{
		{"least", "GET / HTTP/1.1\r\nHost:\r\n\r\n", head{method: "GET", target: "/"}},
		{"fields", "POST /a?b HTTP/1.1\r\nhOST: a:1\r\nx-AMZ-date: \t1 2\t \r\nA:1\r\na: 2\r\nB:\xff\r\n\r\n", head{
			method: "POST", target: "/a?b", host: "a:1", header: http.Header{"X-Amz-Date": {"1 2"}, "A": {"1", "2"}, "B": {"\xff"}},
		}},
		{"more values than room", "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nA: 7\r\n\r\n", head{
			method: "GET", target: "/", host: "a", header: http.Header{"A": {"1", "7"}, "B": {"2"}, "C": {"3"}, "D": {"4"}, "E": {"5"}, "F": {"6"}},
		}},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\n", head{
			method: "POST", target: "/", host: "a", length: 7, expects: true, header: http.Header{"Content-Length": {"007"}, "Expect": {"100-Continue"}},
		}},
		{"nothing to expect", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", head{
			method: "POST", target: "/", host: "a", header: http.Header{"Expect": {"100-continue"}},
		}},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", head{method: "POST", target: "/", host: "a", length: -1}},
		{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", head{
			method: "GET", target: "/", host: "a", close: true, header: http.Header{"Connection": {"TE, Close"}},
		}},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", head{method: "GET", target: "/", old: true, close: true}},
		{"HTTP/1.0 that stays", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head{
			method: "GET", target: "/", old: true, keep: true, header: http.Header{"Connection": {"keep-alive"}},
		}},
		{"HTTP/1.0 that does not know", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", head{
			method: "GET", target: "/", old: true, keep: true, close: true, header: http.Header{"Connection": {"keep-alive, close"}},
		}},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head{method: "OPTIONS", target: "*", host: "a"}},
		{"odd method", "x-y! / HTTP/1.1\r\nHost: a\r\n\r\n", head{method: "x-y!", target: "/", host: "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := parseHead(c.text)
			if err != nil {
				t.Fatal(err)
			}
			got, want := *h, c.want
			if len(got.header)+len(want.header) > 0 && !maps.EqualFunc(got.header, want.header, func(a, b []string) bool {
				return strings.Join(a, "|") == strings.Join(b, "|")
			}) {
				t.Errorf("header = %v, want %v", got.header, want.header)
			}
			if got.method != want.method || got.target != want.target || got.host != want.host || got.length != want.length ||
				got.old != want.old || got.close != want.close || got.keep != want.keep || got.expects != want.expects {
				t.Errorf("head = %+v\nwant   %+v", got, want)
			}
		})
	}
}

// TestTargets compares the quick way through a target with net/url's.
func TestTargets(t *testing.T) {
	for _, target := range []string{
		"/", "//", "//a/b", "/2015-03-31/functions/hello/invocations", "/functions/arn:aws:lambda:us-east-1:000000000000:function:f/x",
		"/a?b", "/a?", "/a??", "/?a=b&c=%20d+e", "/%41", "/a%2Fb", "/a;b", "/a,b", "/a=b&c+d$e@f:g", "/a!b'c(d)e*f", "/~a._-", "/a/../b", "/a//b/./",
		"/a%20b?c%zz", "/[a]", "/a|b", "/a\"b", "/{a}", "/a\\b", "http://a", "http://a/", "HTTPS://a:1/b?c", "http://[::1]:1/b",
	} {
		want, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		var got url.URL
		host, err := parseTarget(&got, "GET", target)
		if err != nil || got != *want || got.EscapedPath() != want.EscapedPath() || host != want.Host {
			t.Errorf("%s = %#v, %q, %v\nwant %#v", target, got, host, err, want)
		}
	}
}

func TestChunkSizes(t *testing.T) {
	for _, c := range []struct {
		line string
		n    int64
		ok   bool
	}{
		{"0", 0, true},
		{"aF", 0xaf, true},
		{"000000000000001", 1, true},
		{"7fffffffffffff", 0x7fffffffffffff, true},
		{"1;a=b", 1, true},
		{"1;", 1, true},
		{"", 0, false},
		{";a", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"0x1", 0, false},
		{" 1", 0, false},
		{"1 ", 0, false},
		{"1 ;a", 0, false},
		{"1\t", 0, false},
		{"1\r", 0, false},
		{"1;\x00", 0, false},
		{"1_0", 0, false},
		{"g", 0, false},
		{"ffffffffffffffff", 0, false},
		{"0000000000000000", 0, false},
	} {
		if n, _, ok := parseChunkSize([]byte(c.line)); ok != c.ok || ok && n != c.n {
			t.Errorf("%q = %d, %t", c.line, n, ok)
		}
	}
}
