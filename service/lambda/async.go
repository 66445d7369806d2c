package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// The defaults and limits of asynchronous invocations.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html.
const (
	maxAsyncPayload = 1 << 20 // bytes
	asyncRetries    = 2
	asyncAge        = 6 * time.Hour
	asyncPlaces     = 500 // of one function; what all have together is the account's concurrency
)

// asyncSteps are the waits before the two retries. What throttles is tried again after one second, then twice as long each
// time, up to five minutes, and does not count.
var asyncSteps = []time.Duration{time.Minute, 2 * time.Minute}

// AsyncKind is the kind of the deliveries that Invoke makes of events; Async handles them.
const AsyncKind = "lambda.async"

// DestinationKind is the kind of those that tell a destination or a dead-letter queue of the outcome: Target's ARN gets Payload,
// from Role, with Headers as String attributes but for ErrorCode, a Number, and empty ones. A dead letter is one that has Headers.
// One without a Payload cannot be delivered, because it is larger than what the target takes.
const DestinationKind = "lambda.destination"

// What an asynchronous delivery carries beside the payload.
const (
	headFunction      = "function"
	headQualifier     = "qualifier"
	headRequestID     = "requestId"
	headClientContext = "clientContext"
)

// errZeroReserved is why a function without any concurrency gets no event.
var errZeroReserved = errors.New("lambda: the function's reserved concurrency is zero")

// accept makes an event durable, to be run later. Also one that is in a loop: it fails when it is to run, so that its dead-letter
// queue and its destination get it; but when they have sent it round once more, it is refused.
func (s *Service) accept(ctx context.Context, t *target, in *api.InvokeInput) (*api.InvokeOutput, error) {
	r, err := readRequest(ctx, t, in.Payload, in.ClientContext)
	if err != nil {
		return nil, err
	}
	call := aws.CallFrom(ctx)
	if stopped(t, call.TraceID) {
		return nil, errLoop
	}
	if !hasRoot(call.TraceID) {
		call.TraceID = newTraceID(time.Now()) // the caller is told; the run counts itself
	}
	if len(r.Payload) > maxAsyncPayload {
		return nil, api.ErrRequestTooLarge.Withf(
			"%d byte payload is too large for the Event invocation type (limit %d bytes)", len(r.Payload), maxAsyncPayload)
	}
	ref, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	d := &event.Delivery{
		Kind: AsyncKind, Target: r.InvokedArn, Scope: ref.scope, Payload: r.Payload, Trace: call.TraceID,
		Headers: map[string]string{
			headFunction: ref.name, headQualifier: ref.qualifier, headRequestID: r.RequestID, headClientContext: r.ClientContext,
		},
	}
	err = s.deps.Store.Update(ctx, func(tx store.Tx) error {
		c, err := getInvokeConfig(tx, ref)
		if err != nil {
			return err
		}
		if c == nil && !s.cache.knows(ref, t) {
			// It was changed since it was resolved. If it was deleted, what it said about failures is gone: nobody would be told.
			if v, err := getQualified(tx, ref); v == nil {
				return cmpErr(err, notFound(qualify(ref.arn(), ref.orLatest())))
			}
		}
		d.Retry = asyncRetry(c)
		newListeners(t.Function.Role, t.deadLetter, c).keep(d)
		return s.deps.Outbox.Begin(tx, d)
	})
	if err != nil {
		return nil, err
	}
	s.deps.Outbox.Wake(d)
	return &api.InvokeOutput{StatusCode: new(202)}, nil
}

func asyncRetry(c *invokeConfig) event.Retry {
	r := event.Retry{Tries: 1 + asyncRetries, Age: asyncAge, Steps: asyncSteps}
	if c != nil && c.Retries != nil {
		r.Tries = 1 + *c.Retries
	}
	if c != nil && c.MaxAge != nil {
		r.Age = time.Duration(*c.MaxAge) * time.Second
	}
	return r
}

// Async runs what Invoke accepted as events.
type Async struct{ service *Service }

var _ event.Handler = Async{}

// Async is the handler of AsyncKind.
func (s *Service) Async() Async { return Async{s} }

// Places implements event.Handler.
func (Async) Places(string) int { return asyncPlaces }

// asyncError is a run that failed in the function.
type asyncError struct{ resp *worker.Response }

func (e *asyncError) Error() string { return "lambda: the function failed: " + e.resp.ErrorType }

// ran is what Settle needs to know of a run.
type ran struct {
	version string
	trace   string // as the run passes it on
	resp    *worker.Response
}

// Deliver implements event.Handler: it runs the function once.
func (a Async) Deliver(ctx context.Context, d *event.Delivery) error {
	run, err := a.run(ctx, d)
	if run != nil {
		event.Note(ctx, run)
	}
	remember(d, run, err)
	return err
}

