package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/enfold-run/enfold/sigv4"
)

// signedWith is an Echo that is signed with another key than the one there is.
func signedWith(id, secret string) *http.Request {
	r := newRequest("POST", "/things/t/echo", "x")
	sigv4.Sign(r, []byte("x"), sigv4.Credentials{AccessKeyID: id, Secret: []byte(secret), Region: "eu-west-1", Service: "fake"}, time.Now())
	return r
}

const (
	unknownID   = "AKIAIOSFODNN7EXAMPLE"
	wrongSecret = "not/the/secret/but/somebody's/guess/of/it"
)

func unknownKey() *http.Request     { return signedWith(unknownID, wrongSecret) }
func wrongSignature() *http.Request { return signedWith(keyID, wrongSecret) }

func wrongSessionToken() *http.Request {
	return sign(with(newRequest("POST", "/things/t/echo", "x"), "X-Amz-Security-Token", "AAAA"), "fake", "x")
}

func wrongMetricsToken() *http.Request {
	return with(newRequest("GET", "/_enfold/metrics", ""), "Authorization", "Bearer "+wrongSecret)
}

func from(addr string, r *http.Request) *http.Request {
	r.RemoteAddr = addr
	return r
}

// exhaust fails as often as a source may.
func exhaust(t *testing.T, h http.Handler, addr string) {
	t.Helper()
	for i := range maxFailures {
		if w := serve(h, from(addr, unknownKey())); !strings.Contains(w.Body.String(), "security token included in the request is invalid") {
			t.Fatalf("failure %d: %d %s", i, w.Code, w.Body)
		}
	}
}

// TestGuessing shows that every kind of guess is answered the same beyond the limit, in the words of its protocol, and that
// what is right is served all the same.
func TestGuessing(t *testing.T) {
	query := func() *http.Request {
		const form = "Action=Upper&Version=2020-01-01"
		r := with(newRequest("POST", "/", form), "Content-Type", "application/x-www-form-urlencoded")
		sigv4.Sign(r, []byte(form), sigv4.Credentials{AccessKeyID: unknownID, Secret: []byte("x"), Region: "eu-west-1", Service: "fakequery"}, time.Now())
		return r
	}
	json := func() *http.Request {
		r := with(newRequest("POST", "/", "{}"), "X-Amz-Target", "Fake_20200101.Upper")
		sigv4.Sign(r, []byte("{}"), sigv4.Credentials{AccessKeyID: keyID, Secret: []byte("x"), Region: "eu-west-1", Service: "fakejson"}, time.Now())
		return r
	}
	stream := func() *http.Request {
		r := with(newRequest("PUT", "/things/t", "x"), "X-Amz-Content-Sha256", sigv4.UnsignedPayload)
		sigv4.Sign(r, []byte("x"), sigv4.Credentials{AccessKeyID: keyID, Secret: []byte("x"), Region: "eu-west-1", Service: "fake"}, time.Now())
		return r
	}
	presigned := func() *http.Request {
		u, _ := url.Parse("http://127.0.0.1:4566/things/t/stream")
		link := sigv4.Presign(u, sigv4.Credentials{AccessKeyID: keyID, Secret: []byte("x"), Region: "eu-west-1", Service: "fake"}, time.Now(), time.Minute)
		return newRequest("GET", strings.TrimPrefix(link, "http://127.0.0.1:4566"), "")
	}
	for _, c := range []struct {
		name         string
		request      func() *http.Request
		before, then string // in the answer
	}{
		{"unknown key", unknownKey, "UnrecognizedClientException", "ThrottlingException"},
		{"wrong signature", wrongSignature, "InvalidSignatureException", "ThrottlingException"},
		{"wrong session token", wrongSessionToken, "UnrecognizedClientException", "ThrottlingException"},
		{"wrong metrics token", wrongMetricsToken, "IncompleteSignature", "Throttling"},
		{"query", query, "<Code>InvalidClientTokenId</Code>", "<Code>Throttling</Code>"},
		{"json", json, `InvalidSignatureException"`, `ThrottlingException"`},
		{"body in a stream", stream, "InvalidSignatureException", "ThrottlingException"},
		{"presigned", presigned, "InvalidSignatureException", "ThrottlingException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(func(d *Deps) { d.MetricsToken = "right" })
				answer := func() string {
					w := serve(h, c.request())
					return fmt.Sprint(w.Code, w.Header().Get("X-Amzn-Errortype"), w.Body)
				}
				for i := range maxFailures {
					if got := answer(); !strings.Contains(got, c.before) {
						t.Fatalf("failure %d: %s, want %s", i, got, c.before)
					}
				}
				for range 3 {
					if got := answer(); !strings.HasPrefix(got, "400") || !strings.Contains(got, c.then) || !strings.Contains(got, "Rate exceeded") {
						t.Fatalf("beyond the limit: %s, want %s", got, c.then)
					}
				}
				if w := serve(h, echo("x")); w.Code != 200 {
					t.Errorf("the right signature is refused beside guesses: %d %s", w.Code, w.Body)
				}
				r := with(newRequest("GET", "/_enfold/metrics", ""), "Authorization", "Bearer right")
				if w := serve(h, r); w.Code != 200 {
					t.Errorf("the right metrics token is refused beside guesses: %d %s", w.Code, w.Body)
				}
			})
		})
	}
}

