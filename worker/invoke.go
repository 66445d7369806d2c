package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
)

// failure is why an invocation has no answer of the function's own.
type failure struct {
	payload   []byte // what the caller gets
	errorType string // "Sandbox.Timedout"
	status    string // in REPORT: "timeout" or "error"
	line      string // what the log says about it
}

// invoke runs one invocation, Init phase included if no process runs. It always answers.
func (e *environment) invoke(ctx context.Context, r *Request) *Response {
	var fail *failure
	var init time.Duration
	if e.used.IsZero() {
		init, fail = e.initPhase(ctx, r)
	}
	begun := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begun.Add(e.function.Timeout))
	defer cancel()
	if fail == nil && !e.alive() {
		fail = e.initAgain(ctx, r)
	}
	e.log.begin(r)
	var resp *Response
	if fail == nil {
		resp, fail = e.run(ctx, r, begun.Add(e.function.Timeout))
	}
	if fail != nil {
		resp = fail.response()
		e.halt()
	}
	resp.Init, resp.Duration = init, time.Since(begun)
	resp.MaxMemory = e.box.Usage().MaxMemory
	resp.LogTail = e.log.end(r, resp, fail)
	return resp
}

func (f *failure) response() *Response {
	return &Response{Payload: f.payload, ContentType: "application/json", FunctionError: "Unhandled", ErrorType: f.errorType}
}

// initPhase is the first start of a process in a sandbox. It has its own limit; an attempt that exceeds it is abandoned and
// repeated inside the invocation, as on AWS.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.
func (e *environment) initPhase(parent context.Context, r *Request) (time.Duration, *failure) {
	e.log.initStart()
	ctx, cancel := context.WithTimeout(parent, initLimit)
	defer cancel()
	err := e.start(ctx)
	took := time.Since(e.created)
	if err == nil {
		return took, nil
	}
	if errors.Is(err, context.DeadlineExceeded) && parent.Err() == nil {
		e.log.initReport(took, "init", "timeout", "")
		e.halt()
		return 0, nil
	}
	fail := e.startFailure(err, r)
	e.log.initReport(took, "init", "error", fail.errorType)
	return 0, fail
}

// initAgain is the Init phase inside an invocation, after a reset. The function's timeout covers it.
func (e *environment) initAgain(ctx context.Context, r *Request) *failure {
	begun := time.Now()
	e.log.initStart()
	err := e.start(ctx)
	if err == nil {
		return nil
	}
	fail := e.startFailure(err, r)
	e.log.initReport(time.Since(begun), "invoke", fail.status, fail.errorType)
	return fail
}

// startFailure says what the caller gets when Init failed.
func (e *environment) startFailure(err error, r *Request) *failure {
	var posted *runtimeapi.InitError
	if errors.As(err, &posted) {
		return &failure{payload: posted.Payload, errorType: posted.ErrorType, status: "error"}
	}
	return e.explain(err, r)
}

// run hands the event over and waits for the answer.
func (e *environment) run(ctx context.Context, r *Request, deadline time.Time) (*Response, *failure) {
	var ans *runtimeapi.Answer
	handed := false
	turn := func(ctx context.Context) error {
		if err := e.session.WaitIdle(ctx); err != nil {
			return err
		}
		handed = true
		var err error
		ans, err = e.session.Run(ctx, &runtimeapi.Invocation{
			RequestID: r.RequestID, Payload: r.Payload, ContentType: r.ContentType, Deadline: deadline,
			FunctionArn: r.InvokedArn, TraceID: r.TraceID, ClientContext: r.ClientContext,
			CognitoIdentity: r.CognitoIdentity, TenantID: r.TenantID, Stream: r.Stream,
		})
		return err
	}
	err := e.guard(ctx, turn)
	if !handed && errors.Is(err, errExited) {
		// The last invocation's process went away after it had answered. This one is not to blame: it gets a fresh process.
		e.halt()
		if fail := e.initAgain(ctx, r); fail != nil {
			return nil, fail
		}
		err = e.guard(ctx, turn)
	}
	if err != nil {
		return nil, e.explain(err, r)
	}
	return answered(ans), nil
}

// answered makes the response of what the runtime posted.
func answered(a *runtimeapi.Answer) *Response {
	resp := &Response{Payload: a.Payload, ContentType: a.ContentType, Streamed: a.Streamed}
	switch {
	case a.Failed:
		resp.FunctionError, resp.ErrorType = "Unhandled", a.ErrorType
	case a.StreamErrorType != "":
		resp.FunctionError, resp.ErrorType, resp.StreamError = "Unhandled", a.StreamErrorType, a.StreamErrorBody
	}
	return resp
}

// explain turns what ended an invocation into what AWS answers.
func (e *environment) explain(err error, r *Request) *failure {
	switch {
	case errors.Is(err, errExited):
		return e.exited(r)
	case e.unfit != nil:
		return newFailure(r, "Runtime.InvalidEntrypoint", e.unfit.Error())
	case errors.Is(err, context.DeadlineExceeded):
		text := fmt.Sprintf("Task timed out after %.2f seconds", e.function.Timeout.Seconds())
		f := newFailure(r, "Sandbox.Timedout", text)
		f.status = "timeout"
		f.line = time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " " + r.RequestID + " " + text + "\n\n"
		return f
	case errors.Is(err, runtimeapi.ErrTooLarge):
		f := newFailure(r, "Function.ResponseSizeTooLarge", "")
		f.payload = errorJSON("Response payload size exceeded maximum allowed payload size (6291556 bytes).", f.errorType)
		return f
	case errors.Is(err, runtimeapi.ErrTruncated):
		return newFailure(r, "Runtime.TruncatedResponse", "Response was truncated")
	case errors.Is(err, runtimeapi.ErrResponseMode):
		return newFailure(r, "Runtime.InvalidResponseModeHeader", "Invalid response mode header")
	case errors.Is(err, context.Canceled):
		e.broken = true // the caller went away: nobody reads this
		return newFailure(r, "Sandbox.Failure", "The caller went away")
	}
	e.pool.deps.Log.Error("run invocation", "owner", e.function.Owner, "requestId", r.RequestID, "error", err)
	e.broken = true
	return newFailure(r, "Sandbox.Failure", "The execution environment failed")
}

// exited explains a runtime that went away without an answer.
func (e *environment) exited(r *Request) *failure {
	exit := e.process.Exit()
	kind, text := "Runtime.ExitError", "Runtime exited without providing a reason"
	switch {
	case exit.Err != nil:
		kind, text = "Runtime.InvalidEntrypoint", exit.Err.Error()
	case exit.OOM:
		kind, text = "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
	case exit.Signal != "":
		text = "Runtime exited with error: signal: " + exit.Signal
	case exit.Code != 0:
		text = fmt.Sprintf("Runtime exited with error: exit status %d", exit.Code)
	}
	f := newFailure(r, kind, text)
	f.line = "RequestId: " + r.RequestID + " Error: " + text + "\n" + kind + "\n"
	return f
}

func newFailure(r *Request, kind, text string) *failure {
	return &failure{
		payload: errorJSON("RequestId: "+r.RequestID+" Error: "+text, kind), errorType: kind, status: "error",
	}
}

// errorJSON is the body that AWS makes up when the runtime posted none.
func errorJSON(message, kind string) []byte {
	b, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	if err != nil {
		return nil // two strings always marshal
	}
	return b
}
