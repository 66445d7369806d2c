package dispatch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/enfold-run/enfold/aws"
)

const account = "000000000000"

var errModelled = &aws.ErrorType{Code: "ResourceNotFoundException", Status: 404}

type input struct{ FunctionName *string }

// newService is a service with one op, whose implementation is the func that Register gets.
func newService() (*aws.Service, *aws.Op) {
	svc := &aws.Service{Name: "fake"}
	op := &aws.Op{
		Service: svc, Name: "Do", Action: "fake:Do",
		Resource: "arn:${Partition}:fake:${Region}:${Account}:thing:${FunctionName}/${Other}",
		Call: func(ctx context.Context, impl, in any) (any, error) {
			return impl.(func(context.Context, *input) (any, error))(ctx, in.(*input))
		},
	}
	svc.Ops = []*aws.Op{op}
	return svc, op
}

func newCall(op *aws.Op) *aws.Call {
	return &aws.Call{
		Op: op, Principal: aws.RootOf(account, "AKID"), Account: account, Region: "eu-west-1", RequestID: "the-request",
		Input: &input{FunctionName: new("f")},
	}
}

func TestDoAnswersTheHandlersOutput(t *testing.T) {
	svc, op := newService()
	d := New(Deps{Log: slog.New(slog.DiscardHandler)})
	d.Register(svc, func(ctx context.Context, in *input) (any, error) {
		if aws.CallFrom(ctx).RequestID != "the-request" {
			t.Error("the handler does not see its call")
		}
		return *in.FunctionName, nil
	})
	if out, err := d.Do(t.Context(), newCall(op)); out != "f" || err != nil {
		t.Errorf("Do = %v, %v", out, err)
	}
}

func TestErrors(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		answer func() (any, error)
		want   *aws.ErrorType
		log    string // in the log; empty: nothing is logged
	}{
		{"modelled", t.Context(), func() (any, error) { return nil, errModelled.New("no f") }, errModelled, ""},
		{"wrapped", t.Context(), func() (any, error) {
			return nil, errors.Join(errors.New("read f"), errModelled.New("no f"))
		}, errModelled, ""},
		{"of ours with a cause", t.Context(), func() (any, error) {
			return nil, aws.ErrUnavailable.New("later").Because(io.ErrShortWrite)
		}, aws.ErrUnavailable, "short write"},
		{"any other", t.Context(), func() (any, error) { return nil, io.ErrShortWrite }, aws.ErrInternalFailure, "short write"},
		{"panic", t.Context(), func() (any, error) { panic("oh no") }, aws.ErrInternalFailure, "dispatch_test.go"},
		{"client gone", cancelled, func() (any, error) { return nil, context.Canceled }, aws.ErrUnavailable, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			svc, op := newService()
			d := New(Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
			d.Register(svc, func(context.Context, *input) (any, error) { return c.answer() })
			out, err := d.Do(c.ctx, newCall(op))
			if out != nil || !errors.Is(err, c.want) {
				t.Fatalf("Do = %v, %v, want %s", out, err, c.want.Code)
			}
			if e := err.(*aws.Error); strings.Contains(e.Message, "short write") || strings.Contains(e.Message, "oh no") {
				t.Errorf("the client learns the cause: %s", e.Message)
			}
			if (c.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), c.log) {
				t.Errorf("log = %s, want %q in it", log.String(), c.log)
			}
			if log.Len() > 0 && (!strings.Contains(log.String(), "requestId=the-request") || strings.Count(log.String(), "\n") != 1) {
				t.Errorf("log is not one line with the request id: %s", log.String())
			}
		})
	}
}

func TestUnregisteredOp(t *testing.T) {
	_, op := newService()
	if _, err := New(Deps{}).Do(t.Context(), newCall(op)); !errors.Is(err, aws.ErrNotImplemented) {
		t.Errorf("error = %v", err)
	}
}

// order writes down who was asked.
type order struct {
	seen    []string
	limit   error
	deny    error
	refusal *aws.Error
}

func (o *order) Limit(context.Context, *aws.Call) error {
	o.seen = append(o.seen, "limit")
	return o.limit
}

func (o *order) Authorize(context.Context, *aws.Call, any) error {
	o.seen = append(o.seen, "authorize")
	return o.deny
}

func (o *order) Record(_ context.Context, _ *aws.Call, _ any, err *aws.Error) {
	o.seen = append(o.seen, "audit")
	o.refusal = err
}

