package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
)

// failure is why an invocation has no answer of the function's own.
type failure struct {
	payload   []byte // what the caller gets
	errorType string // "Sandbox.Timedout"
	status    string // in REPORT: statusError or statusTimeout
	line      string // what the log says about it
}

// What REPORT and INIT_REPORT say.
const (
	statusSuccess = "success"
	statusError   = "error"
	statusTimeout = "timeout"
)

// invoke runs one invocation, Init phase included if no process runs. The error is ours.
func (e *environment) invoke(caller context.Context, r *Request) (*Response, error) {
	init, err := e.prepare(caller, r)
	if err != nil {
		return nil, err
	}
	if e.ahead > 0 {
		init, e.ahead = e.ahead, 0
	}
	begun := time.Now()
	e.deadline = begun.Add(e.function.Timeout)
	ctx, cancel := context.WithDeadline(caller, e.deadline)
	defer cancel()
	var fail *failure
	if !e.alive() {
		if fail, err = e.initAgain(ctx, r, init < 0); err != nil {
			return nil, err
		}
	}
	e.log.begin(r)
	s := &stream{to: r.Stream, cut: r.Cut}
	var resp *Response
	if fail == nil {
		resp, fail, err = e.run(ctx, r, s)
	}
	took := time.Since(begun)
	if fail != nil {
		resp = e.failed(caller, fail, s)
		took = min(took, e.function.Timeout)
	}
	resp.Init, resp.Duration = max(init, 0), took
	if e.snap != nil {
		resp.Restore, e.snap.took = e.snap.took, 0
	}
	e.flush()
	resp.MaxMemory = e.box.MaxMemory()
	resp.LogTail = e.log.end(r, resp, fail)
	return resp, err
}

// thawed is invoke in a sandbox that may stand still.
func (e *environment) thawed(ctx context.Context, r *Request) (*Response, error) {
	if err := e.ice.thaw(); err != nil {
		return nil, fmt.Errorf("%w: %w", errLost, err)
	}
	e.looks = e.poll()
	e.pool.cores.enter(e)
	defer e.pool.cores.leave(e)
	return e.invoke(ctx, r)
}

// failed resets the sandbox and makes the response of a failure.
func (e *environment) failed(caller context.Context, fail *failure, s *stream) *Response {
	e.halt()
	if caller.Err() != nil || s.err != nil {
		e.broken = true // the caller went away: nobody reads this
	}
	if e.snap != nil {
		e.broken = true // the next one is restored, not initialized
	}
	resp := &Response{Payload: fail.payload, ContentType: "application/json", FunctionError: "Unhandled", ErrorType: fail.errorType}
	if s.written > 0 {
		resp.Payload, resp.Streamed, resp.StreamError = nil, true, fail.payload
	}
	return resp
}

// again is what prepare answers instead of how long the Init phase took if it failed: it is repeated in the invocation.
const again = -1

// prepare gets the sandbox to where an invocation can begin, at nobody's expense. A new one gets its Init phase. One that
// has run before may have a process that has not called next yet: it has the time that its invocation had. If it takes
// longer, or has died since, the next invocation is not to blame and gets a fresh one.
func (e *environment) prepare(caller context.Context, r *Request) (time.Duration, error) {
	if !e.begun {
		e.begun = true
		e.log.initiate(r)
		if e.snap != nil && e.snap.restored {
			return 0, e.restorePhase(caller)
		}
		return e.initPhase(caller)
	}
	switch {
	case !e.alive():
		e.halt()
		return 0, e.gone()
	case e.session.Idle():
		return 0, nil
	}
	ctx, cancel := context.WithDeadline(caller, e.deadline)
	defer cancel()
	err := e.guard(ctx, e.session.WaitIdle)
	if err == nil {
		return 0, nil
	}
	e.halt()
	if errors.Is(err, ErrDraining) {
		return 0, err
	}
	return 0, e.gone()
}

// gone says whether a sandbox without its process is of no use any more: one with SnapStart is, the next one is restored.
func (e *environment) gone() error {
	if e.snap != nil {
		return errLost
	}
	return nil
}

// initPhase is the first start of a process in a sandbox. It has its own limit. An attempt that fails is repeated inside the
// invocation, as on AWS.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.
func (e *environment) initPhase(caller context.Context) (time.Duration, error) {
	e.log.initStart("init")
	limit := e.pool.initLimit
	if e.snap != nil { // what should have been done before the snapshot
		limit = max(provisionedLimit, e.function.Timeout)
	}
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	err := e.start(ctx)
	took := time.Since(e.created)
	if err == nil {
		return took, nil
	}
	how := initOutcome{took: took, phase: "init", status: statusTimeout}
	switch {
	case ours(err):
		return 0, err
	case !errors.Is(err, context.DeadlineExceeded):
		how.status, how.errorType = statusError, e.startFailure(err, &Request{}).errorType
	}
	e.halt()
	e.log.initReport(how)
	return again, nil
}

// initAgain is the Init phase inside an invocation: after a reset, or repeated. The function's timeout covers it.
func (e *environment) initAgain(ctx context.Context, r *Request, repeated bool) (*failure, error) {
	begun := time.Now()
	e.log.initiate(r)
	if !repeated {
		e.log.initStart("invoke")
	}
	err := e.start(ctx)
	switch {
	case err == nil:
		return nil, nil
	case ours(err):
		return nil, err
	}
	fail := e.startFailure(err, r)
	how := initOutcome{took: time.Since(begun), phase: "invoke", status: fail.status}
	if fail.status == statusError {
		how.errorType = fail.errorType
	}
	e.log.initReport(how)
	return fail, nil
}

