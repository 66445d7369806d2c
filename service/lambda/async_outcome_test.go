package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/worker"
)

// to is what was sent to a queue or topic of that name.
func (w *asyncWorld) to(name string) (all []*event.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.sent {
		if strings.HasSuffix(d.Target, ":"+name) {
			all = append(all, d)
		}
	}
	return all
}

// A function whose answer is too large to be sent to its destination runs once.
func TestAsyncLargeAnswers(t *testing.T) {
	inBubble(t, []string{`"` + strings.Repeat("x", 3_000_000) + `"`}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, new(60))
		aws.CallFrom(w.ctx).RequestID = "id-1"
		w.invoke(`{}`)
		time.Sleep(10 * time.Minute)
		runs, _ := w.seen()
		if got := w.to("good"); runs != 1 || len(got) != 1 || len(got[0].Payload) != 0 || len(w.to("bad"))+len(w.to("dead")) != 0 {
			t.Errorf("%d runs, and %d letters of which one should be to say that it is too large", runs, len(w.sent))
		} else if id := got[0].Headers["RequestID"]; id != "id-1" {
			t.Errorf("the letter is of invocation %q", id)
		}
	})
	inBubble(t, []string{`!{"errorType":"E","errorMessage":"` + strings.Repeat("é", 1_500_000) + `"}`}, func(t *testing.T, w *asyncWorld) {
		w.configure(new(0), nil)
		w.invoke(`{"a":1}`)
		time.Sleep(10 * time.Minute)
		runs, _ := w.seen()
		bad, dead := w.to("bad"), w.to("dead")
		if runs != 1 || len(bad) != 1 || len(dead) != 1 {
			t.Fatalf("%d runs, %d records and %d dead letters", runs, len(bad), len(dead))
		}
		if got := letter(t, bad[0]); !strings.Contains(got, `"requestPayload":{"a":1}`) ||
			!strings.Contains(got, `"responsePayload":{"errorMessage":"`+strings.Repeat("é", 512)+`","errorType":"E"}`) {
			t.Errorf("the record is %.2000s", got)
		}
	})
}

func failedOf(payload []byte, answer string) outcome {
	return outcome{
		d: &event.Delivery{Payload: payload, Headers: map[string]string{headRequestID: "0f6a8bd1-3a0b-4f7c-9d6f-0c2d8b1a7e55"}},
		o: event.Outcome{Err: errors.New("it failed"), Cause: event.Exhausted}, arn: fnArn + "f:$LATEST",
		run: &ran{version: "$LATEST", resp: &worker.Response{Payload: []byte(answer), FunctionError: "Unhandled"}},
	}
}

func jsonOf(size int) []byte { return []byte(`"` + strings.Repeat("x", size-2) + `"`) }

func TestLargeRecords(t *testing.T) {
	const queue, topic = "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sns:eu-west-1:123456789012:t"
	fails := func(size int) string {
		return `{"errorMessage":"` + strings.Repeat("m", size) + `","errorType":"E","stackTrace":[]}`
	}
	for name, c := range map[string]struct {
		target, answer     string
		event              int
		hasEvent, hasTrace bool
		message            int
	}{
		"small":                     {queue, fails(2000), 100, true, true, 2000},
		"a large error":             {queue, fails(300_000), 900_002, true, false, 1024},
		"a large error, to a topic": {topic, fails(300_000), 1000, true, false, 1024},
		"a large event":             {queue, fails(10), 1 << 20, false, false, 10},
		"a large event, to a topic": {topic, fails(10), 256 << 10, false, false, 10},
		"no error that is known":    {queue, string(jsonOf(2 << 20)), 100, true, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out := failedOf(jsonOf(c.event), c.answer)
			b := out.record(mostFor(c.target))
			var rec struct {
				RequestContext  struct{ RequestID, Condition string }
				RequestPayload  json.RawMessage
				ResponseContext struct{ FunctionError string }
				ResponsePayload struct {
					ErrorMessage string
					ErrorType    string
					StackTrace   []string
				}
			}
			if err := json.Unmarshal(b, &rec); err != nil {
				t.Fatal(err)
			}
			if len(b) > mostFor(c.target) || rec.RequestContext.Condition != "RetriesExhausted" || rec.RequestContext.RequestID == "" ||
				rec.ResponseContext.FunctionError != "Unhandled" {
				t.Errorf("%d bytes: %.300s", len(b), b)
			}
			said := rec.ResponsePayload
			if (rec.RequestPayload != nil) != c.hasEvent || (said.StackTrace != nil) != c.hasTrace || len(said.ErrorMessage) != c.message {
				t.Errorf("event %v, trace %v, message of %d bytes", rec.RequestPayload != nil, said.StackTrace != nil, len(said.ErrorMessage))
			}
			out.o.Err = nil
			if whole := out.record(mostFor(c.target)); (whole != nil) != c.hasTrace {
				t.Errorf("a success makes a record of %d bytes, want one only if nothing had to be left out", len(whole))
			}
		})
	}
}