func TestTheOnePath(t *testing.T) {
	throttled, denied := aws.ErrThrottling.New("Rate exceeded"), aws.ErrAccessDenied.New("no")
	for _, c := range []struct {
		name string
		o    order
		want string
		err  *aws.Error
	}{
		{"all well", order{}, "limit authorize handle audit", nil},
		{"throttled", order{limit: throttled}, "limit audit", throttled},
		{"denied", order{deny: denied}, "limit authorize audit", denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &c.o
			svc, op := newService()
			d := New(Deps{Limiter: o, Authorizer: o, Auditor: o})
			d.Register(svc, func(context.Context, *input) (any, error) {
				o.seen = append(o.seen, "handle")
				return nil, nil
			})
			_, err := d.Do(t.Context(), newCall(op))
			if got := strings.Join(o.seen, " "); got != c.want {
				t.Errorf("path = %s, want %s", got, c.want)
			}
			if o.refusal != c.err || (c.err != nil) != (err != nil) {
				t.Errorf("audited %v, answered %v, want %v", o.refusal, err, c.err)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	svc, op := newService()
	d := New(Deps{Metrics: reg})
	answers := []error{nil, nil, errModelled.New("no f")}
	d.Register(svc, func(context.Context, *input) (any, error) {
		err := answers[0]
		answers = answers[1:]
		return nil, err
	})
	for len(answers) > 0 {
		_, _ = d.Do(t.Context(), newCall(op))
	}
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "enfold_call_duration_seconds" {
				got["duration"] = float64(m.GetHistogram().GetSampleCount())
				continue
			}
			for _, l := range m.Label {
				if l.GetName() == "status" {
					got[l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	if got["200"] != 2 || got["404"] != 1 || got["duration"] != 3 || len(got) != 3 {
		t.Errorf("metrics = %v", got)
	}
}

func TestMetricsOfFirstAnswersAtOnce(t *testing.T) {
	const callers, each = 8, 50
	reg := prometheus.NewRegistry()
	svc, op := newService()
	d := New(Deps{Metrics: reg})
	d.Register(svc, func(context.Context, *input) (any, error) { return nil, nil })
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Fatalf("%d families, %v: want no series of zeros", len(families), err)
	}
	measure := d.ops[op].measure
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := range each {
				measure.counter(200 + i%5).Inc()
			}
		})
	}
	all.Wait()
	for status := 200; status < 205; status++ {
		var m dto.Metric
		if err := measure.counter(status).Write(&m); err != nil {
			t.Fatal(err)
		}
		if got := m.GetCounter().GetValue(); got != callers*each/5 {
			t.Errorf("%d calls answered %d, want %d", int(got), status, callers*each/5)
		}
	}
}

func TestOwnAccount(t *testing.T) {
	service := aws.ServicePrincipal("lambda.amazonaws.com")
	user := &aws.Principal{Type: aws.User, Account: account, Arn: "arn:aws:iam::" + account + ":user/u"}
	for _, c := range []struct {
		name   string
		p      *aws.Principal
		change func(*aws.Call)
		ok     bool
	}{
		{"root of the account", aws.RootOf(account, "AKID"), nil, true},
		{"root of another", aws.RootOf("111111111111", "AKID"), nil, false},
		{"root of no account", &aws.Principal{Type: aws.Root}, func(c *aws.Call) { c.Account = "" }, false},
		{"user", user, nil, false},
		{"user, op that needs no permission", user, func(c *aws.Call) {
			op := *c.Op
			op.NoAuth = true
			c.Op = &op
		}, true},
		{"role", &aws.Principal{Type: aws.AssumedRole, Account: account}, nil, false},
		{"anonymous", &aws.Principal{Type: aws.Anonymous, Account: account}, nil, false},
		{"nobody", nil, nil, false},
		{"service", service, nil, true},
		{"service for its account", service, func(c *aws.Call) { c.SourceAccount = account }, true},
		{"service for another account", service, func(c *aws.Call) { c.SourceAccount = "111111111111" }, false},
		{"service in no account", service, func(c *aws.Call) { c.Account = "" }, false},
		{"no service of AWS", aws.ServicePrincipal("example.org"), nil, false},
		{"user who calls himself a service", &aws.Principal{Type: aws.User, Service: "lambda.amazonaws.com"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, op := newService()
			call := newCall(op)
			call.Principal = c.p
			if c.change != nil {
				c.change(call)
			}
			err := OwnAccount{}.Authorize(t.Context(), call, nil)
			if (err == nil) != c.ok || !c.ok && !errors.Is(err, aws.ErrAccessDenied) {
				t.Errorf("Authorize = %v, want ok = %t", err, c.ok)
			}
		})
	}
}

func TestOwnAccountMessage(t *testing.T) {
	for _, c := range []struct {
		name      string
		resources func(ctx context.Context, impl, input any) ([]string, error)
		want      string
	}{
		{"template", nil, "arn:aws:fake:eu-west-1:000000000000:thing:f/*"},
		{"of the service", func(_ context.Context, impl, in any) ([]string, error) {
			return []string{impl.(string) + *in.(*input).FunctionName}, nil
		}, "arn:f"},
		{"unknown", func(context.Context, any, any) ([]string, error) { return nil, errModelled.New("no f") }, "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, op := newService()
			op.Resources = c.resources
			call := newCall(op)
			call.Principal = &aws.Principal{Type: aws.User, Account: account, Arn: "arn:aws:iam::000000000000:user/u"}
			want := "AccessDeniedException: User: arn:aws:iam::000000000000:user/u is not authorized to perform: fake:Do on " +
				"resource: " + c.want + " because no identity-based policy allows the fake:Do action"
			if err := (OwnAccount{}).Authorize(t.Context(), call, "arn:"); err == nil || err.Error() != want {
				t.Errorf("error = %v\nwant    %s", err, want)
			}
		})
	}
}

func BenchmarkDo(b *testing.B) {
	svc, op := newService()
	d := New(Deps{Metrics: prometheus.NewRegistry()})
	d.Register(svc, func(context.Context, *input) (any, error) { return nil, nil })
	call := newCall(op)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Do(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
}
