package image_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

const password = "correct-horse-battery"

// onlyRegistry allows one address of loopback, and nothing else that is not public.
func onlyRegistry(o *image.Options) {
	o.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// inside is a server that a registry must not lead to: it is no address that is allowed.
func inside(t *testing.T) (url string, asked *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this needs a second address of loopback: %v", err)
	}
	asked = new(atomic.Int32)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"token":"x"}`)
	})}}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// blobs answers requests for blobs, and leaves others to the registry.
func blobs(answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				answer(w, r)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// TestRegistryInside never lets a registry lead to what is not public.
func TestRegistryInside(t *testing.T) {
	secret, asked2 := inside(t)
	img := build(t, layer(t, imagetest.File("a", "a")))
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secret+"/latest/meta-data", http.StatusTemporaryRedirect)
	}
	challenge := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+secret+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	for _, c := range []struct {
		name   string
		around func(http.Handler) http.Handler
		change func(*image.Options)
		want   error
	}{
		{"a redirect of blobs", blobs(redirect), onlyRegistry, image.ErrNotAllowed},
		{"the same, without TLS being refused", blobs(redirect), func(o *image.Options) {
			onlyRegistry(o)
			o.PlainHost = func(string) bool { return true }
		}, image.ErrNotAllowed},
		{"a redirect in circles", blobs(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }), onlyRegistry, image.ErrUnreachable},
		{"a realm of tokens", nil, onlyRegistry, nil}, // its handler is below
		{"the registry itself", nil, func(o *image.Options) { o.Allow = nil }, image.ErrNotAllowed},
		{"this server", nil, func(o *image.Options) {
			onlyRegistry(o)
			o.Own = func(a netip.AddrPort) bool { return a.Addr() == netip.MustParseAddr("127.0.0.1") && a.Port() != 0 }
		}, image.ErrNotAllowed},
		{"a registry that nobody allows", nil, func(o *image.Options) { o.AllowHost = nil }, image.ErrNotAllowed},
		{"a registry without TLS", nil, func(o *image.Options) { o.PlainHost = nil }, image.ErrNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var closed atomic.Bool
			host := newRegistry(t, func(h http.Handler) http.Handler {
				if c.around != nil {
					h = c.around(h)
				}
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if closed.Load() {
						challenge(w, r)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			push(t, host+"/x:1", img)
			if c.want == nil {
				closed.Store(true)
			}
			f := open(t, c.change)
			r := asked(host + "/x:1")
			r.Auth = &image.Auth{Username: "me", Password: password}
			_, err := f.Pull(t.Context(), r)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if n := asked2.Load(); n != 0 {
				t.Errorf("what lies inside was asked %d times", n)
			}
			if strings.Contains(fmt.Sprint(err), password) || strings.Contains(fmt.Sprint(err), "meta-data") {
				t.Errorf("the error says too much: %v", err)
			}
			f.clean(t, 0, 0)
		})
	}
}

// TestRegistryAnswers tells what went wrong at a registry.
func TestRegistryAnswers(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	always := func(status int) func(http.Handler) http.Handler {
		return blobs(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, "hostile words")
		})
	}
	for _, c := range []struct {
		name, ref string
		around    func(http.Handler) http.Handler
		want      error
		stalls    bool
	}{
		{"no such tag", "x:2", nil, image.ErrNotFound, false},
		{"no such digest", "x@sha256:" + strings.Repeat("0", 64), nil, image.ErrNotFound, false},
		{"no such repository", "y:1", nil, image.ErrNotFound, false},
		{"no reference", "X Y:1", nil, image.ErrInvalid, false},
		{"a blob that is gone", "x:1", always(404), image.ErrNotFound, false},
		{"a blob that is refused", "x:1", always(403), image.ErrDenied, false},
		{"a registry that is broken", "x:1", always(500), image.ErrUnreachable, false},
		{"a registry that is busy", "x:1", always(429), image.ErrUnreachable, false},
		{"an answer that makes no sense", "x:1", always(418), image.ErrInvalid, false},
		{"another blob", "x:1", blobs(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") }), image.ErrInvalid, false},
		{"a blob without end", "x:1", blobs(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}), image.ErrInvalid, false},
		{"a blob that stops", "x:1", blobs(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), image.ErrUnreachable, true},
		{"no answer", "x:1", blobs(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), image.ErrUnreachable, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newRegistry(t, c.around)
			push(t, host+"/x:1", img)
			f := open(t, func(o *image.Options) {
				if c.stalls {
					o.Limits.Stall = 300 * time.Millisecond
				}
			})
			_, err := f.Pull(t.Context(), asked(host+"/"+c.ref))
			if !errors.Is(err, c.want) || strings.Contains(fmt.Sprint(err), "hostile words") {
				t.Errorf("%v, want %v", err, c.want)
			}
			f.clean(t, 0, 0)
		})
	}
}

// TestRegistryStalls tells waiting in vain from answers that make no sense, wherever a registry stops.
func TestRegistryStalls(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	stall := func(path, begin string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Push") != "" || !strings.Contains(r.URL.Path, path) {
					h.ServeHTTP(w, r)
					return
				}
				if begin != "" {
					io.WriteString(w, begin)
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
		}
	}
	const silent, cut = "it did not answer within 300ms", "it stopped in the middle of an answer, and sent nothing for 300ms"
	for _, c := range []struct {
		name, want string
		around     func(http.Handler) http.Handler
		tls        bool
	}{
		{"a handshake", silent, stall("/v2/", ""), true},
		{"the welcome", silent, stall("/v2/", ""), false},
		{"a manifest", silent, stall("/manifests/", ""), false},
		{"the middle of a manifest", cut, stall("/manifests/", "{"), false},
		{"a blob", silent, stall("/blobs/", ""), false},
		{"the middle of a blob", cut, stall("/blobs/", "x"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newRegistry(t, c.around)
			if err := imagetest.Push(t.Context(), host+"/x:1", img, nil, pushing{}); err != nil {
				t.Fatal(err)
			}
			if c.tls {
				host = deaf(t)
			}
			f := open(t, func(o *image.Options) {
				o.Limits.Stall = 300 * time.Millisecond
				if c.tls {
					o.PlainHost = nil
				}
			})
			_, err := f.Pull(t.Context(), asked(host+"/x:1"))
			if !errors.Is(err, image.ErrUnreachable) || !strings.Contains(fmt.Sprint(err), "registry unreachable: "+c.want) {
				t.Errorf("%v, want that %s", err, c.want)
			}
			f.clean(t, 0, 0)
		})
	}
}

// deaf is where connections are taken and nothing is answered.
func deaf(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestRegistryLogin shows credentials to the registry alone, and tells wrong ones.
func TestRegistryLogin(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	protected := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, _ := r.BasicAuth(); r.Method == http.MethodGet && (u != "me" || p != password) && r.Header.Get("User-Agent") != "push" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	host := newRegistry(t, protected)
	if err := imagetest.Push(t.Context(), host+"/x:1", img, &image.Auth{Username: "me", Password: password}, &http.Transport{DisableKeepAlives: true}); err != nil {
		t.Fatal(err)
	}
	f := open(t)
	for _, c := range []struct {
		name string
		auth *image.Auth
		want error
	}{
		{"nobody", nil, image.ErrDenied},
		{"a wrong password", &image.Auth{Username: "me", Password: "wrong-password"}, image.ErrDenied},
		{"the right one", &image.Auth{Username: "me", Password: password}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := f.Pull(t.Context(), image.Request{Ref: host + "/x:1", Architecture: "amd64", Auth: c.auth})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.auth != nil && (strings.Contains(fmt.Sprint(err), c.auth.Password) || strings.Contains(fmt.Sprintf("%v %+v %#v", c.auth, *c.auth, c.auth), c.auth.Password)) {
				t.Errorf("the password is told: %v, %#v", err, c.auth)
			}
		})
	}
}

// TestUnknownCertificate shows a password to nobody who cannot prove to be the registry.
func TestUnknownCertificate(t *testing.T) {
	var answered atomic.Bool
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered.Store(true) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	f := open(t, func(o *image.Options) { o.PlainHost = nil })
	_, err := f.Pull(t.Context(), image.Request{Ref: strings.TrimPrefix(srv.URL, "https://") + "/x:1", Auth: &image.Auth{Username: "me", Password: password}})
	if err == nil || answered.Load() || strings.Contains(err.Error(), password) {
		t.Errorf("%v; the server was asked: %v", err, answered.Load())
	}
}

// TestPasswordInReference does not repeat one.
func TestPasswordInReference(t *testing.T) {
	f := open(t)
	for _, ref := range []string{"https://me:" + password + "@127.0.0.1/x:1", "me:" + password + "@127.0.0.1/x:1"} {
		if _, err := f.Pull(t.Context(), asked(ref)); !errors.Is(err, image.ErrInvalid) || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
		if _, err := f.Resolve(t.Context(), asked(ref)); !errors.Is(err, image.ErrInvalid) || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
	}
}

// TestRegistryRetried goes on after a registry that hung up.
func TestRegistryRetried(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", strings.Repeat("some text ", 1000))))
	var hungUp atomic.Bool
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			layers, _ := img.Layers()
			d, _ := layers[0].Digest()
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+d.String()) && !hungUp.Swap(true) {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, "\x1f\x8b")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	push(t, host+"/x:1", img)
	f := open(t)
	if _, err := f.Pull(t.Context(), asked(host+"/x:1")); err != nil {
		t.Fatal(err)
	}
	if !hungUp.Load() {
		t.Error("the registry has not hung up")
	}
	f.clean(t, 1, 1)
}

// TestEndlessWelcome reads only so much of what nobody asked for.
func TestEndlessWelcome(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	var ended atomic.Bool
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" || r.Header.Get("X-Push") != "" {
				h.ServeHTTP(w, r)
				return
			}
			for range 1 << 10 {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
			ended.Store(true)
		})
	})
	if err := imagetest.Push(t.Context(), host+"/x:1", img, nil, pushing{}); err != nil {
		t.Fatal(err)
	}
	f := open(t)
	if _, err := f.Pull(t.Context(), asked(host+"/x:1")); err != nil {
		t.Error(err)
	}
	if ended.Load() {
		t.Error("a welcome of 64 MB was read to its end")
	}
}

// pushing marks requests of a push.
type pushing struct{}

// RoundTrip implements http.RoundTripper.
func (pushing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Push", "yes")
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
}

// through is a registry in this process.
type through struct {
	t       *testing.T
	handler http.Handler
}

type callKey struct{}

// RoundTrip implements http.RoundTripper.
func (x through) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(callKey{}) != "the call" {
		x.t.Errorf("%s %s does not come with the call's context", r.Method, r.URL)
	}
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	x.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// TestRegistryInProcess asks a registry of this process without a network, and goes nowhere else for it.
func TestRegistryInProcess(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	var handler http.Handler
	host := newRegistry(t, func(h http.Handler) http.Handler { handler = h; return h })
	push(t, host+"/x:1", img)
	secret, asked2 := inside(t)
	var away atomic.Bool
	const ecr = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
	f := open(t, func(o *image.Options) {
		o.AllowHost = nil
		o.Transport = func(h string) http.RoundTripper {
			if h != ecr {
				return nil
			}
			return through{t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if away.Load() && strings.Contains(r.URL.Path, "/blobs/") {
					http.Redirect(w, r, secret, http.StatusTemporaryRedirect)
					return
				}
				handler.ServeHTTP(w, r)
			})}
		}
	})
	ctx := context.WithValue(t.Context(), callKey{}, "the call")
	got, err := f.Pull(ctx, asked(ecr+"/x:1"))
	if err != nil || got.Digest != digest(t, img) || got.Ref != ecr+"/x@"+got.Digest {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := f.Pull(ctx, asked(host+"/x:1")); !errors.Is(err, image.ErrNotAllowed) {
		t.Errorf("another registry: %v", err)
	}
	away.Store(true)
	if _, err := f.Pull(ctx, image.Request{Ref: ecr + "/x:1", Architecture: "amd64", Owner: "another"}); err == nil || asked2.Load() != 0 {
		t.Errorf("a redirect was followed: %v", err)
	}
}
