package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
)

func TestCall(t *testing.T) {
	h := newHouse()
	r := newRequest("POST", "/things/t/echo", "payload")
	r.Header.Set("User-Agent", "test/1")
	r.Header.Set("X-Amzn-Trace-Id", "Root=1-2-3")
	w := serve(h, sign(r, "fake", "payload"))
	if w.Code != 200 || w.Body.String() != "payload" {
		t.Fatalf("answer = %d %s", w.Code, w.Body)
	}
	id := w.Header().Get("X-Amzn-Requestid")
	if u, err := uuid.Parse(id); err != nil || u.Version() != 4 {
		t.Errorf("request id = %q", id)
	}
	c := *h.last
	if c.Answer == nil {
		t.Error("nothing cuts what is written to a client that does not read")
	}
	c.Op, c.Principal, c.Input, c.Answer = nil, nil, nil, nil
	want := aws.Call{
		Account: account, Region: "eu-west-1", RequestID: id, SourceIP: "127.0.0.1", UserAgent: "test/1", TraceID: "Root=1-2-3",
		BaseURL: "http://127.0.0.1:4566",
	}
	if fmt.Sprint(c) != fmt.Sprint(want) || h.last.Principal.Arn != "arn:aws:iam::000000000000:root" {
		t.Errorf("call = %+v\nwant   %+v", c, want)
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = io.WriteString(zw, s)
	_ = zw.Close()
	return b.String()
}

// TestBodies sends bodies in every coding to every kind of op.
func TestBodies(t *testing.T) {
	form := url.Values{"Action": {"Upper"}, "Version": {"2020-01-01"}, "Text": {"a&b"}}.Encode()
	for _, c := range []struct {
		name, method, path, service, body string
		header                            map[string]string
		status                            int
		want                              string // in the answer
	}{
		{name: "rest", path: "/things/t/echo", service: "fake", body: "x", status: 200, want: "x"},
		{name: "rest, empty", path: "/things/t/echo", service: "fake", status: 200},
		{name: "rest, as large as may be", path: "/things/t/echo", service: "fake", body: strings.Repeat("x", maxEcho), status: 200},
		{name: "rest, too large", path: "/things/t/echo", service: "fake", body: strings.Repeat("x", maxEcho+1), status: 413, want: "Request must be smaller than 1048576 bytes for the EchoThing operation"},
		{name: "gzip", path: "/things/t/echo", service: "fake", body: gzipped("hello"), header: map[string]string{"Content-Encoding": "gzip"}, status: 200, want: "hello"},
		{name: "gzip bomb", path: "/things/t/echo", service: "fake", body: gzipped(strings.Repeat("x", 100<<20)), header: map[string]string{"Content-Encoding": "gzip"}, status: 413, want: "RequestEntityTooLarge"},
		{name: "not gzip", path: "/things/t/echo", service: "fake", body: "hello", header: map[string]string{"Content-Encoding": "gzip"}, status: 400, want: "Serialization"},
		{name: "gzip cut off", path: "/things/t/echo", service: "fake", body: gzipped("hello")[:12], header: map[string]string{"Content-Encoding": "gzip"}, status: 400, want: "Serialization"},
		{name: "gzip twice", path: "/things/t/echo", service: "fake", body: "x", header: map[string]string{"Content-Encoding": "gzip, gzip"}, status: 415, want: "UnsupportedMediaType"},
		{name: "brotli", path: "/things/t/echo", service: "fake", body: "x", header: map[string]string{"Content-Encoding": "br"}, status: 415, want: "UnsupportedMediaType"},
		{name: "aws-chunked", path: "/things/t/echo", service: "fake", body: "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", header: map[string]string{
			"Content-Encoding": "aws-chunked", "X-Amz-Content-Sha256": sigv4.StreamingUnsignedTrailer, "X-Amz-Decoded-Content-Length": "5", "X-Amz-Trailer": "x-amz-checksum-crc32",
		}, status: 200, want: "hello"},
		{name: "aws-chunked and gzip", path: "/things/t/echo", service: "fake", body: fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(gzipped("hello")), gzipped("hello")), header: map[string]string{
			"Content-Encoding": "gzip,aws-chunked", "X-Amz-Content-Sha256": sigv4.StreamingUnsignedTrailer, "X-Amz-Decoded-Content-Length": fmt.Sprint(len(gzipped("hello"))),
		}, status: 200, want: "hello"},
		{name: "stream", method: "PUT", path: "/things/t", service: "fake", body: "hello", header: map[string]string{"X-Amz-Content-Sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, status: 200},
		{name: "stream, another body", method: "PUT", path: "/things/t", service: "fake", body: "hallo", header: map[string]string{"X-Amz-Content-Sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, status: 403, want: "InvalidSignature"},
		{name: "json", path: "/", service: "fakejson", body: `{"Text":"abc"}`, header: map[string]string{"X-Amz-Target": "Fake_20200101.Upper", "Content-Type": "application/x-amz-json-1.1"}, status: 200, want: `"ABC"`},
		{name: "json, too large", path: "/", service: "fakejson", body: `{"Text":"` + strings.Repeat("x", 1024) + `"}`, header: map[string]string{"X-Amz-Target": "Fake_20200101.Upper"}, status: 413, want: "RequestEntityTooLarge"},
		{name: "query", path: "/", service: "fakequery", body: form, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, status: 200, want: "A&amp;B"},
		{name: "query, too large", path: "/", service: "fakequery", body: form + "&Pad=" + strings.Repeat("x", 1024), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 413, want: "<Code>RequestEntityTooLarge"},
		{name: "query, unknown action", path: "/", service: "fakequery", body: "Action=Nothing&Version=2020-01-01", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 400, want: "<Code>InvalidAction"},
		{name: "query in the URL", method: "GET", path: "/?" + form, service: "fakequery", status: 200, want: "A&amp;B"},
		{name: "unknown path", path: "/nothing", service: "fake", status: 404, want: ""},
		{name: "constraint", path: "/things/" + strings.Repeat("t", 21) + "/echo", service: "fake", status: 400, want: "failed to satisfy constraint: Member must have length less than or equal to 20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.method == "" {
				c.method = "POST"
			}
			h := newHouse()
			r := newRequest(c.method, c.path, c.body)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := serve(h, sign(r, c.service, c.body))
			if w.Code != c.status || !strings.Contains(w.Header().Get("X-Amzn-Errortype")+w.Body.String(), c.want) {
				t.Errorf("answer = %d %.300s, want %d with %q\n%v", w.Code, w.Body, c.status, c.want, w.Header())
			}
			if w.Header().Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
			if h.log.String() != "" {
				t.Errorf("log = %s", h.log.String())
			}
		})
	}
}

// TestRefusals are the answers to what is not signed as it should be, each in the protocol of the request.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		code   string // X-Amzn-ErrorType, or in the body
		want   string // in the body
	}{
		{"not signed", newRequest("POST", "/things/t/echo", "x"), 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"not signed, nothing there", newRequest("GET", "/", ""), 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"internal, nothing there", newRequest("GET", "/_enfold/other", ""), 403, "MissingAuthenticationTokenException", ""},
		{"health, but a POST", newRequest("POST", "/_enfold/health", ""), 403, "MissingAuthenticationTokenException", ""},
		{"bearer", with(newRequest("POST", "/things/t/echo", "x"), "Authorization", "Bearer x"), 403, "", "Invalid key=value pair"},
		{"another body", sign(newRequest("POST", "/things/t/echo", "x"), "fake", "y"), 403, "InvalidSignatureException", "The request signature we calculated"},
		{"another service", sign(newRequest("POST", "/things/t/echo", "x"), "fakejson", "x"), 404, "", ""},
		{"another service's target", sign(with(newRequest("POST", "/", "{}"), "X-Amz-Target", "Fake_20200101.Upper"), "fake", "{}"), 403, "", "Credential should be scoped to correct service: 'fakejson'."},
		{"not signed, json", with(newRequest("POST", "/", "{}"), "X-Amz-Target", "Fake_20200101.Upper"), 403, "", `MissingAuthenticationTokenException"`},
		{"not signed, query", with(newRequest("POST", "/", "Action=Upper&Version=2020-01-01"), "Content-Type", "application/x-www-form-urlencoded"), 403, "", "<Code>MissingAuthenticationToken</Code>"},
		{"garbage", with(newRequest("POST", "/things/t/echo", "x"), "Authorization", "AWS4-HMAC-SHA256 Credential=a/b"), 400, "IncompleteSignatureException", "Authorization header requires 'Signature' parameter."},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse()
			w := serve(h, c.r)
			if c.code == "IncompleteSignatureException" || strings.HasPrefix(c.want, "Invalid key=value") {
				c.status = sigv4.ErrIncompleteSignature.Status
			}
			if w.Code != c.status || !strings.Contains(w.Header().Get("X-Amzn-Errortype"), c.code) || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("answer = %d %s %v", w.Code, w.Body, w.Header())
			}
			if h.last != nil {
				t.Error("the service was called")
			}
		})
	}
}

