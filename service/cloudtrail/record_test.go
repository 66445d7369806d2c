package cloudtrail

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// TestRecords holds whole records, but for their random eventID.
func TestRecords(t *testing.T) {
	f := newFixture(t)
	create := &lambdaapi.CreateFunctionInput{
		FunctionName: new("hello"), Role: new(role), MemorySize: new(128),
		Code:        &lambdaapi.FunctionCode{ZipFile: []byte("code-secret")},
		Environment: &lambdaapi.Environment{Variables: map[string]string{"TOKEN": "variable-secret"}},
		Tags:        map[string]string{"b": "2", "a": "1"},
	}
	created := &lambdaapi.CreateFunctionOutput{
		FunctionName: new("hello"), FunctionArn: new(hello),
		Environment: &lambdaapi.EnvironmentResponse{Variables: map[string]string{"TOKEN": "variable-secret"}},
	}
	denied := aws.ErrAccessDenied.New("User: x is not authorized to perform: lambda:DeleteFunction")
	session := `"userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:job-7","arn":"arn:aws:sts::000000000000:assumed-role/worker/job-7",` +
		`"accountId":"000000000000","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE",` +
		`"arn":"arn:aws:iam::000000000000:role/app/worker","accountId":"000000000000","userName":"worker"},` +
		`"attributes":{"creationDate":"2026-11-21T11:00:00Z","mfaAuthenticated":"false"}}}`
	asRoot := `"userIdentity":{"type":"Root","principalId":"000000000000","arn":"arn:aws:iam::000000000000:root","accountId":"000000000000","accessKeyId":"AKIAROOT"}`
	from := `"awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli/2"`
	resource := `"resources":[{"accountId":"000000000000","type":"AWS::Lambda::Function","ARN":"arn:aws:lambda:eu-west-1:000000000000:function:hello"}],"eventType":"AwsApiCall"`
	for _, c := range []struct {
		name string
		call *aws.Call
		out  any
		err  *aws.Error
		want string // ID and REQUEST stand for the ids
	}{
		{
			"a change", f.call(root, lambdaapi.OpCreateFunction, hello, create), created, nil,
			`{"eventVersion":"1.09",` + asRoot + `,"eventTime":"2026-11-21T12:00:00Z","eventSource":"lambda.amazonaws.com","eventName":"CreateFunction20150331",` +
				from + `,"requestParameters":{"functionName":"hello","role":"` + role + `","code":{},"memorySize":128,"tags":{"a":"1","b":"2"}},` +
				`"responseElements":{"functionName":"hello","functionArn":"` + hello + `"},"requestID":"REQUEST","eventID":"ID","readOnly":false,` +
				resource + `,"managementEvent":true,"recipientAccountId":"000000000000","eventCategory":"Management"}`,
		},
		{
			"a look", f.call(worker, lambdaapi.OpGetFunction, hello, &lambdaapi.GetFunctionInput{FunctionName: new("hello")}),
			&lambdaapi.GetFunctionOutput{Code: &lambdaapi.FunctionCodeLocation{Location: new("http://link-secret")}}, nil,
			`{"eventVersion":"1.09",` + session + `,"eventTime":"2026-11-21T12:00:00Z","eventSource":"lambda.amazonaws.com","eventName":"GetFunction20150331v2",` +
				from + `,"requestParameters":{"functionName":"hello"},"responseElements":null,"requestID":"REQUEST","eventID":"ID","readOnly":true,` +
				resource + `,"managementEvent":true,"recipientAccountId":"000000000000","eventCategory":"Management"}`,
		},
		{
			"a refusal", f.remove(worker), nil, denied,
			`{"eventVersion":"1.09",` + session + `,"eventTime":"2026-11-21T12:00:00Z","eventSource":"lambda.amazonaws.com","eventName":"DeleteFunction20150331",` +
				from + `,"errorCode":"AccessDenied","errorMessage":"User: x is not authorized to perform: lambda:DeleteFunction",` +
				`"requestParameters":{"functionName":"hello"},"responseElements":null,"requestID":"REQUEST","eventID":"ID","readOnly":false,` +
				resource + `,"managementEvent":true,"recipientAccountId":"000000000000","eventCategory":"Management"}`,
		},
		{
			"an invocation", f.invoke(worker), &lambdaapi.InvokeOutput{ExecutedVersion: new("$LATEST"), Payload: []byte("answer-secret")}, nil,
			`{"eventVersion":"1.09",` + session + `,"eventTime":"2026-11-21T12:00:00Z","eventSource":"lambda.amazonaws.com","eventName":"Invoke",` +
				from + `,"requestParameters":{"functionName":"` + hello + `","invocationType":"RequestResponse"},"responseElements":null,` +
				`"additionalEventData":{"functionVersion":"` + hello + `:$LATEST"},"requestID":"REQUEST","eventID":"ID","readOnly":false,` +
				resource + `,"managementEvent":false,"recipientAccountId":"000000000000","eventCategory":"Data"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.record(c.call, c.out, c.err)
			list := f.events(Query{})
			var e *Event
			for _, o := range list {
				if o.RequestID == c.call.RequestID {
					e = o
				}
			}
			if e == nil {
				t.Fatal("not recorded")
			}
			var v any
			if err := json.Unmarshal([]byte(e.Record), &v); err != nil {
				t.Fatalf("no JSON: %v", err)
			}
			got := strings.NewReplacer(e.ID, "ID", e.RequestID, "REQUEST").Replace(e.Record)
			if normal(t, got) != normal(t, c.want) {
				t.Errorf("record\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// normal is JSON with its keys in order.
func normal(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNoSecrets looks for what must not be in the data directory, in the clear, and in what the API answers.
func TestNoSecrets(t *testing.T) {
	f := newFixture(t)
	in := &lambdaapi.UpdateFunctionConfigurationInput{
		FunctionName: new("hello"), Environment: &lambdaapi.Environment{Variables: map[string]string{"A": "variable-secret"}},
	}
	call := f.call(root, lambdaapi.OpUpdateFunctionConfiguration, hello, in)
	f.change(call)
	f.record(call, &lambdaapi.UpdateFunctionConfigurationOutput{Environment: &lambdaapi.EnvironmentResponse{Variables: in.Environment.Variables}}, nil)
	f.record(f.invoke(root), &lambdaapi.InvokeOutput{Payload: []byte("answer-secret")}, nil)
	f.record(f.call(root, lambdaapi.OpPublishLayerVersion, hello, &lambdaapi.PublishLayerVersionInput{
		Content: &lambdaapi.LayerVersionContentInput{ZipFile: []byte("code-secret")}, Description: new("http://h/p?X-Amz-Signature=link-secret"),
	}), &lambdaapi.PublishLayerVersionOutput{Content: &lambdaapi.LayerVersionContentOutput{Location: new("http://link-secret")}}, nil)
	n := 0
	for _, e := range f.events(Query{}) {
		n++
		if strings.Contains(e.Record, "secret") {
			t.Errorf("a secret in %s", e.Record)
		}
	}
	if n != 3 {
		t.Fatalf("%d events, want 3", n)
	}
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("-secret")) {
			t.Errorf("a secret in %s", filepath.Base(path))
		}
		return err
	})
	f.check(err, "")
}

// TestInputMayChange changes an input after it was recorded and before it is written.
func TestInputMayChange(t *testing.T) {
	f := newFixture(t)
	call := f.remove(root)
	f.record(call, nil, nil)
	call.Input.(*lambdaapi.DeleteFunctionInput).FunctionName = new("other")
	if got := f.only()["requestParameters"].(map[string]any)["functionName"]; got != "hello" {
		t.Errorf("functionName = %v", got)
	}
}

func TestTooLarge(t *testing.T) {
	f := newFixture(t)
	f.record(f.call(root, lambdaapi.OpCreateFunction, hello, &lambdaapi.CreateFunctionInput{Description: new(strings.Repeat("x", 200<<10))}), nil, nil)
	got := f.only()["requestParameters"].(map[string]any)
	if got["omitted"] != true || got["reasonCode"] != "requestParameters too large" {
		t.Errorf("requestParameters = %v", got)
	}
}

// TestAcrossAccounts: a call on another account's function is in the trail of both, under one id; a refused one is not.
func TestAcrossAccounts(t *testing.T) {
	f := newFixture(t)
	stranger := &aws.Principal{Type: aws.User, Account: "111111111111", Arn: "arn:aws:iam::111111111111:user/eve", ID: "AIDAEVE"}
	f.record(f.remove(stranger), nil, nil)
	a, b := f.events(Query{}), f.events(Query{Account: "111111111111"})
	if len(a) != 1 || len(b) != 1 {
		t.Fatalf("%d and %d events, want one each", len(a), len(b))
	}
	var x, y struct{ SharedEventID, RecipientAccountID, EventID string }
	f.check(json.Unmarshal([]byte(a[0].Record), &x), "")
	f.check(json.Unmarshal([]byte(b[0].Record), &y), "")
	if x.SharedEventID == "" || x.SharedEventID != y.SharedEventID || x.EventID == y.EventID || y.RecipientAccountID != "111111111111" {
		t.Errorf("%+v and %+v", x, y)
	}
}

func TestEventNames(t *testing.T) {
	for op, want := range map[*aws.Op]string{
		lambdaapi.OpUpdateFunctionCode:     "UpdateFunctionCode20150331v2",
		lambdaapi.OpPublishLayerVersion:    "PublishLayerVersion20181031",
		lambdaapi.OpTagResource:            "TagResource20170331v2",
		lambdaapi.OpPutFunctionConcurrency: "PutFunctionConcurrency20171031",
		lambdaapi.OpInvoke:                 "Invoke",
	} {
		if got := eventName(op); got != want {
			t.Errorf("%s is %s, want %s", op.Name, got, want)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	f := newFixture(b)
	call := f.invoke(worker)
	out := &lambdaapi.InvokeOutput{ExecutedVersion: new("$LATEST")}
	b.ReportAllocs()
	for b.Loop() {
		f.Record(b.Context(), call, out, nil)
		if len(f.queue) >= hurryAt { // the writer's part is BenchmarkWrite's
			f.queue, f.waiting, f.bytes = f.queue[:0], 0, 0
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	f := newFixture(b)
	call := f.invoke(worker)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.Record(b.Context(), call, nil, nil)
		if i%1000 == 999 {
			if err := f.flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