// TestNoGuess is what fails beside guesses, or instead of them, without trying a key: it neither counts nor is throttled.
func TestNoGuess(t *testing.T) {
	stale := func() *http.Request {
		r := newRequest("POST", "/things/t/echo", "x")
		sigv4.Sign(r, []byte("x"), sigv4.Credentials{AccessKeyID: keyID, Secret: []byte(secret), Region: "eu-west-1", Service: "fake"}, time.Now().Add(-time.Hour))
		return r
	}
	for _, c := range []struct {
		name    string
		request func() *http.Request
		want    string
	}{
		{"stale", stale, "Signature expired"},
		{"not signed", func() *http.Request { return newRequest("POST", "/things/t/echo", "x") }, "Missing Authentication Token"},
		{"garbage", func() *http.Request {
			return with(newRequest("POST", "/things/t/echo", "x"), "Authorization", "AWS4-HMAC-SHA256 x=y")
		}, "requires 'Credential'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse()
			for i := range 2 * maxFailures {
				if w := serve(h, c.request()); !strings.Contains(w.Body.String(), c.want) {
					t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
				}
			}
			if n := h.guard.known.Load(); n != 0 {
				t.Errorf("%d sources are counted", n)
			}
		})
	}
}

// TestSources shows what counts as one source, and that a source is let off again at the rate of the limit.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		name, one, other string
		same             bool
	}{
		{"another port", "192.0.2.1:1", "192.0.2.1:2", true},
		{"another IPv4 address", "192.0.2.1:1", "192.0.2.2:1", false},
		{"IPv4 in IPv6", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"the same IPv6 network", "[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true},
		{"another IPv6 network", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"another interface", "[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"no addresses", "@", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				exhaust(t, h, c.one)
				isThrottled := func() bool {
					return strings.Contains(serve(h, from(c.other, wrongSignature())).Body.String(), "Rate exceeded")
				}
				if isThrottled() != c.same {
					t.Fatalf("throttled = %v", !c.same)
				}
				time.Sleep(time.Second)
				for i := range int(failureRate) {
					if isThrottled() {
						t.Fatalf("throttled at failure %d a second later", i)
					}
				}
				if isThrottled() != c.same {
					t.Errorf("throttled = %v after a second's failures", !c.same)
				}
			})
		})
	}
}

// TestGuardLog demands one line at the first failure beyond the limit, then one a minute while it goes on, and no secret.
func TestGuardLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics := prometheus.NewRegistry()
		h := newHouse(func(d *Deps) { d.Guard = NewGuard(d.Log, metrics) })
		lines := func() int { return strings.Count(h.log.String(), "\n") }
		exhaust(t, h, "192.0.2.1:1")
		if lines() != 0 {
			t.Fatalf("within the limit: %s", h.log.String())
		}
		for range 50 {
			serve(h, from("192.0.2.1:1", unknownKey()))
		}
		serve(h, from("192.0.2.1:1", signedWith("wJalrXUtnFEMIsecret", "x"))) // a secret in the wrong place
		if log := h.log.String(); lines() != 1 || !strings.Contains(log, "source=192.0.2.1/32 failures=1 accessKeyId="+unknownID) {
			t.Fatalf("log = %s", log)
		}
		time.Sleep(reportEvery)
		synctest.Wait()
		if log := h.log.String(); lines() != 2 || !strings.Contains(log, "failures=50 accessKeyId=?") {
			t.Fatalf("a minute later: %s", log)
		}
		time.Sleep(reportEvery)
		synctest.Wait()
		if lines() != 2 || h.guard.known.Load() != 0 || h.guard.ticking {
			t.Errorf("nothing happened since, but: %d sources, log = %s", h.guard.known.Load(), h.log.String())
		}
		if log := h.log.String(); strings.Contains(log, wrongSecret) || strings.Contains(log, "wJalr") || strings.Contains(log, "Signature=") {
			t.Errorf("a secret is in the log: %s", log)
		}
		h.metrics = promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})
		w := serve(h, newRequest("GET", "/_enfold/metrics", ""))
		for _, want := range []string{`{throttled="false"} 100`, `{throttled="true"} 51`} {
			if !strings.Contains(w.Body.String(), "enfold_authentication_failures_total"+want+"\n") {
				t.Errorf("no %s in %s", want, w.Body)
			}
		}
	})
}