// run answers the run also if it failed in the function; nil if there was none.
func (a Async) run(ctx context.Context, d *event.Delivery) (*ran, error) {
	s, h := a.service, d.Headers
	ctx = asLambda(ctx, d.Scope)
	call := aws.CallFrom(ctx)
	call.RequestID, call.TraceID = h[headRequestID], d.Trace
	t, err := s.resolve(ctx, new(h[headFunction]), given(h[headQualifier]))
	if err != nil {
		return nil, s.unresolved(err)
	}
	var clientContext *string
	if c := h[headClientContext]; c != "" {
		clientContext = new(base64.StdEncoding.EncodeToString([]byte(c)))
	}
	r, err := newRequest(ctx, t, d.Payload, clientContext)
	if err != nil {
		return nil, event.Permanent(err)
	}
	if t.Reserved != nil && *t.Reserved == 0 {
		return nil, event.Permanent(errZeroReserved)
	}
	release, err := s.admit(t)
	if err != nil {
		return nil, notNow(err)
	}
	defer release()
	resp, err := s.deps.Runner.Run(ctx, t.Function, r)
	if err != nil {
		return nil, notNow(platformError(err))
	}
	s.metrics.ran(t.Function, resp)
	run := &ran{version: t.Version, trace: r.TraceID, resp: resp}
	if resp.FunctionError != "" {
		return run, &asyncError{resp}
	}
	return run, nil
}

// notNow is an error that is not the function's. One that is throttled runs as soon as there is room.
func notNow(err error) error {
	if errors.Is(err, api.ErrTooManyRequests) {
		return event.Busy(err)
	}
	return event.Later(err, 0)
}

// errGone is why an event ends that was accepted for something that is there no more.
type errGone struct{ error }

func (e errGone) Unwrap() error { return e.error }

// unresolved says what becomes of an event whose function cannot be run: it waits for one that may come to, and fails for good with one
// that was deleted.
func (s *Service) unresolved(err error) error {
	var e *aws.Error
	if errors.As(err, &e) && e.Type == api.ErrResourceNotFound {
		return event.Permanent(errGone{api.ErrResourceNotFound.Withf("%s. It was deleted while the event waited.", e.Message)})
	}
	return event.Later(err, 0)
}

// Settle implements event.Handler: destinations and the dead-letter queue learn of the outcome.
func (a Async) Settle(tx store.Tx, d *event.Delivery, o event.Outcome) ([]*event.Delivery, error) {
	r := ref{scope: d.Scope, name: d.Headers[headFunction], qualifier: d.Headers[headQualifier]}
	c, err := getInvokeConfig(tx, r)
	if err != nil {
		return nil, err
	}
	if o.Err == nil && (c == nil || c.OnSuccess == "") && d.Headers[headOnSuccess] == "" {
		return nil, nil // as most: nobody wants to know
	}
	l, err := listenersOf(tx, r, d, c)
	if err != nil {
		return nil, err
	}
	out := newOutcome(d, o, r)
	trace := d.Trace
	if out.run != nil {
		trace = out.run.trace
	} else if errors.Is(o.Err, errLoop) {
		trace = readChain(trace, lineageOf(r.arn())).another()
	}
	var all []*event.Delivery
	send := func(arn string, body []byte, headers map[string]string) {
		all = append(all, &event.Delivery{
			Kind: DestinationKind, Target: arn, Scope: d.Scope, Source: r.arn(), Role: l.role, Payload: body, Headers: headers,
			Trace: trace, Retry: event.Retry{Age: time.Hour, Jitter: true},
		})
	}
	switch {
	case o.Err == nil && l.onSuccess != "":
		body := out.record(mostFor(l.onSuccess))
		var headers map[string]string
		if body == nil { // it is not sent: the log says which it was
			headers = map[string]string{"RequestID": d.Headers[headRequestID]}
		}
		send(l.onSuccess, body, headers)
	case o.Err != nil && l.onFailure != "":
		send(l.onFailure, out.record(mostFor(l.onFailure)), nil)
	}
	if o.Err != nil && l.deadLetter != "" {
		body, headers := out.deadLetter(mostFor(l.deadLetter))
		send(l.deadLetter, body, headers)
	}
	if len(all) == 0 && (out.gone() || o.Err != nil && out.tries == 0) {
		a.service.deps.Log.Warn("an event is dropped: there is neither a dead-letter queue nor a destination for failures",
			"function", out.arn, "requestId", d.Headers[headRequestID], "cause", out.condition(), "error", o.Err)
	}
	return all, nil
}
