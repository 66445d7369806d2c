package lambda

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// maxClientContext is the most bytes of a decoded ClientContext.
const maxClientContext = 3583

// Invoke runs a function and waits for its answer. A function that fails is a success of Invoke with FunctionError set.
// See https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
func (s *Service) Invoke(ctx context.Context, in *api.InvokeInput) (*api.InvokeOutput, error) {
	t, err := s.resolve(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if err := refuseInvoke(in.DurableExecutionName, in.TenantID); err != nil {
		return nil, err
	}
	if kind(in.InvocationType) == api.InvocationTypeEvent {
		return s.accept(ctx, t, in)
	}
	r, err := newRequest(ctx, t, in.Payload, in.ClientContext)
	if err != nil {
		return nil, err
	}
	r.Tail = in.LogType != nil && *in.LogType == api.LogTypeTail
	if kind(in.InvocationType) == api.InvocationTypeDryRun {
		return &api.InvokeOutput{StatusCode: new(204)}, nil
	}
	release, err := s.admitPaced(t)
	if err != nil {
		return nil, err
	}
	resp, err := s.run(ctx, t, r, release)
	if err != nil {
		return nil, s.notRun(t, err)
	}
	s.metrics.ran(t.Function, resp)
	out := &api.InvokeOutput{StatusCode: new(200), ExecutedVersion: &t.Version, Payload: resp.Payload}
	if resp.FunctionError != "" {
		out.FunctionError = &resp.FunctionError
	}
	if r.Tail {
		out.LogResult = new(base64.StdEncoding.EncodeToString(resp.LogTail))
	}
	return out, nil
}

// run runs the function for a caller who waits, and gives the place back when it is done: to read the answer may take longer. It goes on
// when the caller has gone, as on AWS: what it has begun is not left half done because somebody hung up.
func (s *Service) run(ctx context.Context, t *target, r *worker.Request, release func()) (*worker.Response, error) {
	defer release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.deps.Runner.Run(context.WithoutCancel(ctx), t.Function, r)
}

// refuseInvoke refuses what Enfold would otherwise ignore: no function here is durable or has tenants.
func refuseInvoke(durableExecution, tenant *string) error {
	switch {
	case durableExecution != nil:
		return api.ErrInvalidParameterValue.New("DurableExecutionName is not supported: Enfold does not run durable functions.")
	case tenant != nil:
		return api.ErrInvalidParameterValue.New("The function is not configured with tenant isolation. Remove the tenant ID from your request.")
	}
	return nil
}

func kind(t *string) string {
	if t == nil {
		return api.InvocationTypeRequestResponse
	}
	return *t
}

// newRequest checks what the caller sent beside the function's name, and that the function is in no loop.
func newRequest(ctx context.Context, t *target, payload []byte, clientContext *string) (*worker.Request, error) {
	r, err := readRequest(ctx, t, payload, clientContext)
	if err != nil {
		return nil, err
	}
	call := aws.CallFrom(ctx)
	if r.TraceID, err = follow(t, call.TraceID); err != nil {
		return nil, err
	}
	if !hasRoot(call.TraceID) {
		call.TraceID = r.TraceID // the caller is told
	}
	return r, nil
}

// readRequest is a request that belongs to no chain yet.
func readRequest(ctx context.Context, t *target, payload []byte, clientContext *string) (*worker.Request, error) {
	call := aws.CallFrom(ctx)
	r := &worker.Request{
		RequestID: call.RequestID, InvokedArn: t.InvokedArn, Payload: payload,
	}
	if len(payload) == 0 {
		r.Payload = []byte("{}")
	} else if !json.Valid(payload) || !utf8.Valid(payload) {
		return nil, api.ErrInvalidRequestContent.New(
			"Could not parse request body into json: Could not parse payload into json: " + notJSON(payload))
	}
	if clientContext == nil {
		return r, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(*clientContext)
	if err != nil || !json.Valid(decoded) {
		return nil, api.ErrInvalidRequestContent.New("Client context must be a valid Base64-encoded JSON object.")
	}
	if len(decoded) > maxClientContext {
		return nil, api.ErrInvalidRequestContent.New(fmt.Sprintf("Client context must be smaller than %d bytes.", maxClientContext))
	}
	r.ClientContext = string(decoded)
	return r, nil
}

// newTraceID is an X-Ray trace header that is not sampled.
// See https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func newTraceID(now time.Time) string {
	var id [20]byte
	rand.Read(id[:]) // never fails
	b := make([]byte, 0, 80)
	b = fmt.Appendf(b, "Root=1-%08x-", now.Unix())
	b = hex.AppendEncode(b, id[:12])
	b = append(b, ";Parent="...)
	b = hex.AppendEncode(b, id[12:])
	return string(append(b, ";Sampled=0"...))
}

// admit takes a place under the concurrency limits. What it answers gives the place back, once.
func (s *Service) admit(t *target) (release func(), err error) { return s.take(t, false) }

// admitPaced is admit for an invocation whose caller waits: it may also come too fast.
func (s *Service) admitPaced(t *target) (release func(), err error) { return s.take(t, true) }

func (s *Service) take(t *target, paced bool) (release func(), err error) {
	a := allowance{
		scope:    store.Scope{Account: t.Function.Account, Region: t.Function.Region},
		function: t.Function.Name, version: t.Version,
		reserved: t.Reserved, provisioned: t.provisioned, allProvisioned: t.allProvisioned, pool: s.unreservedPool(t), paced: paced,
	}
	p, err := s.limiter.acquire(a)
	if err != nil {
		s.metrics.throttled(t.Function)
		return nil, err
	}
	if t.provisioned > 0 && p != provisionedPlace {
		s.metrics.spilled(t.Function)
	}
	return func() { s.limiter.release(a, p) }, nil
}

// notRun is what the caller gets when there was no sandbox to run the function in.
func (s *Service) notRun(t *target, err error) error {
	if errors.Is(err, worker.ErrFull) || errors.Is(err, worker.ErrScaling) {
		s.metrics.throttled(t.Function)
	}
	return platformError(err)
}

// platformError is what it means to Lambda's caller that there was no sandbox.
func platformError(err error) error {
	if errors.Is(err, worker.ErrFull) || errors.Is(err, worker.ErrScaling) {
		return throttled(throttledAccount).Because(err)
	}
	if errors.Is(err, worker.ErrDraining) {
		return aws.ErrUnavailable.New("The server is shutting down. Retry the request.").Because(err)
	}
	if errors.Is(err, worker.ErrRestore) {
		return api.ErrSnapStart.New("The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.").Because(err)
	}
	if errors.Is(err, worker.ErrRestoreTimeout) {
		return api.ErrSnapStartTimeout.New("Lambda couldn't restore the snapshot within the timeout limit.").Because(err)
	}
	if errors.Is(err, worker.ErrRole) {
		return aws.ErrAccessDenied.New("The role defined for the function cannot be assumed by Lambda.").Because(err)
	}
	return api.ErrService.New("An error occurred while the execution environment was prepared. The server's log says why.").Because(err)
}

// notJSON words a parse failure the way Lambda's own parser does.
func notJSON(payload []byte) string {
	at, what := syntaxFault(payload)
	line, column := 1, 1
	for _, c := range payload[:at] {
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return fmt.Sprintf("%s\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]",
		what, line, column)
}

// syntaxFault finds where a payload stops being JSON and says what stands there.
func syntaxFault(payload []byte) (at int, what string) {
	const wanted = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	var v json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(payload, &v); errors.As(err, &syntax) {
		at = int(syntax.Offset) - 1
	} else {
		at = len(payload)
		for i := 0; i < len(payload); {
			r, n := utf8.DecodeRune(payload[i:])
			if r == utf8.RuneError && n <= 1 {
				return i, fmt.Sprintf("Invalid UTF-8 start byte 0x%x", payload[i])
			}
			i += n
		}
	}
	if at < 0 || at >= len(payload) || syntax != nil && syntax.Error() == "unexpected end of JSON input" {
		return len(payload), "Unexpected end-of-input"
	}
	c := payload[at]
	switch {
	case c < ' ' || c >= 0x7f:
		return at, fmt.Sprintf("Unexpected character ((CTRL-CHAR, code %d)): expected a valid value %s", c, wanted)
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		end := at
		for end < len(payload) && end-at < 64 && (payload[end] == '_' || payload[end]|0x20 >= 'a' && payload[end]|0x20 <= 'z') {
			end++
		}
		return at, fmt.Sprintf("Unrecognized token '%s': was expecting %s", payload[at:end], wanted)
	}
	return at, fmt.Sprintf("Unexpected character ('%c' (code %d)): expected a valid value %s", c, c, wanted)
}
