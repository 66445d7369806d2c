package runtimeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// outcome is what Run returned.
type outcome struct {
	answer *Answer
	err    error
}

// run starts Run and returns where its outcome comes.
func run(tb testing.TB, s *Session, inv *Invocation) <-chan outcome {
	ctx, cancel := context.WithTimeout(tb.Context(), testTimeout)
	ch := make(chan outcome, 1)
	go func() {
		defer cancel()
		a, err := s.Run(ctx, inv)
		ch <- outcome{a, err}
	}()
	return ch
}

// running starts a session whose runtime has the event with testID and has not answered.
func running(t *testing.T, inv *Invocation) (*Session, *peer, <-chan outcome) {
	t.Helper()
	s, addr := serve(t)
	p := dial(t, addr)
	p.next()
	inv.RequestID = testID
	ch := run(t, s, inv)
	if g := p.reply(); g.status != 200 {
		t.Fatalf("next: %+v", g)
	}
	return s, p, ch
}

func TestNextHeaders(t *testing.T) {
	deadline := time.UnixMilli(1542409706888)
	for _, tt := range []struct {
		name string
		inv  Invocation
		want string // sorted "Name: value" lines
	}{
		{"all", Invocation{
			RequestID: testID, Payload: []byte(`{"a":1}`), ContentType: "text/plain", Deadline: deadline, FunctionArn: testArn,
			TraceID: testTrace, ClientContext: `{"client":{}}`, CognitoIdentity: `{"cognitoIdentityId":"i"}`, TenantID: "blue",
			Poll: 1500 * time.Microsecond,
		}, "Content-Length: 7|Content-Type: text/plain|Lambda-Runtime-Aws-Request-Id: " + testID +
			"|Lambda-Runtime-Aws-Tenant-Id: blue|Lambda-Runtime-Client-Context: {\"client\":{}}|" +
			"Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\"}|Lambda-Runtime-Deadline-Ms: 1542409706888|" +
			"Lambda-Runtime-Invoked-Function-Arn: " + testArn + "|Lambda-Runtime-Trace-Id: " + testTrace +
			"|Enfold-Poll-Micros: 1500"},
		{
			"empty ones are left out",
			Invocation{RequestID: testID},
			"Content-Length: 0|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID,
		},
		{
			"line ends in a client context",
			Invocation{RequestID: testID, ClientContext: "{\r\n\"a\":1,\n\r\nX: y\x00}"},
			"Content-Length: 0|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID +
				"|Lambda-Runtime-Client-Context: {  \"a\":1,   X: y }",
		},
		{
			"large payload",
			Invocation{RequestID: testID, Payload: bytes.Repeat([]byte("x"), MaxPayload)},
			"Content-Length: 6291556|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := serve(t)
			p := dial(t, addr)
			p.next()
			ch := run(t, s, &tt.inv)
			g := p.reply()
			var lines []string
			for _, name := range strings.Split("Content-Length Content-Type Lambda-Runtime-Aws-Request-Id Lambda-Runtime-Aws-Tenant-Id "+
				"Lambda-Runtime-Client-Context Lambda-Runtime-Cognito-Identity Lambda-Runtime-Deadline-Ms "+
				"Lambda-Runtime-Invoked-Function-Arn Lambda-Runtime-Trace-Id Enfold-Poll-Micros", " ") {
				for _, v := range g.header[name] {
					lines = append(lines, name+": "+v)
				}
				delete(g.header, name)
			}
			if got := strings.Join(lines, "|"); got != tt.want {
				t.Errorf("headers\n got %s\nwant %s", got, tt.want)
			}
			if len(g.header) != 0 {
				t.Errorf("more headers: %v", g.header)
			}
			if g.body != string(tt.inv.Payload) {
				t.Errorf("body of %d bytes, want %d", len(g.body), len(tt.inv.Payload))
			}
			p.post(pathResponse(testID), "x")
			p.reply()
			if o := <-ch; o.err != nil {
				t.Error(o.err)
			}
		})
	}
}

const (
	invalidID   = `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}` + "\n"
	invalidMode = `{"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}` + "\n"
	tooLarge    = `{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}` + "\n"
	truncated   = `{"errorMessage":"HTTP request detected as truncated","errorType":"TruncatedHTTPRequest"}` + "\n"
)

