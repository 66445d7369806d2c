package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/aws"
)

// Limiter says no, with an *aws.Error, to an account that calls too often.
type Limiter interface {
	Limit(ctx context.Context, call *aws.Call) error
}

// Authorizer answers nil for what the call's principal may do, else an *aws.Error. impl is the service, which Op.Resources
// wants to be given.
type Authorizer interface {
	Authorize(ctx context.Context, call *aws.Call, impl any) error
}

// Identifier is a service with ops that come without a signature: it says who makes such a call, by what is in the input, and
// in which account it acts. It is asked before the call is authorized. An error, an *aws.Error if it is the caller's fault,
// means that nobody is known to have called: the call is in no account's trail, like one whose signature is wrong.
type Identifier interface {
	Identify(ctx context.Context, call *aws.Call) (p *aws.Principal, account string, err error)
}

// Auditor is told of every call when it is over. err is what the client gets; nil for a success.
type Auditor interface {
	Record(ctx context.Context, call *aws.Call, out any, err *aws.Error)
}

// Deps are what a Dispatcher needs; all may be left out.
type Deps struct {
	Limiter    Limiter               // nil: nobody is throttled
	Authorizer Authorizer            // nil: OwnAccount
	Auditor    Auditor               // nil: nothing is recorded
	Metrics    prometheus.Registerer // nil: nothing is measured
	Log        *slog.Logger          // nil: slog.Default
}

// Dispatcher carries calls to the services. Register is for start-up; Do is safe for concurrent use after it.
type Dispatcher struct {
	limiter    Limiter
	authorizer Authorizer
	auditor    Auditor
	metrics    *metrics
	log        *slog.Logger
	ops        map[*aws.Op]*entry
}

// entry is a registered op.
type entry struct {
	impl    any
	measure *opMetrics
}

// New is a Dispatcher with no service yet.
func New(d Deps) *Dispatcher {
	if d.Authorizer == nil {
		d.Authorizer = OwnAccount{}
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Dispatcher{
		limiter: d.Limiter, authorizer: d.Authorizer, auditor: d.Auditor, log: d.Log,
		metrics: newMetrics(d.Metrics), ops: map[*aws.Op]*entry{},
	}
}

// Register makes impl, which must be the service's generated API, answer the service's ops. It panics on a service that is
// registered already, and on one with ops that come without a signature that is no Identifier.
func (d *Dispatcher) Register(svc *aws.Service, impl any) {
	for _, op := range svc.Ops {
		if _, ok := impl.(Identifier); op.Unsigned && !ok {
			panic(fmt.Sprintf("dispatch: %s comes without a signature, and %T identifies nobody", op.Action, impl))
		}
		if d.ops[op] != nil {
			panic(fmt.Sprintf("dispatch: %s is registered twice", svc.Name))
		}
		d.ops[op] = &entry{impl: impl, measure: d.metrics.op(op)}
	}
}

// Do carries out a call whose input is decoded and validated. The error is nil or an *aws.Error.
func (d *Dispatcher) Do(ctx context.Context, call *aws.Call) (any, error) {
	e := d.ops[call.Op]
	if e == nil {
		return nil, aws.ErrNotImplemented.Withf("Operation %s is not implemented.", call.Op.Name)
	}
	start := time.Now()
	call.Authorized, call.Resolved = nil, nil // a call made inside another is a copy of it
	if call.Op.Unsigned {
		call.Principal, call.Account = &aws.Principal{Type: aws.Anonymous}, "" // whoever signed it even so
	}
	out, err := d.run(aws.WithCall(ctx, call), e, call)
	var refusal *aws.Error
	if err != nil {
		refusal = d.refusal(ctx, call, err)
		out = nil
	}
	if d.auditor != nil && (!call.Op.Unsigned || call.Account != "") {
		d.auditor.Record(ctx, call, out, refusal)
	}
	e.measure.observe(time.Since(start), refusal)
	if refusal != nil {
		return nil, refusal
	}
	return out, nil
}

// run is throttle, identify, authorize, handle.
func (d *Dispatcher) run(ctx context.Context, e *entry, call *aws.Call) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{value: p, stack: debug.Stack()}
		}
	}()
	if d.limiter != nil {
		if err := d.limiter.Limit(ctx, call); err != nil {
			return nil, err
		}
	}
	if call.Op.Unsigned {
		who, account, err := e.impl.(Identifier).Identify(ctx, call)
		if err != nil {
			return nil, err
		}
		call.Principal, call.Account = who, account
	}
	if err := d.authorizer.Authorize(ctx, call, e.impl); err != nil {
		return nil, err
	}
	return call.Op.Call(ctx, e.impl, call.Input)
}

// panicked is a panic on its way to the log.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// refusal is what the client gets of an error. A modelled one goes out as it is; anything else is a line in the log and an
// InternalFailure that says nothing but the request id.
func (d *Dispatcher) refusal(ctx context.Context, call *aws.Call, err error) *aws.Error {
	var e *aws.Error
	if errors.As(err, &e) {
		if e.Cause != nil && (e.Type.Server || e.Type.Status >= 500) {
			d.log.ErrorContext(ctx, "call failed", "op", call.Op.Action, "requestId", call.RequestID, "code", e.Type.Code, "error", e.Cause)
		}
		return e
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) { // the client went away, or the server goes: nobody reads the answer
		return aws.ErrUnavailable.New("The request was cancelled.").Because(err)
	}
	attrs := []any{"op", call.Op.Action, "requestId", call.RequestID, "error", err}
	if p := (*panicked)(nil); errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	d.log.ErrorContext(ctx, "call failed", attrs...)
	return aws.ErrInternalFailure.Withf("The request processing has failed because of an unknown error, exception or failure "+
		"(request id %s).", call.RequestID).Because(err)
}
