package image_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// TestPlaces lets one owner take only its share of the places.
func TestPlaces(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	began, goOn := make(chan string, 8), make(chan struct{})
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if repo, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/"); ok && r.Method == http.MethodGet {
				began <- repo
				<-goOn
			}
			h.ServeHTTP(w, r)
		})
	})
	push(t, host+"/slow:1", img)
	push(t, host+"/other:1", img)
	f := open(t)
	var wg sync.WaitGroup
	pull := func(owner string) {
		wg.Go(func() {
			if _, err := f.Pull(t.Context(), image.Request{Ref: host + "/" + owner + ":1", Architecture: "amd64", Owner: owner}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 5 {
		pull("slow")
	}
	for range 2 {
		if repo := <-began; repo != "slow" {
			t.Errorf("%s began", repo)
		}
	}
	pull("other")
	if repo := <-began; repo != "other" {
		t.Errorf("%s has a third place", repo)
	}
	close(goOn)
	wg.Wait()
}

// TestTogether pulls one image many times at once: each blob is fetched once.
func TestTogether(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")), layer(t, imagetest.File("b", "b")))
	var layers sync.Map
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, d, ok := strings.Cut(r.URL.Path, "/blobs/"); ok && r.Method == http.MethodGet {
				n, _ := layers.LoadOrStore(d, new(atomic.Int32))
				n.(*atomic.Int32).Add(1)
			}
			h.ServeHTTP(w, r)
		})
	})
	push(t, host+"/x:1", img)
	f := open(t)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if _, err := f.Pull(t.Context(), asked(host+"/x:1")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		d, _ := l.Digest()
		if n, ok := layers.Load(d.String()); !ok || n.(*atomic.Int32).Load() != 1 {
			t.Errorf("the layer %s was not fetched exactly once", d)
		}
	}
	f.clean(t, 1, 2)
}

// TestCancelled ends a pull when its caller has gone, one that waits for its turn too.
func TestCancelled(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	began := make(chan struct{}, 8)
	host := newRegistry(t, blobs(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
	}))
	push(t, host+"/x:1", img)
	f := open(t, func(o *image.Options) { o.Limits.PullsPerOwner, o.Limits.Pulls = 1, 1 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make(chan error, 2)
	go func() { _, err := f.Pull(ctx, asked(host+"/x:1")); errs <- err }()
	<-began
	waiting, stop := context.WithCancel(t.Context())
	go func() { _, err := f.Pull(waiting, asked(host+"/x:1")); errs <- err }()
	stop()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that waits: %v", err)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that was under way: %v", err)
	}
	f.clean(t, 0, 0)
}

// TestTooSlow gives up a registry that sends something all the time and never ends.
func TestTooSlow(t *testing.T) {
	img := build(t, layer(t, imagetest.File("a", "a")))
	host := newRegistry(t, blobs(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write([]byte("\x1f"))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}))
	push(t, host+"/x:1", img)
	f := open(t, func(o *image.Options) { o.Limits.Total = 500 * time.Millisecond })
	if _, err := f.Pull(t.Context(), asked(host+"/x:1")); !errors.Is(err, image.ErrUnreachable) || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v, want that it takes too long", err)
	}
	f.clean(t, 0, 0)
}