func TestLargeDeadLetters(t *testing.T) {
	for name, c := range map[string]struct {
		event   int
		message int
		has     int // attributes
	}{
		"small":                    {100, 1024, 3},
		"less room for a message":  {1<<20 - 200, 200 - 51 - 18 - 18, 3},
		"no room for a message":    {1<<20 - 80, 0, 2},
		"no room for a code":       {1<<20 - 55, 0, 1},
		"no room for an attribute": {1 << 20, 0, 0},
	} {
		body, h := failedOf(jsonOf(c.event), `{"errorMessage":"`+strings.Repeat("m", 300_000)+`"}`).deadLetter(1 << 20)
		size, has := len(body), 0
		for k, v := range h {
			if v != "" {
				size += len(k) + len("String") + len(v)
				has++
			}
		}
		if len(body) != c.event || size > 1<<20 || has != c.has || len(h["ErrorMessage"]) != c.message || len(h) != 3 {
			t.Errorf("%s: %d bytes of event, %d in all, %d attributes, a message of %d", name, len(body), size, has, len(h["ErrorMessage"]))
		}
	}
	if body, h := failedOf(jsonOf(256<<10+1), `{}`).deadLetter(256 << 10); body != nil || len(h) != 3 || h["RequestID"] == "" {
		t.Errorf("an event that does not fit makes %d bytes, %v", len(body), h)
	}
	body, h := failedOf([]byte("\"\uffff\ufffe\""), `{"errorMessage":"a\u0000b\uffff"}`).deadLetter(1 << 20)
	if string(body) != `"\uffff\ufffe"` || h["ErrorMessage"] != "a\ufffdb\ufffd" {
		t.Errorf("what no message may have in it is sent as %s and %q", body, h["ErrorMessage"])
	}
}

// around is the handler of destinations of a world whose functions invoke each other.
type around struct{ *asyncWorld }

func (w around) Deliver(ctx context.Context, d *event.Delivery) error {
	if err := w.asyncWorld.Deliver(ctx, d); err != nil || !strings.Contains(d.Target, ":lambda:") {
		return err
	}
	ctx = callIn(account, region)
	call(ctx).TraceID = d.Trace
	_, err := w.Invoke(ctx, &api.InvokeInput{FunctionName: &d.Target, InvocationType: new(api.InvocationTypeEvent), Payload: d.Payload})
	if err != nil {
		return event.Permanent(err)
	}
	return nil
}

// An event that is stopped in a loop goes to the dead-letter queue and the destination of the function that it is stopped at.
func TestAsyncStopsLoops(t *testing.T) {
	loop := func(t *testing.T, w *asyncWorld, onFailure func(other string) string) {
		w.end()
		w.handler = around{w}
		w.startRelay()
		w.create("g", func(in *api.CreateFunctionInput) {
			in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: new("arn:aws:sqs:eu-west-1:123456789012:dead")}
		})
		for f, other := range map[string]string{"f": "g", "g": "f"} {
			if _, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
				FunctionName: &f, DestinationConfig: &api.DestinationConfig{
					OnSuccess: &api.OnSuccess{Destination: new(fnArn + other)},
					OnFailure: &api.OnFailure{Destination: new(onFailure(other))},
				},
			}); err != nil {
				t.Fatal(err)
			}
		}
		w.invoke(`{}`)
		time.Sleep(time.Hour)
	}
	inBubble(t, []string{`{}`}, func(t *testing.T, w *asyncWorld) {
		loop(t, w, func(string) string { return "arn:aws:sqs:eu-west-1:123456789012:bad" })
		runs, _ := w.seen()
		bad, dead := w.to("bad"), w.to("dead")
		if runs != 2*maxLoops || len(bad) != 1 || len(dead) != 1 {
			t.Fatalf("%d runs, %d records and %d dead letters", runs, len(bad), len(dead))
		}
		if got := letter(t, bad[0]); !strings.Contains(got, `"approximateInvokeCount":0,"condition":"RetriesExhausted","functionArn":"`+fnArn+`f:$LATEST"`) ||
			strings.Contains(got[:200], "response") {
			t.Errorf("the record is %.400s", got)
		}
		if h := dead[0].Headers; h["ErrorCode"] != "400" || !strings.Contains(h["ErrorMessage"], "recursive loop") {
			t.Errorf("the dead letter has %v", h)
		}
	})
	// Functions that are each other's destination for failures do not tell each other for ever.
	inBubble(t, []string{`{}`}, func(t *testing.T, w *asyncWorld) {
		loop(t, w, func(other string) string { return fnArn + other })
		runs, _ := w.seen()
		if dead := w.to("dead"); runs != 2*maxLoops || len(dead) != 2 {
			t.Errorf("%d runs and %d dead letters, want one of each function", runs, len(dead))
		}
	})
}

func TestUndelivered(t *testing.T) {
	m := newMetrics(nil)
	s := &Service{metrics: m}
	d := &event.Delivery{Source: fnArn + "f"}
	d.Scope.Account, d.Scope.Region = account, region
	s.Undelivered(d)
	d.Headers = map[string]string{"RequestID": ""}
	s.Undelivered(d)
	s.Undelivered(d)
	var got []float64
	for _, v := range []*prometheus.CounterVec{m.destinations, m.deadLetters} {
		reg := prometheus.NewRegistry()
		reg.MustRegister(v)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, metric := range f.GetMetric() {
				got = append(got, metric.GetCounter().GetValue())
			}
		}
	}
	if !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("counted %v records and dead letters that were not delivered", got)
	}
}
