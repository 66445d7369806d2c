package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// asyncWorld is a world with a relay, a function f whose answers the test scripts, and destinations that remember.
type asyncWorld struct {
	*world
	mu      sync.Mutex
	runs    []time.Duration // since the start
	ids     []string
	answers []string // of one run each; "!" before is a FunctionError, "#" no sandbox; the last one repeats
	sent    []*event.Delivery
	begun   time.Time
	end     func()
	handler event.Handler // of destinations
}

func newAsyncWorld(t *testing.T, answers ...string) *asyncWorld {
	w := &asyncWorld{world: newWorld(t), answers: answers, begun: time.Now()}
	w.create("f", func(in *api.CreateFunctionInput) {
		in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new("arn:aws:sqs:eu-west-1:123456789012:dead")}
	})
	w.pool.run, w.handler = w.answer, w
	w.startRelay()
	return w
}

func (w *asyncWorld) startRelay() {
	relay := event.NewRelay(event.Deps{
		Store: w.store, Outbox: w.outbox, Log: slog.New(slog.DiscardHandler),
		Handlers: map[string]event.Handler{AsyncKind: w.Async(), DestinationKind: w.handler},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx, ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *asyncWorld) answer(_ *worker.Function, r *worker.Request) (*worker.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, time.Since(w.begun).Round(time.Second))
	w.ids = append(w.ids, r.RequestID)
	a := w.answers[0]
	if len(w.answers) > 1 {
		w.answers = w.answers[1:]
	}
	if a == "#" {
		return nil, worker.ErrFull
	}
	if fail, ok := strings.CutPrefix(a, "!"); ok {
		return &worker.Response{Payload: []byte(fail), FunctionError: "Unhandled", ErrorType: "Boom"}, nil
	}
	return &worker.Response{Payload: []byte(a)}, nil
}

// Deliver, Settle and Places make it the handler of destinations.
func (w *asyncWorld) Deliver(_ context.Context, d *event.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, d)
	return nil
}

func (w *asyncWorld) Settle(store.Tx, *event.Delivery, event.Outcome) ([]*event.Delivery, error) {
	return nil, nil
}
func (w *asyncWorld) Places(string) int { return 10 }

// seen is how many runs and how many letters there were.
func (w *asyncWorld) seen() (runs, letters int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.runs), len(w.sent)
}

