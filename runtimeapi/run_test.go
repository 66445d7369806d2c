package runtimeapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
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
		}, "Content-Length: 7|Content-Type: text/plain|Lambda-Runtime-Aws-Request-Id: " + testID +
			"|Lambda-Runtime-Aws-Tenant-Id: blue|Lambda-Runtime-Client-Context: {\"client\":{}}|" +
			"Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\"}|Lambda-Runtime-Deadline-Ms: 1542409706888|" +
			"Lambda-Runtime-Invoked-Function-Arn: " + testArn + "|Lambda-Runtime-Trace-Id: " + testTrace},
		{"empty ones are left out", Invocation{RequestID: testID},
			"Content-Length: 0|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID},
		{"line ends in a client context", Invocation{RequestID: testID, ClientContext: "{\r\n\"a\":1,\n\r\nX: y\x00}"},
			"Content-Length: 0|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID +
				"|Lambda-Runtime-Client-Context: {  \"a\":1,   X: y }"},
		{"large payload", Invocation{RequestID: testID, Payload: bytes.Repeat([]byte("x"), MaxPayload)},
			"Content-Length: 6291556|Content-Type: application/json|Lambda-Runtime-Aws-Request-Id: " + testID},
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
				"Lambda-Runtime-Invoked-Function-Arn Lambda-Runtime-Trace-Id", " ") {
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
		{name: "response", send: response + "Content-Type: application/json\nContent-Length: 2\n\n{}", status: 202, body: acceptedB,
			want: Answer{Payload: []byte("{}"), ContentType: typeJSON, Bytes: 2}},
		{name: "nothing", send: response + "\n", status: 202, body: acceptedB},
		{name: "chunks", send: response + "Transfer-Encoding: chunked\n\n2\r\n{\"\r\n3\r\n\":0\r\n1\r\n}\r\n0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Payload: []byte(`{"":0}`), Bytes: 6}},
		{name: "the largest", send: response + "Content-Length: 6291556\n\n" + long('x', MaxPayload), status: 202, body: acceptedB,
			want: Answer{Payload: []byte(long('x', MaxPayload)), Bytes: MaxPayload}},
		{name: "too large", send: response + "Content-Length: 6291557\n\n" + long('x', MaxPayload+1), status: 413, body: tooLarge, err: ErrTooLarge},
		{name: "too large in chunks", send: response + "Transfer-Encoding: chunked\n\n" + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n",
			status: 413, body: tooLarge, err: ErrTooLarge},
		{name: "mode", send: response + "Lambda-Runtime-Function-Response-Mode: buffered\nContent-Length: 2\n\n{}", status: 400, body: invalidMode, err: ErrResponseMode},
		{name: "broken chunks", send: response + "Transfer-Encoding: chunked\n\nzz\r\n", status: 400, body: truncated, err: ErrTruncated},

		{name: "error", send: fail + "Content-Type: application/json\nLambda-Runtime-Function-Error-Type: Function.Oops\nContent-Length: 21\n\n" + `{"errorMessage":"no"}`, status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`{"errorMessage":"no"}`), ContentType: typeJSON, ErrorType: "Function.Oops", Bytes: 21}},
		{name: "error of unknown type", send: fail + "Content-Length: 3\n\nxyz", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte("xyz"), ErrorType: "Runtime.Unknown", Bytes: 3}},
		{name: "error with cause", send: fail + "Content-Type: application/vnd.aws.lambda.error.cause+json\nContent-Length: 62\n\n" + `{"errorMessage":"m","errorType":"t","errorCause":{"paths":[]}}`, status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`{"errorMessage":"m","errorType":"t"}`), ContentType: typeJSON, ErrorType: "Runtime.Unknown", Bytes: 36}},
		{name: "broken error with cause", send: fail + "Content-Type: application/vnd.aws.lambda.error.cause+json\nContent-Length: 1\n\n{", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte(`"Invalid error body"`), ContentType: typeBinary, ErrorType: "Runtime.Unknown", Bytes: 20}},
		{name: "error too large", send: fail + "Content-Length: 6291557\n\n" + long('x', MaxPayload+1), status: 413, body: tooLarge, err: ErrTooLarge},
		{name: "error to a stream", stream: true, send: fail + "Content-Length: 1\n\n1", status: 202, body: acceptedB,
			want: Answer{Failed: true, Payload: []byte("1"), ErrorType: "Runtime.Unknown", Bytes: 1}},

		{name: "stream", stream: true, send: streaming + "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 5}, streamed: "abcde"},
		{name: "stream of nothing", stream: true, send: streaming + "0\r\n\r\n", status: 202, body: acceptedB, want: Answer{Streamed: true}},
		{name: "stream that fails", stream: true, send: streaming + "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Oops\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 2, StreamErrorType: "Oops", StreamErrorBody: []byte("{}")}, streamed: "ab"},
		{name: "stream for a caller who does not stream", send: streaming + "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Oops\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Payload: []byte("ab"), Bytes: 2, StreamErrorType: "Oops"}},
		{name: "stream too large for a caller who does not stream", send: streaming + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 413, body: tooLarge, err: ErrTooLarge},
		{name: "larger stream", stream: true, send: streaming + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 7 << 20}, streamed: long('x', 7<<20)},
		{name: "no stream for a caller who streams", stream: true, send: response + "Content-Length: 2\n\n{}", status: 202, body: acceptedB,
			want: Answer{Streamed: true, Bytes: 2}, streamed: "{}"},
		{name: "no stream and too large", stream: true, send: response + "Transfer-Encoding: chunked\n\n" + strings.Repeat("100000\r\n"+long('x', 1<<20)+"\r\n", 7) + "0\r\n\r\n", status: 413, body: tooLarge, err: ErrTooLarge,
			want: Answer{Streamed: true, Bytes: MaxPayload}, streamed: long('x', MaxPayload)},
		{name: "broken stream", stream: true, send: streaming + "2\r\nab\r\nzz\r\n", status: 400, body: truncated, err: ErrTruncated,
			want: Answer{Streamed: true, Bytes: 2}, streamed: "ab"},
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
			if o.err != tt.err {
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

// TestStates asks for everything in every state.
func TestStates(t *testing.T) {
	ask := func(p *peer, method, path string) got {
		p.send(method + " " + path + " HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}")
		return p.replyTo(method)
	}
	enter := map[string]func(t *testing.T) (*Session, string){
		"Started": func(t *testing.T) (*Session, string) { return serve(t) },
		"InitError": func(t *testing.T) (*Session, string) {
			s, addr := serve(t)
			if g := ask(dial(t, addr), "POST", pathInit); g.status != 202 || g.body != acceptedB {
				t.Fatalf("init error: %+v", g)
			}
			return s, addr
		},
		"Ready": func(t *testing.T) (*Session, string) {
			s, addr := serve(t)
			dial(t, addr).next()
			wait(t, s.WaitReady)
			return s, addr
		},
		"Running": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			return s, p.nc.RemoteAddr().String()
		},
		"InvocationResponse": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			waitState(t, s, stateResponse)
			return s, p.nc.RemoteAddr().String()
		},
		"InvocationErrorResponse": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			p.send("POST " + pathError(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			waitState(t, s, stateErrorAnswer)
			return s, p.nc.RemoteAddr().String()
		},
		"RuntimeResponseSentState": func(t *testing.T) (*Session, string) {
			s, p, ch := running(t, &Invocation{})
			p.post(pathResponse(testID), "{}")
			<-ch
			p.reply()
			return s, p.nc.RemoteAddr().String()
		},
	}
	const accepted, waits = "202", "waits"
	for _, tt := range []struct{ state, next, response, fail, init, other string }{
		{"Started", waits, "403", "403", accepted, "403"},
		{"InitError", "403", "403", "403", "403", "403"},
		{"Ready", waits, "403", "403", "403", "403"},
		{"Running", "200", accepted, accepted, "403", "400"},
		{"InvocationResponse", "403", "400", "400", "403", "400"},
		{"InvocationErrorResponse", "403", "400", "400", "403", "400"},
		{"RuntimeResponseSentState", waits, "400", "400", "403", "400"},
	} {
		for _, q := range []struct{ name, method, path, to, want string }{
			{"next", "GET", pathNext, "Ready", tt.next},
			{"response", "POST", pathResponse(testID), "InvocationResponse", tt.response},
			{"error", "POST", pathError(testID), "InvocationErrorResponse", tt.fail},
			{"init error", "POST", pathInit, "InitError", tt.init},
			{"another's id", "POST", pathResponse("8476a536-e9f4-11e8-9739-000000000000"), "InvocationResponse", tt.other},
			{"ping", "GET", "/ping", "", "200"},
			{"extension", "POST", "/2020-01-01/extension/register", "", "404"},
			{"telemetry", "PUT", "/2022-07-01/telemetry", "", "404"},
			{"restore", "GET", "/2018-06-01/runtime/restore/next", "", "404"},
			{"restore error", "POST", "/2018-06-01/runtime/restore/error", "", "404"},
			{"root", "GET", "/", "", "404"},
			{"get response", "GET", pathResponse(testID), "", "405"},
			{"post next", "POST", pathNext, "", "405"},
			{"head next", "HEAD", pathNext, "", "405"},
			{"head nothing", "HEAD", "/nothing", "", "404"},
			{"delete ping", "DELETE", "/ping", "", "405"},
		} {
			t.Run(tt.state+"/"+q.name, func(t *testing.T) {
				s, addr := enter[tt.state](t)
				p := dial(t, addr)
				if q.want == waits {
					p.next()
					wait(t, s.WaitIdle)
					return
				}
				g := ask(p, q.method, q.path)
				want := ""
				switch q.want {
				case accepted:
					want = acceptedB
				case "400":
					want = invalidID
				case "403":
					want = transition(tt.state, q.to)
				case "404":
					if want = "404 page not found\n"; q.method == "HEAD" {
						want = ""
					}
				case "200":
					if want = ""; q.path == "/ping" {
						want = "pong"
					}
				}
				if g.body != want || strconv.Itoa(g.status) != q.want || g.close {
					t.Errorf("got %d %q (close %v), want %s %q", g.status, g.body, g.close, q.want, want)
				}
			})
		}
	}
}

func waitState(t *testing.T, s *Session, want state) {
	t.Helper()
	for end := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		st := s.state
		s.mu.Unlock()
		if st == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("state %v, want %v", st, want)
		}
	}
}

