package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	account = "000000000000"
	keyID   = "AKIDEXAMPLE"
	secret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// oneKey is a sigv4.Keys with one key in it.
type oneKey struct{}

func (oneKey) Lookup(_ context.Context, id, token string) (sigv4.Key, error) {
	if id != keyID || token != "" {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: []byte(secret), Principal: aws.RootOf(account, keyID)}, nil
}

type echoInput struct {
	Name    *string `wire:"Name,label" check:"required,max=20"`
	Payload []byte  `wire:"Payload,payload"`
}

type echoOutput struct {
	Status  *int   `wire:"StatusCode,status"`
	Payload []byte `wire:"Payload,payload"`
}

type chunkEvent struct {
	Payload []byte `wire:"Payload,eventpayload"`
}

type streamInput struct {
	Name *string `wire:"Name,label"`
}

type streamOutput struct {
	Events iter.Seq2[any, error] `wire:"Events,payload,events" events:"Chunk=chunkEvent"`
}

type putInput struct {
	Name *string   `wire:"Name,label"`
	Body io.Reader `wire:"Body,payload"`
}

type putOutput struct {
	Size *string `wire:"X-Size,header"`
}

type textInput struct {
	Text *string `wire:"Text"`
}

type textOutput struct {
	Text *string `wire:"Text"`
}

// fake is a service whose every op runs a func of the test's.
type fake struct {
	echo   func(ctx context.Context, in *echoInput) (*echoOutput, error)
	stream func(ctx context.Context) iter.Seq2[any, error]
}

const maxEcho = 1 << 20

// services are one service of each kind of routing: by path, by target, by form.
func services() []*aws.Service {
	rest := &aws.Service{Name: "fake", ID: "Fake", SigningName: "fake", Protocols: []aws.Protocol{aws.RestJSON}, TypedErrors: true}
	rest.Ops = []*aws.Op{
		{
			Service: rest, Name: "Echo", Method: "POST", URI: "/things/{Name}/echo", Action: "fake:EchoThing", Resource: "*", MaxBody: maxEcho,
			NewInput: func() any { return new(echoInput) }, NewOutput: func() any { return new(echoOutput) },
			Call: func(ctx context.Context, impl, in any) (any, error) {
				return impl.(*fake).echo(ctx, in.(*echoInput))
			},
		},
		{
			Service: rest, Name: "Put", Method: "PUT", URI: "/things/{Name}", Action: "fake:Put", Resource: "*", MaxBody: maxEcho,
			NewInput: func() any { return new(putInput) }, NewOutput: func() any { return new(putOutput) },
			Call: func(_ context.Context, _, in any) (any, error) {
				b, err := io.ReadAll(in.(*putInput).Body)
				if err != nil {
					return nil, err
				}
				return &putOutput{Size: new(string(b))}, nil
			},
		},
		{
			Service: rest, Name: "Stream", Method: "GET", URI: "/things/{Name}/stream", Action: "fake:Stream", Resource: "*",
			NewInput: func() any { return new(streamInput) }, NewOutput: func() any { return new(streamOutput) },
			Call: func(ctx context.Context, impl, _ any) (any, error) {
				return &streamOutput{Events: impl.(*fake).stream(ctx)}, nil
			},
		},
	}
	upper := func(_ context.Context, _, in any) (any, error) {
		text := in.(*textInput).Text
		if text == nil {
			return nil, aws.ErrValidation.New("no text")
		}
		return &textOutput{Text: new(strings.ToUpper(*text))}, nil
	}
	text := func(name, version, target string, p aws.Protocol) *aws.Service {
		s := &aws.Service{Name: name, ID: name, SigningName: name, Version: version, TargetPrefix: target, Protocols: []aws.Protocol{p}}
		s.Ops = []*aws.Op{{
			Service: s, Name: "Upper", Method: "POST", URI: "/", Action: name + ":Upper", Resource: "*", MaxBody: 1 << 10, Call: upper,
			NewInput: func() any { return new(textInput) }, NewOutput: func() any { return new(textOutput) },
		}}
		return s
	}
	return []*aws.Service{
		rest, text("fakejson", "2020-01-01", "Fake_20200101", aws.JSON11), text("fakequery", "2020-01-01", "", aws.Query),
	}
}

// house is a gateway over the fake services.
type house struct {
	*Gateway
	fake fake
	log  logBuffer
	last *aws.Call
	mu   sync.Mutex
}

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHouse(change ...func(*Deps)) *house {
	h := &house{}
	h.fake = fake{
		echo: func(ctx context.Context, in *echoInput) (*echoOutput, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.last = aws.CallFrom(ctx)
			return &echoOutput{Payload: in.Payload}, nil
		},
		stream: func(context.Context) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				_ = yield(&chunkEvent{Payload: []byte("one")}, nil) && yield(&chunkEvent{Payload: []byte("two")}, nil)
			}
		},
	}
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	all := services()
	reg := prometheus.NewRegistry()
	calls := dispatch.New(dispatch.Deps{Log: log, Metrics: reg})
	for _, s := range all {
		calls.Register(s, &h.fake)
	}
	d := Deps{
		Router: wire.NewRouter(all...), Verifier: sigv4.New(oneKey{}), Doer: calls, Region: "us-east-1", Log: log,
		Health:   func() any { return map[string]string{"status": "ok"} },
		Metrics:  reg,
		Internal: map[string]http.Handler{"/_enfold/file/": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "file") })},
	}
	for _, c := range change {
		c(&d)
	}
	h.Gateway = New(d)
	return h
}

// request is a request that is not signed yet.
func newRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:4566"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	return r
}

func sign(r *http.Request, service, body string) *http.Request {
	sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: keyID, Secret: []byte(secret), Region: "eu-west-1", Service: service}, time.Now())
	return r
}

// echo is a signed Echo of body.
func echo(body string) *http.Request {
	return sign(newRequest("POST", "/things/t/echo", body), "fake", body)
}

// text is a request as it goes over the wire.
func text(t testing.TB, r *http.Request, body string) string {
	t.Helper()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var errBroken = errors.New("disk on fire")
