package lambda

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/worker"
)

// reserve limits f to n invocations at once.
func (w *fed) reserve(n int) {
	w.t.Helper()
	in := &api.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: &n}
	if _, err := w.PutFunctionConcurrency(w.ctx, in); err != nil {
		w.t.Fatal(err)
	}
}

// TestMappingThrottled: what is throttled is tried again while it is hidden, and nothing more is received meanwhile. So each
// message is received once, by however few places the function has and however many messages there are, and the places are used.
func TestMappingThrottled(t *testing.T) {
	for _, c := range []struct {
		name     string
		reserved int
		lease    time.Duration // the function's timeout is ten seconds of it
		change   func(*api.CreateEventSourceMappingInput)
	}{
		{"one place", 1, 18 * time.Second, func(*api.CreateEventSourceMappingInput) {}},
		{"eight places", 8, 18 * time.Second, func(*api.CreateEventSourceMappingInput) {}},
		{"pollers that never end", 1, time.Minute, func(in *api.CreateEventSourceMappingInput) {
			in.ProvisionedPollerConfig = &api.ProvisionedPollerConfig{MinimumPollers: new(2)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFedBubble(t, nil, func(t *testing.T, w *fed) {
				w.queue.lease = c.lease
				w.reserve(c.reserved)
				w.mapped(func(in *api.CreateEventSourceMappingInput) {
					in.BatchSize = new(1)
					c.change(in)
				})
				w.queue.put(ids(0, 200)...)
				time.Sleep(time.Duration(200/c.reserved)*time.Second*3/2 + 10*time.Second)
				if got := w.queue.done(); !slices.Equal(got, ids(0, 200)) || w.most != c.reserved {
					t.Errorf("%d are done, %d ran at once", len(got), w.most)
				}
				if got := w.queue.receives(); got[1] != 200 {
					t.Errorf("the messages by how often they were received: %v", got)
				}
			})
		})
	}
}

// TestMappingThrottledByHost: batches that the host has no room for are tried again too, with pauses.
func TestMappingThrottledByHost(t *testing.T) {
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		var tries atomic.Int64
		room := time.Now().Add(20 * time.Second)
		w.pool.run = func(_ *worker.Function, r *worker.Request) (*worker.Response, error) {
			if tries.Add(1); time.Now().Before(room) {
				return nil, worker.ErrFull
			}
			return w.handle(r.Payload, nil)
		}
		w.mapped(func(in *api.CreateEventSourceMappingInput) { in.BatchSize = new(1) })
		time.Sleep(time.Until(room) - 10*time.Second)
		w.queue.put(ids(0, 20)...)
		time.Sleep(time.Minute)
		if got := w.queue.receives(); len(w.queue.done()) != 20 || got[1] != 20 {
			t.Errorf("%d are done, by how often they were received: %v", len(w.queue.done()), got)
		}
		if n := tries.Load(); n > 20+5*30 { // five pollers, for ten seconds
			t.Errorf("%d tries", n)
		}
	})
}

// TestMappingThrottledTooLong: a batch is left to come again when the function could not end before it does.
func TestMappingThrottledTooLong(t *testing.T) {
	for _, lease := range []time.Duration{30 * time.Second, 10 * time.Second} { // the function's timeout is ten seconds
		inFedBubble(t, nil, func(t *testing.T, w *fed) {
			w.queue.lease = lease
			w.reserve(0)
			w.mapped()
			time.Sleep(2 * time.Second)
			w.queue.put("a")
			time.Sleep(lease - 10*time.Second)
			synctest.Wait()
			w.reserve(1)
			time.Sleep(10*time.Second - time.Millisecond)
			if got := w.seen(); len(got) != 0 {
				t.Errorf("a lease of %v: the function got %v when it had too little time left for it", lease, got)
			}
			time.Sleep(time.Minute)
			if got := w.queue.receives(); len(w.queue.done()) != 1 || got[2] != 1 {
				t.Errorf("a lease of %v: %v are done, by how often they were received: %v", lease, w.queue.done(), got)
			}
		})
	}
	// With a window the time is as long as what that takes leaves of the longer lease that it needs.
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.queue.lease = 10 * time.Second
		w.reserve(0)
		w.mapped(func(in *api.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = new(5) })
		time.Sleep(2 * time.Second)
		w.queue.put("a")
		time.Sleep(30 * time.Second)
		w.reserve(1)
		time.Sleep(3 * time.Second)
		if got := w.queue.receives(); len(w.queue.done()) != 1 || got[1] != 1 {
			t.Errorf("after a window, %v are done, by how often they were received: %v", w.queue.done(), got)
		}
	})
	inFedBubble(t, nil, func(t *testing.T, w *fed) {
		w.reserve(0)
		w.mapped()
		time.Sleep(2 * time.Second)
		w.queue.put("a")
		time.Sleep(18 * time.Second)
		w.reserve(1)
		time.Sleep(3 * time.Second)
		if got := w.queue.receives(); len(w.queue.done()) != 1 || got[1] != 1 {
			t.Errorf("with time left, %v are done, by how often they were received: %v", w.queue.done(), got)
		}
	})
}

// TestMappingThrottledEnds: a batch that waits for a place does not hold up the end of its mapping, or the server's.
func TestMappingThrottledEnds(t *testing.T) {
	for name, end := range map[string]func(w *fed, id string){
		"disabled": func(w *fed, id string) {
			in := &api.UpdateEventSourceMappingInput{UUID: &id, Enabled: new(false)}
			if _, err := w.UpdateEventSourceMapping(w.ctx, in); err != nil {
				w.t.Fatal(err)
			}
			w.until(id, mappingDisabled)
		},
		"deleted": func(w *fed, id string) {
			if _, err := w.DeleteEventSourceMapping(w.ctx, &api.DeleteEventSourceMappingInput{UUID: &id}); err != nil {
				w.t.Fatal(err)
			}
			w.until(id, "")
		},
		"stopping": func(w *fed, _ string) { w.end() },
	} {
		t.Run(name, func(t *testing.T) {
			inFedBubble(t, nil, func(t *testing.T, w *fed) {
				w.queue.lease = time.Hour
				w.reserve(0)
				id := w.mapped(func(in *api.CreateEventSourceMappingInput) { in.BatchSize = new(1) })
				time.Sleep(2 * time.Second)
				w.queue.put(ids(0, 10)...)
				time.Sleep(time.Minute)
				begun := time.Now()
				end(w, id)
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
				w.reserve(10)
				time.Sleep(time.Minute)
				if got := w.seen(); len(got) != 0 {
					t.Errorf("the function got %v afterwards", got)
				}
			})
		})
	}
}