func TestInitError(t *testing.T) {
	for _, tt := range []struct {
		name, head, body string
		want             InitError
	}{
		{"JSON", "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\n", `{"errorMessage":"no"}`, InitError{[]byte(`{"errorMessage":"no"}`), typeJSON, "Runtime.ImportModuleError"}},
		{"not JSON", "Content-Type: application/json\n", `no`, InitError{[]byte(`no`), typeBinary, "Runtime.Unknown"}},
		{"nothing", "", ``, InitError{nil, typeBinary, "Runtime.Unknown"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := serve(t)
			p := dial(t, addr)
			ready := make(chan error, 1)
			go func() { ready <- s.WaitReady(t.Context()) }()
			ch := run(t, s, &Invocation{RequestID: testID})
			p.send("POST " + pathInit + " HTTP/1.1\nHost: a\n" + tt.head + "Content-Length: " + strconv.Itoa(len(tt.body)) + "\n\n" + tt.body)
			var e *InitError
			if err := <-ready; !errors.As(err, &e) {
				t.Fatalf("ready: %v", err)
			}
			if string(e.Payload) != string(tt.want.Payload) || e.ContentType != tt.want.ContentType || e.ErrorType != tt.want.ErrorType {
				t.Errorf("got %+v, want %+v", e, tt.want)
			}
			if g := p.reply(); g.status != 202 {
				t.Errorf("%+v", g)
			}
			if o := <-ch; o.err != ErrNotReady {
				t.Errorf("the Run that waited: %v", o.err)
			}
			if err := s.WaitIdle(t.Context()); !errors.As(err, &e) {
				t.Errorf("idle: %v", err)
			}
			if _, err := s.Run(t.Context(), &Invocation{}); err != ErrNotReady {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// TestBegin: whatever state the old process was in, the new one starts afresh.
func TestBegin(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	s.Begin()
	if o := <-ch; o.err != ErrNotReady {
		t.Errorf("the Run that waited: %v", o.err)
	}
	p.ended()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); err != context.DeadlineExceeded {
		t.Fatalf("ready after Begin: %v", err)
	}
	p = dial(t, p.nc.RemoteAddr().String())
	p.next()
	wait(t, s.WaitReady)
	ch = run(t, s, &Invocation{RequestID: "2"})
	p.reply()
	p.post(pathResponse("2"), "{}")
	if o := <-ch; o.err != nil {
		t.Fatal(o.err)
	}
	p.reply()
	p.next()
	wait(t, s.WaitIdle)
	s.Begin()
	p.ended() // parked
}

// TestLateConnection: a process that asked for an event and died must not make its successor ready.
func TestLateConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, l.Addr().String())
	p.next()
	p.nc.Close() // before anybody accepted it
	s := NewSession(l)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); err != context.DeadlineExceeded {
		t.Errorf("ready: %v", err)
	}
}

// TestPipelined: our Python runtime sends its response and the next request at once.
func TestPipelined(t *testing.T) {
	s, addr := serve(t)
	p := dial(t, addr)
	p.next()
	for range 100 {
		ch := run(t, s, &Invocation{RequestID: testID, Payload: []byte("e")})
		if g := p.reply(); g.body != "e" {
			t.Fatalf("%+v", g)
		}
		p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 1\n\nrGET " + pathNext + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if o := <-ch; o.err != nil || string(o.answer.Payload) != "r" {
			t.Fatal(o)
		}
		if g := p.reply(); g.status != 202 {
			t.Fatalf("%+v", g)
		}
	}
	// Requests behind an unanswered next wait for it.
	p.send("GET /ping HTTP/1.1\nHost: a\n\n")
	ch := run(t, s, &Invocation{RequestID: testID, Payload: []byte("last")})
	if g := p.reply(); g.body != "last" {
		t.Errorf("%+v", g)
	}
	if g := p.reply(); g.body != "pong" {
		t.Errorf("%+v", g)
	}
	p.post(pathResponse(testID), "")
	<-ch
}

