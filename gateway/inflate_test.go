package gateway

import (
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestInflationBudget: what compressed bodies become is paid for before they are inflated, so that many clients with small
// requests take no more memory at once than all large bodies may.
func TestInflationBudget(t *testing.T) {
	const clients = 24
	send := func(h *house, body string) *httptest.ResponseRecorder {
		return serve(h, sign(with(newRequest("POST", "/things/t/echo", body), "Content-Encoding", "gzip"), "fake", body))
	}
	largest := gzipped(strings.Repeat("x", maxEcho))
	if len(largest) > smallBody/8 {
		t.Fatalf("the body has %d bytes on the wire: it would be paid for when it is read", len(largest))
	}
	// flood sends from many clients at once, and answers when all that can go on has come to an end.
	flood := func(h *house, body string) (answered *atomic.Int32, codes *sync.Map) {
		answered, codes = &atomic.Int32{}, &sync.Map{}
		for i := range clients {
			go func() {
				w := send(h, body)
				codes.Store(i, w)
				answered.Add(1)
			}()
		}
		synctest.Wait()
		return answered, codes
	}
	all := func(t *testing.T, codes *sync.Map, want int) {
		t.Helper()
		n := 0
		codes.Range(func(_, v any) bool {
			n++
			if w := v.(*httptest.ResponseRecorder); w.Code != want || want == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("answer = %d %.200s, want %d", w.Code, w.Body, want)
			}
			return true
		})
		if n != clients {
			t.Errorf("%d of %d clients were answered", n, clients)
		}
	}

	t.Run("all wait and are served", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			h.unverified.TryAcquire(maxUnverified - maxEcho + 1) // a byte too few for one
			answered, codes := flood(h, largest)
			if n := answered.Load(); n != 0 {
				t.Errorf("%d clients were served without memory for them", n)
			}
			if w := send(h, gzipped("hello")); w.Code != 200 || w.Body.String() != "hello" {
				t.Errorf("who needs little waits too: %d %s", w.Code, w.Body)
			}
			h.unverified.Release(maxUnverified - maxEcho + 1)
			synctest.Wait()
			all(t, codes, 200)
			if !h.unverified.TryAcquire(maxUnverified) {
				t.Error("the budget was not given back")
			}
		})
	})
	t.Run("all wait in vain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			h.unverified.TryAcquire(maxUnverified)
			begun := time.Now()
			answered, codes := flood(h, largest)
			time.Sleep(budgetWait - time.Second)
			synctest.Wait()
			if n := answered.Load(); n != 0 {
				t.Errorf("%d clients were answered after %v", n, time.Since(begun))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			all(t, codes, 503)
			h.unverified.Release(maxUnverified)
			if !h.unverified.TryAcquire(maxUnverified) {
				t.Error("who was refused took something")
			}
		})
	})
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"bombs":    {gzipped(strings.Repeat("x", 2<<20)), 413},
		"not gzip": {strings.Repeat("no", 1<<10), 400},
		"cut off":  {largest[:len(largest)-9], 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				_, codes := flood(h, c.body)
				all(t, codes, c.want)
				if !h.unverified.TryAcquire(maxUnverified) {
					t.Error("the budget was not given back")
				}
			})
		})
	}
}