// startFailure says what the caller gets when Init failed.
func (e *environment) startFailure(err error, r *Request) *failure {
	var posted *runtimeapi.InitError
	if errors.As(err, &posted) {
		return &failure{payload: posted.Payload, errorType: posted.ErrorType, status: statusError}
	}
	var restore *runtimeapi.RestoreError
	if errors.As(err, &restore) {
		return &failure{payload: restore.Payload, errorType: restore.ErrorType, status: statusError}
	}
	return e.explain(err, r)
}

// run hands the event over and waits for the answer. With an error comes a failure too.
func (e *environment) run(ctx context.Context, r *Request, s *stream) (*Response, *failure, error) {
	inv := &runtimeapi.Invocation{
		RequestID: r.RequestID, Payload: r.Payload, ContentType: r.ContentType, Deadline: e.deadline,
		FunctionArn: r.InvokedArn, TraceID: r.TraceID, ClientContext: r.ClientContext,
		CognitoIdentity: r.CognitoIdentity, TenantID: r.TenantID, Poll: e.looks,
	}
	if r.Stream != nil {
		inv.Stream = s
		stop := context.AfterFunc(ctx, s.end)
		defer stop()
	}
	var ans *runtimeapi.Answer
	err := e.guard(ctx, func(ctx context.Context) error {
		var err error
		ans, err = e.session.Run(ctx, inv)
		return err
	})
	switch {
	case err == nil:
		return answered(ans), nil, nil
	case errors.Is(err, ErrDraining):
		return nil, e.explain(err, r), ErrDraining
	case s.err != nil && !errors.Is(err, context.DeadlineExceeded):
		err = context.Canceled
	}
	return nil, e.explain(err, r), nil
}

// answered makes the response of what the runtime posted.
func answered(a *runtimeapi.Answer) *Response {
	resp := &Response{Payload: a.Payload, ContentType: a.ContentType, Streamed: a.Streamed}
	switch {
	case a.Failed:
		resp.FunctionError, resp.ErrorType = "Unhandled", a.ErrorType
	case a.StreamErrorType != "":
		resp.FunctionError, resp.ErrorType, resp.StreamError = "Unhandled", a.StreamErrorType, a.StreamErrorBody
		if !a.Streamed && len(a.Payload) == 0 { // it failed before its first byte: the error is all that there is
			resp.Payload, resp.ContentType = a.StreamErrorBody, "application/json"
		}
	}
	return resp
}

// explain turns what ended an invocation into what AWS answers.
func (e *environment) explain(err error, r *Request) *failure {
	switch {
	case errors.Is(err, errExited):
		return e.exited(r)
	case errors.Is(err, runtimeapi.ErrTruncated):
		if e.died() {
			return e.exited(r)
		}
		return newFailure(r, "Runtime.TruncatedResponse", "Response was truncated")
	case e.unfit != nil:
		return newCrash(r, "Runtime.InvalidEntrypoint", e.unfit.Error())
	case errors.Is(err, context.DeadlineExceeded):
		text := fmt.Sprintf("Task timed out after %.2f seconds", e.function.Timeout.Seconds())
		f := newFailure(r, "Sandbox.Timedout", text)
		f.status = statusTimeout
		f.line = time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " " + r.RequestID + " " + text + "\n\n"
		return f
	case errors.Is(err, runtimeapi.ErrTooLarge):
		f := newFailure(r, "Function.ResponseSizeTooLarge", "")
		most := runtimeapi.MaxPayload
		if errors.Is(err, runtimeapi.ErrStreamTooLarge) {
			most = runtimeapi.MaxStream
		}
		f.payload = errorJSON(fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", most), f.errorType)
		return f
	case errors.Is(err, runtimeapi.ErrResponseMode):
		return newFailure(r, "Runtime.InvalidResponseModeHeader", "Invalid response mode header")
	case errors.Is(err, context.Canceled), errors.Is(err, ErrDraining):
		e.broken = true // nobody reads this
		return newFailure(r, "Sandbox.Failure", "The invocation was given up")
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
	case noDirectory(exit.Err):
		kind, text = "Runtime.InvalidWorkingDir", exit.Err.Error() // a path of the function's own
	case exit.Err != nil:
		kind, text = "Runtime.InvalidEntrypoint", e.unstartable(exit.Err)
	case exit.OOM:
		e.broken = true // what filled the memory may be files in /tmp, and the next process would start in what is left
		kind, text = "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
	case exit.Signal != "":
		text = "Runtime exited with error: signal: " + exit.Signal
	case exit.Code != 0:
		text = fmt.Sprintf("Runtime exited with error: exit status %d", exit.Code)
	}
	return newCrash(r, kind, text)
}

// noDirectory says that a program could not be started because of its directory.
func noDirectory(err error) bool {
	why, ok := errors.AsType[*os.PathError](err)
	return ok && why.Op == "chdir"
}

// unstartable words why a program could not be started, the same for every driver and without paths of the host.
func (e *environment) unstartable(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "fork/exec " + e.entry + ": " + err.Error()
}

func newFailure(r *Request, kind, text string) *failure {
	return &failure{
		payload: errorJSON("RequestId: "+r.RequestID+" Error: "+text, kind), errorType: kind, status: statusError,
	}
}

// newCrash is a failure that the log tells too.
func newCrash(r *Request, kind, text string) *failure {
	f := newFailure(r, kind, text)
	f.line = "RequestId: " + r.RequestID + " Error: " + text + "\n" + kind + "\n"
	return f
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