// TestConnectionPerRequest is how curl and urllib do it.
func TestConnectionPerRequest(t *testing.T) {
	s, addr := serve(t)
	for _, version := range []string{"1.0", "1.1"} {
		for range 10 {
			p := dial(t, addr)
			p.send("GET " + pathNext + " HTTP/" + version + "\nHost: a\nConnection: close\n\n")
			ch := run(t, s, &Invocation{RequestID: testID, Payload: make([]byte, 100<<10)})
			if g := p.reply(); !g.close || len(g.body) != 100<<10 {
				t.Fatalf("%d bytes, close %v", len(g.body), g.close)
			}
			p.ended()
			p = dial(t, addr)
			p.send("POST " + pathResponse(testID) + " HTTP/" + version + "\nHost: a\nContent-Length: 1\nConnection: close\n\n1")
			if g := p.reply(); !g.close || g.status != 202 {
				t.Fatalf("%+v", g)
			}
			p.ended()
			if o := <-ch; o.err != nil {
				t.Fatal(o.err)
			}
		}
	}
}

func TestExpectContinue(t *testing.T) {
	for _, tt := range []struct {
		name, path, length string
		proceeds           bool
		status             int
	}{
		{"response", pathResponse(testID), "1", true, 202},
		{"error", pathError(testID), "1", true, 202},
		{"wrong id", pathResponse("other"), "1", false, 400},
		{"too large", pathResponse(testID), "7000000", false, 413},
		{"unknown route", "/x", "1", false, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p, ch := running(t, &Invocation{})
			p.send("POST " + tt.path + " HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: " + tt.length + "\n\n")
			if tt.proceeds {
				if line, err := p.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
					t.Fatal(line, err)
				}
				if line, err := p.r.ReadString('\n'); err != nil || line != "\r\n" {
					t.Fatal(line, err)
				}
				_, _ = io.WriteString(p.nc, "1")
			}
			g := p.reply()
			if g.status != tt.status || g.close == tt.proceeds {
				t.Errorf("%+v", g)
			}
			if tt.proceeds {
				<-ch
			} else {
				p.ended()
			}
		})
	}
}

