package wire_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/wire"
)

func router() *wire.Router { return wire.NewRouter(lambda.Service, sts.Service, logs.Service) }

func TestRoute(t *testing.T) {
	rt := router()
	for _, tc := range []struct {
		name, method, target, signing string
		header                        map[string]string
		body                          string
		op                            string
		protocol                      aws.Protocol
	}{
		{name: "label", method: "POST", target: "/2015-03-31/functions/f/invocations", signing: "lambda", op: "Invoke", protocol: aws.RestJSON},
		{name: "unsigned", method: "POST", target: "/2015-03-31/functions/f/invocations", op: "Invoke", protocol: aws.RestJSON},
		{
			name: "form type on a REST path", method: "POST", target: "/2015-03-31/functions/f/invocations", signing: "lambda",
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "Action=x", op: "Invoke", protocol: aws.RestJSON,
		},
		{name: "escaped ARN", method: "GET", target: "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", op: "ListTags", protocol: aws.RestJSON},
		{name: "slash in a label", method: "GET", target: "/2017-03-31/tags/a%2Fb", op: "ListTags", protocol: aws.RestJSON},
		{name: "constant query", method: "GET", target: "/2018-10-31/layers?find=LayerVersion&Arn=a", op: "GetLayerVersionByArn", protocol: aws.RestJSON},
		{name: "without the constant", method: "GET", target: "/2018-10-31/layers?Marker=a", op: "ListLayers", protocol: aws.RestJSON},
		{name: "trailing slash", method: "GET", target: "/2015-03-31/functions/", op: "ListFunctions", protocol: aws.RestJSON},
		{name: "longer path", method: "GET", target: "/2019-09-25/functions/f/event-invoke-config/list", op: "ListFunctionEventInvokeConfigs", protocol: aws.RestJSON},
		{name: "json 1.1", method: "POST", target: "/", signing: "logs", header: map[string]string{
			"X-Amz-Target": "Logs_20140328.PutLogEvents", "Content-Type": "application/x-amz-json-1.1",
		}, op: "PutLogEvents", protocol: aws.JSON11},
		{name: "json 1.0", method: "POST", target: "/", header: map[string]string{
			"X-Amz-Target": "Logs_20140328.PutLogEvents", "Content-Type": "application/x-amz-json-1.0",
		}, op: "PutLogEvents", protocol: aws.JSON10},
		{
			name: "query in the body", method: "POST", target: "/", signing: "sts",
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
			body:   "Action=GetCallerIdentity&Version=2011-06-15", op: "GetCallerIdentity", protocol: aws.Query,
		},
		{name: "query in the URL", method: "GET", target: "/?Action=GetCallerIdentity&Version=2011-06-15", op: "GetCallerIdentity", protocol: aws.Query},
		{
			name: "query without a version", method: "POST", target: "/",
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "Action=GetCallerIdentity",
			op: "GetCallerIdentity", protocol: aws.Query,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, tc.target, strings.NewReader(tc.body))
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			m, err := rt.Route(r, tc.signing, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if m.Op.Name != tc.op || m.Protocol != tc.protocol {
				t.Errorf("got %s in %s, want %s in %s", m.Op.Name, m.Protocol, tc.op, tc.protocol)
			}
		})
	}
}

func TestRouteRefuses(t *testing.T) {
	rt := router()
	for _, tc := range []struct {
		name, method, target, signing, amzTarget string
		want                                     error
		message                                  string
	}{
		{name: "unknown path", method: "GET", target: "/nothing/here", want: aws.ErrUnknownOp},
		{name: "wrong method", method: "PATCH", target: "/2015-03-31/functions/f", want: aws.ErrUnknownOp},
		{name: "other service's path", method: "GET", target: "/2015-03-31/functions", signing: "sts", want: aws.ErrUnknownOp},
		{name: "empty label", method: "POST", target: "/2015-03-31/functions//invocations", want: aws.ErrUnknownOp},
		{name: "too deep", method: "GET", target: strings.Repeat("/a", 4000), want: aws.ErrUnknownOp},
		{
			name: "absent REST op", method: "GET", target: "/2020-04-22/code-signing-configs/x", want: aws.ErrNotImplemented,
			message: "Enfold does not implement GetCodeSigningConfig of Lambda.",
		},
		{
			name: "absent JSON op", method: "POST", target: "/", amzTarget: "Logs_20140328.StartQuery", want: aws.ErrNotImplemented,
			message: "Enfold does not implement StartQuery of CloudWatch Logs.",
		},
		{
			name: "absent query op", method: "GET", target: "/?Action=AssumeRoleWithSAML&Version=2011-06-15", want: aws.ErrNotImplemented,
			message: "Enfold does not implement AssumeRoleWithSAML of STS.",
		},
		{name: "unknown JSON op", method: "POST", target: "/", amzTarget: "Logs_20140328.Nothing", want: aws.ErrUnknownOp},
		{name: "unknown target", method: "POST", target: "/", amzTarget: "Nothing.Nothing", want: aws.ErrUnknownOp},
		{name: "target without a dot", method: "POST", target: "/", amzTarget: "Nothing", want: aws.ErrUnknownOp},
		{
			name: "unknown action", method: "GET", target: "/?Action=Nothing&Version=2011-06-15", want: aws.ErrUnknownOp,
			message: "Could not find operation Nothing for version 2011-06-15",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, tc.target, nil)
			if tc.amzTarget != "" {
				r.Header.Set("X-Amz-Target", tc.amzTarget)
			}
			_, err := rt.Route(r, tc.signing, nil)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if e, _ := errors.AsType[*aws.Error](err); tc.message != "" && e.Message != tc.message {
				t.Errorf("got %q, want %q", e.Message, tc.message)
			}
		})
	}
}

func TestInvokeRoundTrip(t *testing.T) {
	rt := router()
	body := []byte(`{"a":1}`)
	r := httptest.NewRequest("POST", "/2015-03-31/functions/my%3Afn/invocations?Qualifier=%24LATEST", nil)
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	m, err := rt.Route(r, "lambda", nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := m.Decode(r, body)
	if err != nil {
		t.Fatal(err)
	}
	got := in.(*lambda.InvokeInput)
	if *got.FunctionName != "my:fn" || *got.Qualifier != "$LATEST" || *got.InvocationType != "RequestResponse" || &got.Payload[0] != &body[0] {
		t.Errorf("got %+v", got)
	}
	w := httptest.NewRecorder()
	if err := m.Encode(w, "id", &lambda.InvokeOutput{StatusCode: new(200), Payload: body, ExecutedVersion: new("$LATEST")}); err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || w.Body.String() != `{"a":1}` || w.Header().Get("X-Amz-Executed-Version") != "$LATEST" || w.Header().Get("x-amzn-RequestId") != "id" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	m.EncodeError(w, "id", lambda.ErrResourceNotFound.New("Function not found: x"))
	if w.Code != 404 || w.Body.String() != `{"Message":"Function not found: x","Type":"User"}` || w.Header().Get("x-amzn-ErrorType") != "ResourceNotFoundException" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func BenchmarkInvoke(b *testing.B) {
	rt := router()
	body := []byte(`{"a":1}`)
	r := httptest.NewRequest("POST", "/2015-03-31/functions/my-function/invocations", nil)
	out := &lambda.InvokeOutput{StatusCode: new(200), Payload: body, ExecutedVersion: new("$LATEST")}
	b.ReportAllocs()
	for b.Loop() {
		m, err := rt.Route(r, "lambda", nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Decode(r, body); err != nil {
			b.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := m.Encode(w, "id", out); err != nil {
			b.Fatal(err)
		}
	}
}
