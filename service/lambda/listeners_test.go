package lambda

import (
	"errors"
	"log/slog"
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

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// lines are those with a text in them.
func (l *logged) lines(with string) (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, with) {
			all = append(all, line)
		}
	}
	return all
}

// aliased makes an alias of the function's first version, with a destination of its own if it has a name.
func (w *asyncWorld) aliased(alias, onFailure string) {
	w.t.Helper()
	v := w.publish("f", "first")
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: &alias, FunctionVersion: &v}))(w.t)
	if onFailure == "" {
		return
	}
	must(w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
		FunctionName: new("f"), Qualifier: &alias, DestinationConfig: &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: &onFailure}},
	}))(w.t)
}

// send invokes f with a qualifier, "" for none.
func (w *asyncWorld) send(qualifier, id string) {
	w.t.Helper()
	ctx := callIn(account, region)
	call(ctx).RequestID = id
	must(w.Invoke(ctx, &api.InvokeInput{
		FunctionName: new("f"), Qualifier: given(qualifier), InvocationType: new(api.InvocationTypeEvent), Payload: []byte(`{"x":1}`),
	}))(w.t)
}

func (w *asyncWorld) deleteAlias(name string) {
	w.t.Helper()
	must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: &name}))(w.t)
}

func (w *asyncWorld) deleteFunction(qualifier string) {
	w.t.Helper()
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: given(qualifier)}))(w.t)
}

const badQueue = "arn:aws:sqs:eu-west-1:123456789012:bad"

// Whoever was to be told of an event's failure when it was accepted is told that what it was for was deleted while it waited: for room,
// or for its next try.
func TestAsyncOutlivesItsFunction(t *testing.T) {
	for name, c := range map[string]struct {
		qualifier string
		answer    string
		remove    func(w *asyncWorld)
		runs      int
	}{
		"an alias, waiting for room":      {"al", "#", func(w *asyncWorld) { w.deleteAlias("al") }, 0},
		"an alias, waiting for a retry":   {"al", "!{}", func(w *asyncWorld) { w.deleteAlias("al") }, 1},
		"an alias and its version":        {"al", "#", func(w *asyncWorld) { w.deleteAlias("al"); w.deleteFunction("1") }, 0},
		"a version":                       {"1", "!{}", func(w *asyncWorld) { w.deleteAlias("al"); w.deleteFunction("1") }, 1},
		"a function, by its alias":        {"al", "#", func(w *asyncWorld) { w.deleteFunction("") }, 0},
		"a function, waiting for a retry": {"", "!{}", func(w *asyncWorld) { w.deleteFunction("") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, []string{c.answer}, func(t *testing.T, w *asyncWorld) {
				w.aliased("al", badQueue)
				for _, q := range []*string{new("1"), nil} {
					must(w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
						FunctionName: new("f"), Qualifier: q, DestinationConfig: &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: new(badQueue)}},
					}))(t)
				}
				w.send(c.qualifier, "id-1")
				w.send(c.qualifier, "id-2")
				time.Sleep(10 * time.Second)
				c.remove(w)
				time.Sleep(10 * time.Minute)
				arn := fnArn + "f:" + orLatest(c.qualifier)
				bad, dead := w.to("bad"), w.to("dead")
				if len(bad) != 2 || len(dead) != 2 {
					t.Fatalf("of two events there are %d records and %d dead letters", len(bad), len(dead))
				}
				for i := range bad {
					got, h := letter(t, bad[i]), dead[i].Headers
					if !strings.Contains(string(bad[i].Payload), `"requestId":"id-`) {
						t.Errorf("the record is of no request: %s", bad[i].Payload)
					}
					if !strings.Contains(got, `"condition":"ResourceNotFound","functionArn":"`+arn+`"},"requestPayload":{"x":1}`) {
						t.Errorf("the record is %s", got)
					}
					if strings.Contains(got, `"responseContext":{"executedVersion":"`) != (c.runs > 0) {
						t.Errorf("after %d runs the record is %s", c.runs, got)
					}
					if h["ErrorCode"] != "404" || h["ErrorMessage"] != "Function not found: "+arn+". It was deleted while the event waited." ||
						h["RequestID"] == "" || string(dead[i].Payload) != `{"x":1}` {
						t.Errorf("the dead letter is %s %v", dead[i].Payload, h)
					}
					if bad[i].Role != role || dead[i].Role != role || dead[i].Source != fnArn+"f" {
						t.Errorf("sent as %q and %q for %s", bad[i].Role, dead[i].Role, dead[i].Source)
					}
				}
				if dead[0].Headers["RequestID"] == dead[1].Headers["RequestID"] {
					t.Error("one event is told twice")
				}
				if runs := len(w.runs); c.answer != "#" && runs != 2*c.runs {
					t.Errorf("%d runs", runs)
				}
			})
		})
	}
}