func (w *asyncWorld) until(what string, is func() bool) {
	w.t.Helper()
	for range 200_000 {
		if is() {
			return
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("never: %s", what)
}

func (w *asyncWorld) invoke(payload string) {
	w.t.Helper()
	out, err := w.Invoke(w.ctx, &api.InvokeInput{
		FunctionName: new("f"), InvocationType: new(api.InvocationTypeEvent), Payload: []byte(payload),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if *out.StatusCode != 202 || out.ExecutedVersion != nil || len(out.Payload) != 0 {
		w.t.Errorf("the answer is %+v", out)
	}
}

// configure sets destinations and, if given, retries and age.
func (w *asyncWorld) configure(retries, age *int) {
	w.t.Helper()
	_, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
		FunctionName: new("f"), MaximumRetryAttempts: retries, MaximumEventAgeInSeconds: age,
		DestinationConfig: &api.DestinationConfig{
			OnSuccess: &api.OnSuccess{Destination: new("arn:aws:sqs:eu-west-1:123456789012:good")},
			OnFailure: &api.OnFailure{Destination: new("arn:aws:sns:eu-west-1:123456789012:bad")},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// inBubble runs a test whose clock is its own.
func inBubble(t *testing.T, answers []string, test func(t *testing.T, w *asyncWorld)) {
	synctest.Test(t, func(t *testing.T) {
		w := newAsyncWorld(t, answers...)
		defer func() { w.end(); w.world.close() }()
		test(t, w)
	})
}

// letter is what a destination got, as JSON with what differs every time left out.
func letter(t *testing.T, d *event.Delivery) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(d.Payload, &m); err != nil {
		t.Fatalf("%s: %v", d.Payload, err)
	}
	delete(m, "timestamp")
	if c, ok := m["requestContext"].(map[string]any); ok {
		if _, ok := c["requestId"].(string); !ok {
			t.Errorf("the request id is %v", c["requestId"])
		}
		delete(c, "requestId")
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAsyncSucceeds(t *testing.T) {
	inBubble(t, []string{`{"a":1}`}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		w.invoke(`{"x":true}`)
		w.until("the destination is told", func() bool { _, n := w.seen(); return n == 1 })
		d := w.sent[0]
		want := `{"requestContext":{"approximateInvokeCount":1,"condition":"Success","functionArn":"` + fnArn + `f:$LATEST"},` +
			`"requestPayload":{"x":true},"responseContext":{"executedVersion":"$LATEST","statusCode":200},"responsePayload":{"a":1},"version":"1.0"}`
		if loops(d.Trace) != 1 {
			t.Errorf("the destination gets the trace %q, which should have the run in it", d.Trace)
		}
		if got := letter(t, d); got != want || d.Target != "arn:aws:sqs:eu-west-1:123456789012:good" || d.Role != role || d.Source != fnArn+"f" {
			t.Errorf("got %s to %s as %s, from %s", got, d.Target, d.Role, d.Source)
		}
	})
}

func TestAsyncFails(t *testing.T) {
	fail := `!{"errorMessage":"` + strings.Repeat("é", 600) + `","errorType":"E"}`
	inBubble(t, []string{fail}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		w.invoke(`[1]`)
		w.until("both are told", func() bool { _, n := w.seen(); return n == 2 })
		if want := []time.Duration{0, time.Minute, 3 * time.Minute}; !slices.Equal(w.runs, want) {
			t.Errorf("it ran at %v, want %v", w.runs, want)
		}
		if w.ids[0] != w.ids[1] || w.ids[1] != w.ids[2] {
			t.Errorf("the tries have the request ids %q", w.ids)
		}
		slices.SortFunc(w.sent, func(a, b *event.Delivery) int { return strings.Compare(a.Target, b.Target) })
		if got := letter(t, w.sent[0]); !strings.Contains(got, `"approximateInvokeCount":3,"condition":"RetriesExhausted"`) ||
			!strings.Contains(got, `"functionError":"Unhandled"`) || !strings.HasSuffix(w.sent[0].Target, ":bad") {
			t.Errorf("the failure destination got %s", got)
		}
		dead := w.sent[1]
		if h := dead.Headers; !bytes.Equal(dead.Payload, []byte("[1]")) || h["ErrorCode"] != "200" || h["ErrorMessage"] != strings.Repeat("é", 512) {
			t.Errorf("the dead letter is %s %v", dead.Payload, h)
		}
	})
}

func TestAsyncSettings(t *testing.T) {
	inBubble(t, []string{"!{}"}, func(t *testing.T, w *asyncWorld) {
		w.configure(new(0), nil)
		w.invoke(`{}`)
		w.until("it failed once", func() bool { _, n := w.seen(); return n == 2 })
		if runs, _ := w.seen(); runs != 1 {
			t.Errorf("with no retries it ran %d times", runs)
		}
	})
}

// What is throttled is tried again soon, until it is too old, and the tries of the function itself are not spent by that.
func TestAsyncThrottled(t *testing.T) {
	inBubble(t, []string{"#", "#", "#", "!{}", "#", `"ok"`}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		w.invoke(`{}`)
		w.until("it succeeds", func() bool { _, n := w.seen(); return n == 1 })
		if n := len(w.runs); n != 6 || w.runs[3] != 0 || (w.runs[5]-time.Minute).Abs() > 2*time.Second {
			t.Errorf("it ran at %v, want four times at once and twice a minute later", w.runs)
		}
	})
	inBubble(t, []string{"#"}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, new(600))
		w.invoke(`{}`)
		w.until("it is given up", func() bool { _, n := w.seen(); return n == 2 })
		if age := time.Since(w.begun); age < 10*time.Minute || age > 11*time.Minute {
			t.Errorf("it was given up after %v", age)
		}
		i := slices.IndexFunc(w.sent, func(d *event.Delivery) bool { return strings.HasSuffix(d.Target, ":bad") })
		if got := letter(t, w.sent[i]); !strings.Contains(got, `"approximateInvokeCount":0,"condition":"EventAgeExceeded"`) ||
			strings.Contains(got, "response") {
			t.Errorf("got %s", got)
		}
		if h := w.sent[1-i].Headers; h["ErrorCode"] != "429" || h["ErrorMessage"] == "" {
			t.Errorf("the dead letter has %v", h)
		}
	})
}

func TestAsyncZeroReserved(t *testing.T) {
	inBubble(t, []string{"{}"}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		if _, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{
			FunctionName: new("f"), ReservedConcurrentExecutions: new(0),
		}); err != nil {
			t.Fatal(err)
		}
		w.invoke(`{}`)
		w.until("it is told", func() bool { _, n := w.seen(); return n == 2 })
		i := slices.IndexFunc(w.sent, func(d *event.Delivery) bool { return strings.HasSuffix(d.Target, ":bad") })
		if got := letter(t, w.sent[i]); !strings.Contains(got, `"approximateInvokeCount":0,"condition":"ZeroReservedConcurrency"`) {
			t.Errorf("got %s", got)
		}
		if time.Since(w.begun) > 30*time.Second {
			t.Errorf("it took %v", time.Since(w.begun))
		}
	})
}

// An event outlives the process that accepted it.
func TestAsyncSurvivesRestart(t *testing.T) {
	inBubble(t, []string{"!{}", `"ok"`}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		w.invoke(`{}`)
		w.until("it failed once", func() bool { n, _ := w.seen(); return n == 1 })
		w.end()
		w.restart()
		w.startRelay()
		w.until("it succeeds in another process", func() bool { _, n := w.seen(); return n == 1 })
	})
}

func TestAsyncRefusals(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	for _, c := range []struct{ payload, want string }{
		{`"` + strings.Repeat("x", maxAsyncPayload) + `"`, "413 RequestTooLargeException: " + fmt.Sprint(maxAsyncPayload+2) +
			" byte payload is too large for the Event invocation type (limit 1048576 bytes)"},
		{`{`, "400 InvalidRequestContentException"},
	} {
		_, err := w.Invoke(w.ctx, &api.InvokeInput{
			FunctionName: new("f"), InvocationType: new(api.InvocationTypeEvent), Payload: []byte(c.payload),
		})
		if !strings.HasPrefix(coded(err), c.want) {
			t.Errorf("got %v, want %s", coded(err), c.want)
		}
	}
}