// TestRefused: heads that cannot be read are answered, and nothing behind them is.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		status     int
	}{
		{"malformed", "GET /ping\n\n", 400},
		{"smuggled", "POST " + pathInit + " HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\r\n\r\nGET /ping HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"large head", "GET /ping HTTP/1.1\nHost: a\nX: " + long('x', 100<<10) + "\n\n", 431},
		{"coding", "POST " + pathInit + " HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n", 501},
		{"version", "GET /ping HTTP/3.0\nHost: a\n\n", 505},
		{"expectation", "GET /ping HTTP/1.1\nHost: a\nExpect: more\n\n", 417},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := serve(t)
			p := dial(t, addr)
			p.send(tt.send)
			if g := p.reply(); g.status != tt.status || !g.close {
				t.Errorf("%+v", g)
			}
			p.ended()
		})
	}
}

// TestEndlessBody: a runtime cannot keep us reading for ever.
func TestEndlessBody(t *testing.T) {
	_, p, ch := running(t, &Invocation{})
	p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
	chunk := []byte("100000\r\n" + long('x', 1<<20) + "\r\n")
	sent, err := 0, error(nil)
	for err == nil && sent < 2*maxDrain {
		_, err = p.nc.Write(chunk)
		sent += 1 << 20
	}
	if o := <-ch; o.err != ErrTooLarge {
		t.Errorf("run: %v", o.err)
	}
	if err == nil {
		t.Errorf("%d MiB were read", sent>>20)
	}
}