func orLatest(qualifier string) string { return ref{qualifier: qualifier}.orLatest() }

// A function that is deleted while its last try is under way: what comes of that is told like any other.
func TestAsyncDeletedWhileItRuns(t *testing.T) {
	for answer, told := range map[string]string{`"ok"`: "good", "!{}": "bad"} {
		inBubble(t, []string{answer}, func(t *testing.T, w *asyncWorld) {
			w.configure(new(0), nil)
			run := w.pool.run
			w.pool.run = func(f *worker.Function, r *worker.Request) (*worker.Response, error) {
				w.deleteFunction("")
				return run(f, r)
			}
			w.invoke(`{}`)
			time.Sleep(time.Minute)
			if got := w.to(told); len(got) != 1 || strings.Contains(letter(t, got[0]), "NotFound") || !strings.Contains(letter(t, got[0]), `"approximateInvokeCount":1`) {
				t.Errorf("%s: told %d", answer, len(got))
			}
		})
	}
}

// An event that nobody is told of is dropped with a line in the log, if its function was deleted or it never ran; what ran and failed
// has said so itself.
func TestAsyncDropped(t *testing.T) {
	drop := func(t *testing.T, answer string, test func(w *asyncWorld, log *logged)) {
		synctest.Test(t, func(t *testing.T) {
			w, log := &asyncWorld{world: newWorld(t), answers: []string{answer}, begun: time.Now()}, &logged{}
			w.deps.Log = slog.New(slog.NewTextHandler(log, nil))
			w.create("f")
			w.pool.run, w.handler = w.answer, w
			w.startRelay()
			defer func() { w.end(); w.world.close() }()
			w.aliased("al", "")
			test(w, log)
		})
	}
	const dropped = "an event is dropped"
	drop(t, "#", func(w *asyncWorld, log *logged) {
		w.send("al", "id-1")
		w.send("", "id-2")
		time.Sleep(10 * time.Second)
		w.deleteAlias("al")
		time.Sleep(time.Minute)
		if got := log.lines(dropped); len(got) != 1 || !strings.Contains(got[0], "requestId=id-1 ") || !strings.Contains(got[0], "function="+fnArn+"f:al ") {
			t.Errorf("the log has %q", got)
		}
		time.Sleep(asyncAge)
		if got := log.lines(dropped); len(got) != 2 || !strings.Contains(got[1], "requestId=id-2 ") || !strings.Contains(got[1], "cause=EventAgeExceeded") {
			t.Errorf("after it has become too old, the log has %q", got)
		}
	})
	drop(t, "!{}", func(w *asyncWorld, log *logged) {
		w.send("", "id-1")
		time.Sleep(time.Hour)
		if got := log.lines(dropped); len(w.runs) != 3 || len(got) != 0 {
			t.Errorf("after %d runs the log has %q", len(w.runs), got)
		}
	})
}

// What was deleted between being resolved and the event being stored is not there to be invoked: who was told of its failures is not
// known any more.
func TestAsyncDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	v := w.publish("f", "first")
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("al"), FunctionVersion: &v}))(t)
	in := &api.InvokeInput{FunctionName: new("f"), Qualifier: new("al"), InvocationType: new(api.InvocationTypeEvent)}
	found := must(w.resolve(w.ctx, in.FunctionName, in.Qualifier))(t)
	must(w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("al"), Description: new("changed")}))(t)
	if _, err := w.accept(w.ctx, found, in); err != nil {
		t.Errorf("of an alias that was changed: %v", err)
	}
	must(w.DeleteAlias(w.ctx, &api.DeleteAliasInput{FunctionName: new("f"), Name: new("al")}))(t)
	if _, err := w.accept(w.ctx, found, in); !errors.Is(err, api.ErrResourceNotFound) {
		t.Errorf("of an alias that was deleted: %v", err)
	}
}

// An event of an earlier server does not say who is told. If what it was for is gone, those of the function are.
func TestListenersOfEarlierEvents(t *testing.T) {
	inBubble(t, []string{`{}`}, func(t *testing.T, w *asyncWorld) {
		w.configure(nil, nil)
		d := &event.Delivery{
			ID: "old", Kind: AsyncKind, Target: fnArn + "f:al", Scope: store.Scope{Account: account, Region: region}, Payload: []byte(`{}`),
			Headers: map[string]string{headFunction: "f", headQualifier: "al", headRequestID: "id-1"}, Trace: newTraceID(time.Now()),
		}
		if err := w.store.Update(t.Context(), func(tx store.Tx) error { return w.outbox.Emit(tx, d) }); err != nil {
			t.Fatal(err)
		}
		w.outbox.Wake(d)
		time.Sleep(time.Minute)
		if bad, dead := w.to("bad"), w.to("dead"); len(bad) != 1 || len(dead) != 1 || dead[0].Role != role {
			t.Errorf("%d records and %d dead letters", len(bad), len(dead))
		}
	})
}