func transition(from, to string) string {
	return `{"errorMessage":"State transition from ` + from + ` to ` + to + ` failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}` + "\n"
}

// TestAnswers is every way to answer an invocation: what the runtime is told, and what Run returns.
func TestAnswers(t *testing.T) {
	response, fail := "POST "+pathResponse(testID)+" HTTP/1.1\nHost: a\n", "POST "+pathError(testID)+" HTTP/1.1\nHost: a\n"
	streaming := response + "Transfer-Encoding: chunked\nLambda-Runtime-Function-Response-Mode: streaming\nTrailer: x\n\n"
	for _, tt := range []struct {
		name, send string
		stream     bool // the caller wants a stream
		status     int
		body       string
		want       Answer
		streamed   string
		err        error
	}{
		{
			name: "response", send: response + "Content-Type: application/json\nContent-Length: 2\n\n{}", status: 202, body: acceptedB,
			want: Answer{Payload: []byte("{}"), ContentType: typeJSON, Bytes: 2},
		},
		{name: "nothing", send: response + "\n", status: 202, body: acceptedB},
		{
			name: "chunks", send: response + "Transfer-Encoding: chunked\n\n2\r\n{\"\r\n3\r\n\":0\r\n1\r\n}\r\n0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Payload: []byte(`{"":0}`), Bytes: 6},
		},
		{
			name: "the largest", send: response + "Content-Length: 6291556\n\n" + long('x', MaxPayload), status: 202, body: acceptedB,
			want: Answer{Payload: []byte(long('x', MaxPayload)), Bytes: MaxPayload},
		},
		{name: "too large", send: response + "Content-Length: 6291557\n\n" + long('x', MaxPayload+1), status: 413, body: tooLarge, err: ErrTooLarge},
		{
			name: "too large in chunks", send: response + "Transfer-Encoding: chunked\n\n" + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n",
			status: 413, body: tooLarge, err: ErrTooLarge,
		},
		{name: "mode", send: response + "Lambda-Runtime-Function-Response-Mode: buffered\nContent-Length: 2\n\n{}", status: 400, body: invalidMode, err: ErrResponseMode},
		{name: "broken chunks", send: response + "Transfer-Encoding: chunked\n\nzz\r\n", status: 400, body: truncated, err: ErrTruncated},

		{
			name: "error", send: fail + "Content-Type: application/json\nLambda-Runtime-Function-Error-Type: Function.Oops\nContent-Length: 21\n\n" + `{"errorMessage":"no"}`, status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`{"errorMessage":"no"}`), ContentType: typeJSON, ErrorType: "Function.Oops", Bytes: 21},
		},
		{
			name: "error of unknown type", send: fail + "Content-Length: 3\n\nxyz", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte("xyz"), ErrorType: "Runtime.Unknown", Bytes: 3},
		},
		{
			name: "error with cause", send: fail + "Content-Type: application/vnd.aws.lambda.error.cause+json\nContent-Length: 62\n\n" + `{"errorMessage":"m","errorType":"t","errorCause":{"paths":[]}}`, status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`{"errorMessage":"m","errorType":"t"}`), ContentType: typeJSON, ErrorType: "Runtime.Unknown", Bytes: 36},
		},
		{
			name: "broken error with cause", send: fail + "Content-Type: application/vnd.aws.lambda.error.cause+json\nContent-Length: 1\n\n{", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`"Invalid error body"`), ContentType: typeBinary, ErrorType: "Runtime.Unknown", Bytes: 20},
		},
		{name: "error too large", send: fail + "Content-Length: 6291557\n\n" + long('x', MaxPayload+1), status: 413, body: tooLarge, err: ErrTooLarge},
		{
			name: "error to a stream", stream: true, send: fail + "Content-Length: 1\n\n1", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte("1"), ErrorType: "Runtime.Unknown", Bytes: 1},
		},

		{
			name: "stream", stream: true, send: streaming + "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 5}, streamed: "abcde",
		},
		{name: "stream of nothing", stream: true, send: streaming + "0\r\n\r\n", status: 202, body: acceptedB, want: Answer{Streamed: true}},
		{
			name: "stream that fails", stream: true, send: streaming + "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Oops\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 2, StreamErrorType: "Oops", StreamErrorBody: []byte("{}")}, streamed: "ab",
		},
		{
			name: "stream for a caller who does not stream", send: streaming + "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Oops\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Payload: []byte("ab"), Bytes: 2, StreamErrorType: "Oops"},
		},
		{name: "stream too large for a caller who does not stream", send: streaming + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 413, body: tooLarge, err: ErrTooLarge},
		{
			name: "larger stream", stream: true, send: streaming + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 7 << 20}, streamed: long('x', 7<<20),
		},
		{
			name: "no stream for a caller who streams", stream: true, send: response + "Content-Length: 2\n\n{}", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 2}, streamed: "{}",
		},
		{
			name: "no stream and too large", stream: true, send: response + "Transfer-Encoding: chunked\n\n" + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 413, body: tooLarge, err: ErrTooLarge,
			want: Answer{Streamed: true, Bytes: MaxPayload}, streamed: long('x', MaxPayload),
		},
		{
			name: "broken stream", stream: true, send: streaming + "2\r\nab\r\nzz\r\n", status: 400, body: truncated, err: ErrTruncated,
			want: Answer{Streamed: true, Bytes: 2}, streamed: "ab",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv := &Invocation{}
			var stream bytes.Buffer
			if tt.stream {
				inv.Stream = &stream
			}
			s, p, ch := running(t, inv)
			p.send(tt.send)
			o := <-ch
			if !errors.Is(o.err, tt.err) || errors.Is(o.err, ErrStreamTooLarge) {
				t.Fatalf("error %v, want %v", o.err, tt.err)
			}
			if tt.err == nil || tt.want.Streamed {
				o.answer.checkEqual(t, &tt.want)
			}
			if stream.String() != tt.streamed {
				t.Errorf("streamed %d bytes, want %d", stream.Len(), len(tt.streamed))
			}
			if g := p.reply(); g.status != tt.status || g.body != tt.body {
				t.Errorf("the runtime is told %d %s, want %d %s", g.status, g.body, tt.status, tt.body)
			}
			if tt.body == truncated {
				p.ended()
				return
			}
			p.post(pathResponse(testID), "again")
			if g := p.reply(); g.status != 400 || g.body != invalidID {
				t.Errorf("answers twice: %d %s", g.status, g.body)
			}
			p.next()
			wait(t, s.WaitIdle)
		})
	}
}