// TestManySources bounds what many sources take: memory, and lines in the log.
func TestManySources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		const many = 3 * maxReported
		for i := range many {
			addr := fmt.Sprintf("[2001:db8:%x::1]:1", i)
			for range maxFailures + 2 {
				h.guard.failed(addr, "?")
			}
		}
		if n := strings.Count(h.log.String(), "\n"); n != maxReported {
			t.Errorf("%d lines in the log, want %d", n, maxReported)
		}
		time.Sleep(reportEvery)
		synctest.Wait()
		if n := strings.Count(h.log.String(), "\n"); n != 2*maxReported+1 {
			t.Errorf("%d lines in the log a minute later, want %d", n, 2*maxReported+1)
		}
		if want := fmt.Sprintf("sources=%d ", many-maxReported); !strings.Contains(h.log.String(), want) {
			t.Errorf("log has no %s: %s", want, h.log.String())
		}
		for i := range maxSources + 100 {
			h.guard.failed(fmt.Sprintf("[2001:db8:0:%x::1]:1", i), "?")
		}
		if n := len(h.guard.sources); n != maxSources || h.guard.recent.Len() != n || h.guard.known.Load() != int64(n) {
			t.Errorf("%d sources are remembered, %d in order, %d counted", n, h.guard.recent.Len(), h.guard.known.Load())
		}
		if !h.guard.isKnown(fmt.Sprintf("[2001:db8:0:%x::2]:1", maxSources+99)) || h.guard.isKnown("[2001:db8:0:0::2]:1") {
			t.Error("the wrong source was forgotten")
		}
		time.Sleep(2 * reportEvery)
		synctest.Wait()
		if n := len(h.guard.sources); n != 0 {
			t.Errorf("%d sources are never forgotten", n)
		}
	})
}

func (g *Guard) isKnown(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sources[sourceOf(addr)] != nil
}

// TestGuessingBesideWork has many clients guess from the address of one that has the key, which is served every time.
func TestGuessingBesideWork(t *testing.T) {
	h := newHouse()
	exhaust(t, h, "127.0.0.1:1")
	stop := make(chan struct{})
	var guessers sync.WaitGroup
	for i := range 16 {
		guessers.Go(func() {
			guess := []func() *http.Request{unknownKey, wrongSignature}[i%2]
			for {
				select {
				case <-stop:
					return
				default:
					serve(h, guess())
				}
			}
		})
	}
	for i := range 200 {
		if w := serve(h, echo("x")); w.Code != 200 {
			t.Errorf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	close(stop)
	guessers.Wait()
}

// TestSuspectsWait shows that suspects have to wait for each other, nobody else for them, and that who goes is not kept.
func TestSuspectsWait(t *testing.T) {
	h := newHouse()
	exhaust(t, h, "192.0.2.1:1")
	for h.guard.lane.TryAcquire(1) {
	}
	if w := serve(h, from("192.0.2.2:1", echo("x"))); w.Code != 200 {
		t.Errorf("somebody else: %d %s", w.Code, w.Body)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if w := serve(h, from("192.0.2.1:1", echo("x")).WithContext(gone)); w.Code != 400 {
		t.Errorf("a suspect that went: %d %s", w.Code, w.Body)
	}
	h.guard.lane.Release(1)
	if w := serve(h, from("192.0.2.1:1", echo("x"))); w.Code != 200 {
		t.Errorf("a suspect whose turn it is: %d %s", w.Code, w.Body)
	}
}

// TestGuardVerify is for the handlers that authenticate by themselves.
func TestGuardVerify(t *testing.T) {
	g, v := NewGuard(nil, nil), sigv4.New(oneKey{})
	for range maxFailures {
		if _, err := g.Verify(v, wrongSignature(), []byte("x")); err == nil || !strings.HasPrefix(err.Error(), "InvalidSignature") {
			t.Fatal(err)
		}
	}
	if _, err := g.Verify(v, wrongSignature(), []byte("x")); err == nil || err.Error() != "ThrottlingException: Rate exceeded" {
		t.Error(err)
	}
	if id, err := g.Verify(v, echo("x"), []byte("x")); err != nil || id.Principal.Account != account {
		t.Error(id, err)
	}
}

// BenchmarkRefused compares what it costs to refuse a key that there is not and a signature that is wrong, of a source within
// its limit and of one beyond it.
func BenchmarkRefused(b *testing.B) {
	for _, c := range []struct {
		name    string
		request *http.Request
	}{{"UnknownKey", unknownKey()}, {"WrongSignature", wrongSignature()}} {
		body := []byte("x")
		b.Run(c.name, func(b *testing.B) {
			v, g := sigv4.New(oneKey{}), NewGuard(nil, nil)
			for b.Loop() {
				if _, err := g.Verify(v, c.request, body); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkGuard is what the guard adds to a request that is right: nobody failed lately, somebody else did, or somebody at the
// same address.
func BenchmarkGuard(b *testing.B) {
	fine := func() error { return nil }
	for _, c := range []struct {
		name, failed string
		times        int
	}{{"Quiet", "", 0}, {"OthersFail", "192.0.2.1:1", maxFailures + 1}, {"Suspect", "127.0.0.1:50000", 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			g, r := NewGuard(nil, nil), echo("x")
			for range c.times {
				g.failed(c.failed, "?")
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := g.check(r, fine); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