// TestTooManyConnections: more connections wait, and the runtime's own is served once others go.
func TestTooManyConnections(t *testing.T) {
	s, addr := serve(t)
	var idle []*peer
	for range maxConns {
		idle = append(idle, dial(t, addr))
	}
	p := dial(t, addr)
	p.next()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); err != context.DeadlineExceeded {
		t.Fatalf("connection %d was served: %v", maxConns+1, err)
	}
	idle[7].nc.Close()
	wait(t, s.WaitReady)
}

// TestRuntimeAsksAgain: a runtime whose connection broke gets the same event once more.
func TestRuntimeAsksAgain(t *testing.T) {
	s, p, ch := running(t, &Invocation{Payload: []byte("e")})
	p.nc.Close()
	p = dial(t, p.nc.RemoteAddr().String())
	p.next()
	if g := p.reply(); g.body != "e" || g.header.Get("Lambda-Runtime-Aws-Request-Id") != testID {
		t.Errorf("%+v", g)
	}
	p.post(pathResponse(testID), "r")
	if o := <-ch; o.err != nil || string(o.answer.Payload) != "r" {
		t.Error(o)
	}
	p.reply()
	// Of two that wait the later one counts.
	p.next()
	wait(t, s.WaitIdle)
	q := dial(t, p.nc.RemoteAddr().String())
	q.next()
	p.ended()
	ch = run(t, s, &Invocation{RequestID: testID})
	q.reply()
	q.post(pathResponse(testID), "r")
	<-ch
}

func TestOneRunAtATime(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	if _, err := s.Run(t.Context(), &Invocation{RequestID: "2"}); err != ErrNotReady {
		t.Errorf("second Run: %v", err)
	}
	p.post(pathResponse(testID), "")
	if o := <-ch; o.err != nil {
		t.Error(o.err)
	}
}

func TestClose(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	ready, _ := serve(t)
	waited := make(chan error, 1)
	go func() { waited <- ready.WaitReady(t.Context()) }()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := ready.Close(); err != nil {
			t.Error(err)
		}
	}
	if o := <-ch; o.err != ErrSessionClosed {
		t.Errorf("the Run that waited: %v", o.err)
	}
	if err := <-waited; err != ErrSessionClosed {
		t.Errorf("ready: %v", err)
	}
	p.ended()
	if _, err := s.Run(t.Context(), &Invocation{}); err != ErrSessionClosed {
		t.Errorf("run: %v", err)
	}
	if err := s.WaitIdle(t.Context()); err != ErrSessionClosed {
		t.Errorf("idle: %v", err)
	}
	if nc, err := net.Dial("tcp", p.nc.RemoteAddr().String()); err == nil {
		nc.Close()
		t.Error("it still listens")
	}
}

// TestListenerClosed: the sandbox may take its listener away.
func TestListenerClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSession(l)
	l.Close()
	if err := s.WaitReady(t.Context()); err != ErrSessionClosed {
		t.Errorf("ready: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