// TestStreamTooLarge: a stream has a limit of its own, of which the error tells.
func TestStreamTooLarge(t *testing.T) {
	var stream bytes.Buffer
	_, p, ch := running(t, &Invocation{Stream: &stream})
	p.send(fmt.Sprintf("POST %s HTTP/1.1\nHost: x\nLambda-Runtime-Function-Response-Mode: streaming\nContent-Length: %d\n\n",
		pathResponse(testID), MaxStream+1))
	if o := <-ch; !errors.Is(o.err, ErrStreamTooLarge) || !errors.Is(o.err, ErrTooLarge) {
		t.Errorf("error %v, want %v", o.err, ErrStreamTooLarge)
	}
	if stream.Len() != 0 {
		t.Errorf("%d bytes of it were passed on", stream.Len())
	}
}

func (a *Answer) checkEqual(t *testing.T, want *Answer) {
	t.Helper()
	if !bytes.Equal(a.Payload, want.Payload) || !bytes.Equal(a.StreamErrorBody, want.StreamErrorBody) {
		t.Errorf("payload %.99q, error body %.99q", a.Payload, a.StreamErrorBody)
	}
	got, w := *a, *want
	got.Payload, got.StreamErrorBody, w.Payload, w.StreamErrorBody = nil, nil, nil, nil
	if got.ContentType != w.ContentType || got.Failed != w.Failed || got.ErrorType != w.ErrorType || got.Streamed != w.Streamed ||
		got.StreamErrorType != w.StreamErrorType || got.Bytes != w.Bytes {
		t.Errorf("got %+v, want %+v", got, w)
	}
}

func wait(t *testing.T, until func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := until(ctx); err != nil {
		t.Fatal(err)
	}
}