func with(r *http.Request, name, value string) *http.Request {
	r.Header.Set(name, value)
	return r
}

func TestHealthMetricsInternal(t *testing.T) {
	const token = "let me in"
	from := func(r *http.Request, addr string) *http.Request {
		r.RemoteAddr = addr
		return r
	}
	metrics := func() *http.Request { return newRequest("GET", "/_enfold/metrics", "") }
	host := func(r *http.Request, host string) *http.Request {
		r.Host = host
		return r
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"health", newRequest("GET", "/_enfold/health", ""), 200, `{"status":"ok"}`},
		{"health from afar", from(newRequest("GET", "/_enfold/health", ""), "192.0.2.1:1"), 200, `{"status":"ok"}`},
		{"internal", newRequest("POST", "/_enfold/file/x", ""), 200, "file"},
		{"metrics from here", metrics(), 200, "enfold_call_duration_seconds"},
		{"metrics from here, IPv6", host(from(metrics(), "[::1]:1"), "[::1]:4566"), 200, "enfold_call_duration_seconds"},
		{"metrics from here by name", host(metrics(), "localhost:4566"), 200, "enfold_call_duration_seconds"},
		{"metrics by a name that points here", host(metrics(), "evil.example:4566"), 403, ""},
		{"metrics by a proxy here", with(metrics(), "X-Forwarded-For", "192.0.2.1"), 403, ""},
		{"metrics by a web page", with(metrics(), "Origin", "http://evil.example"), 403, ""},
		{"metrics from afar", from(metrics(), "192.0.2.1:1"), 403, ""},
		{"metrics from afar with the token", with(from(metrics(), "192.0.2.1:1"), "Authorization", "Bearer "+token), 200, "enfold_call_duration_seconds"},
		{"metrics from afar with another", with(from(metrics(), "192.0.2.1:1"), "Authorization", "Bearer x"), 403, ""},
		{"metrics from here with another", with(metrics(), "Authorization", "Bearer x"), 403, ""},
		{"metrics by POST", newRequest("POST", "/_enfold/metrics", ""), 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(func(d *Deps) { d.MetricsToken = token })
			if w := serve(h, echo("x")); w.Code != 200 {
				t.Fatal(w.Body)
			}
			w := serve(h, c.r)
			if w.Code == 400 {
				w.Code = 403 // how a wrong token is refused as a signature
			}
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("answer = %d %.200s, want %d with %q", w.Code, w.Body, c.status, c.want)
			}
		})
	}
	if w := serve(newHouse(), with(from(metrics(), "192.0.2.1:1"), "Authorization", "Bearer ")); w.Code == 200 {
		t.Error("an empty token opens the metrics where there is none")
	}
}

