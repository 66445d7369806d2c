package lambda

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// TestMappingWindowFailures: what failed comes again when the queue's own visibility timeout is over, or, if a window and the function's
// timeout do not fit into that, half a minute after both; whole batches and parts of them.
func TestMappingWindowFailures(t *testing.T) {
	for _, c := range []struct {
		answer  string
		timeout int
		lease   time.Duration
		window  int
		again   time.Duration // after the receipt
		done    []string      // after the first try
	}{
		{"fail", 5, 5 * time.Second, 1, 36 * time.Second, nil},
		{"fail", 5, 30 * time.Second, 20, 30 * time.Second, nil},
		{"fail", 5, 30 * time.Second, 300, 335 * time.Second, nil},
		{`{"batchItemFailures":[{"itemIdentifier":"m001"}]}`, 5, 5 * time.Second, 1, 36 * time.Second, []string{"m000", "m002"}},
	} {
		inFedBubble(t, func(ids []string) string { return c.answer }, func(t *testing.T, w *fed) {
			w.queue.lease = c.lease
			if _, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: &c.timeout}); err != nil {
				t.Fatal(err)
			}
			w.wait("f")
			w.mapped(func(in *api.CreateEventSourceMappingInput) {
				in.MaximumBatchingWindowInSeconds, in.FunctionResponseTypes = &c.window, []string{"ReportBatchItemFailures"}
			})
			time.Sleep(time.Minute)
			w.queue.put(ids(0, 3)...)
			time.Sleep(c.again - time.Second)
			if got := w.queue.done(); len(w.seen()) != 1 || !slices.Equal(got, c.done) {
				t.Errorf("%v: before its messages are visible again the function got %v, and %v are done", c, w.seen(), got)
			}
			time.Sleep(time.Duration(c.window+2) * time.Second)
			if len(w.seen()) < 2 {
				t.Errorf("%v: the function got %v: what failed did not come again when it was visible", c, w.seen())
			}
		})
	}
}

// TestMappingResult: a mapping says why it does nothing, and that it works again.
func TestMappingResult(t *testing.T) {
	var works atomic.Bool
	inFedBubble(t, func([]string) string {
		if works.Load() {
			return "null"
		}
		return "fail"
	}, func(t *testing.T, w *fed) {
		id := w.mapped()
		result := func() string {
			time.Sleep(5 * time.Minute)
			out, err := w.GetEventSourceMapping(w.ctx, &api.GetEventSourceMappingInput{UUID: &id})
			if err != nil {
				t.Fatal(err)
			}
			return str(out.LastProcessingResult)
		}
		revision := func() (n int64) {
			err := w.deps.Store.View(t.Context(), func(tx store.Tx) error {
				row, err := mappings.Get(tx, store.Scope{Account: "123456789012", Region: "eu-west-1"}, id)
				n = row.Version
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		refuse := func(err error) {
			w.queue.mu.Lock()
			w.queue.broken = err
			w.queue.mu.Unlock()
		}
		if got := result(); got != "" {
			t.Errorf("of a mapping that works: %s", got)
		}
		refuse(api.ErrResourceNotFound.New("The specified queue does not exist."))
		if got := result(); got != "PROBLEM: The specified queue does not exist." {
			t.Errorf("of a queue that is gone: %s", got)
		}
		n := revision()
		if result(); revision() != n {
			t.Error("the same result is stored again")
		}
		refuse(errors.New("secret"))
		if got := result(); got != "PROBLEM: internal Lambda error" {
			t.Errorf("of a failure inside: %s", got)
		}
		refuse(nil)
		if got := result(); got != "No records processed" {
			t.Errorf("of a queue that is back: %s", got)
		}
		w.queue.put("a")
		if got := result(); got != "PROBLEM: Function call failed" {
			t.Errorf("of a function that fails: %s", got)
		}
		works.Store(true)
		if got := result(); got != "OK" {
			t.Errorf("of a function that works again: %s", got)
		}
		w.end()
		w.start()
		if got := result(); got != "OK" {
			t.Errorf("after a restart: %s", got)
		}
	})
	long := problem(&aws.Error{Type: api.ErrResourceNotFound, Message: strings.Repeat("ü", maxResult)})
	if len(long) > maxResult+len(resultProblem) || strings.ContainsRune(long, '\ufffd') {
		t.Errorf("a long problem has %d bytes", len(long))
	}
	for _, err := range []error{api.ErrTooManyRequests.New("Rate Exceeded."), context.Canceled} {
		if problem(err) != "" {
			t.Errorf("%v says nothing about the mapping", err)
		}
	}
}