// TestRegistry: what is below /v2/ and not signed is the registry's; its bodies must come as fast as others.
func TestRegistry(t *testing.T) {
	registry := func(d *Deps) {
		d.Registry = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "registry %d %t", len(b), errors.Is(err, os.ErrDeadlineExceeded))
		})
	}
	for _, c := range []struct {
		name string
		r    *http.Request
		want string
	}{
		{"the registry", newRequest("GET", "/v2/", ""), "registry 0 false"},
		{"without the slash", newRequest("GET", "/v2", ""), "registry 0 false"},
		{"with a login", with(newRequest("PUT", "/v2/a/manifests/b", "xyz"), "Authorization", "Basic QVdTOng="), "registry 3 false"},
		{"signed", sign(newRequest("GET", "/v2/apis", ""), "fake", ""), "UnknownOperationException"},
		{"another path", newRequest("GET", "/v20/", ""), "Missing Authentication Token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(newHouse(registry), c.r)
			if got := w.Body.String() + w.Header().Get("X-Amzn-Errortype"); !strings.Contains(got, c.want) {
				t.Errorf("answer = %d %s, want %q", w.Code, got, c.want)
			}
			if w := serve(newHouse(), newRequest("GET", "/v2/", "")); w.Code != 403 {
				t.Errorf("where there is no registry: %d", w.Code)
			}
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		bubble(t, newHouse(registry), func(t *testing.T, dial func() *client) {
			c, start := dial(), time.Now()
			c.send("PATCH /v2/a/blobs/uploads/b HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nxy")
			if _, answer := c.answer(); answer != "registry 2 true" {
				t.Errorf("answer = %s", answer)
			}
			if took := time.Since(start); took < bodyGrace || took > bodyGrace+2*time.Second {
				t.Errorf("refused after %s", took)
			}
		})
	})
}

func TestFaults(t *testing.T) {
	t.Run("error", func(t *testing.T) {
		h := newHouse()
		h.fake.echo = func(context.Context, *echoInput) (*echoOutput, error) { return nil, errBroken }
		checkFault(t, h, "disk on fire")
	})
	t.Run("panic in the handler", func(t *testing.T) {
		h := newHouse()
		h.fake.echo = func(context.Context, *echoInput) (*echoOutput, error) { panic("oh no") }
		checkFault(t, h, "oh no")
	})
	t.Run("panic on the way", func(t *testing.T) {
		checkFault(t, newHouse(func(d *Deps) { d.Doer = brokenDoer{} }), "oh no")
	})
	t.Run("keys", func(t *testing.T) {
		checkFault(t, newHouse(func(d *Deps) { d.Verifier = sigv4.New(brokenKeys{}) }), "disk on fire")
	})
}

type brokenDoer struct{}

func (brokenDoer) Do(context.Context, *aws.Call) (any, error) { panic("oh no") }

type brokenKeys struct{}

func (brokenKeys) Lookup(context.Context, string, string) (sigv4.Key, error) {
	return sigv4.Key{}, errBroken
}

// checkFault demands a 500 that tells nothing, and one line in the log that tells it all.
func checkFault(t *testing.T, h *house, cause string) {
	t.Helper()
	w := serve(h, echo("x"))
	if w.Code != 500 || w.Header().Get("X-Amzn-Errortype") != "InternalFailure" || strings.Contains(w.Body.String(), cause) {
		t.Errorf("answer = %d %s %v", w.Code, w.Body, w.Header())
	}
	log := h.log.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, cause) || !strings.Contains(log, w.Header().Get("X-Amzn-Requestid")) {
		t.Errorf("log = %s", log)
	}
	if strings.Contains(log, secret) || strings.Contains(log, "Signature") {
		t.Errorf("a signature is in the log: %s", log)
	}
}

func TestPresigned(t *testing.T) {
	u, _ := url.Parse("http://127.0.0.1:4566/things/t/stream")
	link := sigv4.Presign(u, sigv4.Credentials{AccessKeyID: keyID, Secret: []byte(secret), Region: "eu-west-1", Service: "fake"}, time.Now(), time.Minute)
	if w := serve(newHouse(), httptest.NewRequest("GET", link, nil)); w.Code != 200 || !strings.Contains(w.Body.String(), "two") {
		t.Errorf("answer = %d %q", w.Code, w.Body)
	}
}

// TestBudget fills the memory for bodies that nobody vouched for yet.
func TestBudget(t *testing.T) {
	h := newHouse()
	h.unverified.TryAcquire(maxUnverified - smallBody)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	large := strings.Repeat("x", 2*smallBody)
	w := serve(h, echo(large).WithContext(ctx))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
	if w := serve(h, echo("small")); w.Code != 200 {
		t.Errorf("a small body is refused too: %d %s", w.Code, w.Body)
	}
	h.unverified.Release(maxUnverified - smallBody)
	for range 3 {
		if w := serve(h, echo(large)); w.Code != 200 {
			t.Errorf("answer = %d", w.Code)
		}
	}
	if !h.unverified.TryAcquire(maxUnverified) {
		t.Error("the budget was not given back")
	}
}
