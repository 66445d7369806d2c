package lambda

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

func TestParseFunctionName(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want FunctionName
	}{
		{"f", FunctionName{Name: "f"}},
		{"f:live", FunctionName{Name: "f", Qualifier: "live"}},
		{"f:$LATEST", FunctionName{Name: "f", Qualifier: "$LATEST"}},
		{"function:f", FunctionName{Name: "f"}},
		{"function:f:1", FunctionName{Name: "f", Qualifier: "1"}},
		{"123456789012:function:f", FunctionName{Name: "f", Account: "123456789012"}},
		{"123456789012:function:f:1", FunctionName{Name: "f", Qualifier: "1", Account: "123456789012"}},
		{"eu-west-1:123456789012:function:f:1", FunctionName{Name: "f", Qualifier: "1", Region: "eu-west-1", Account: "123456789012"}},
		{"arn:aws:lambda:eu-west-1:123456789012:function:f", FunctionName{Name: "f", Region: "eu-west-1", Account: "123456789012"}},
		{"arn:aws:lambda:eu-west-1:123456789012:function:f:1", FunctionName{Name: "f", Qualifier: "1", Region: "eu-west-1", Account: "123456789012"}},
		{"arn:live", FunctionName{Name: "arn", Qualifier: "live"}},
		{"arn:aws", FunctionName{Name: "arn", Qualifier: "aws"}},
		{"123456789012:f", FunctionName{Name: "f", Account: "123456789012"}},
		{"123456789012", FunctionName{Name: "123456789012"}},
		{"eu-west-1:f", FunctionName{Name: "f", Region: "eu-west-1"}},
		{"eu-west-1:function:f", FunctionName{Name: "f", Region: "eu-west-1"}},
		{"arn:aws-cn:lambda:eu-west-1:123456789012:f:1", FunctionName{Name: "f", Qualifier: "1", Region: "eu-west-1", Account: "123456789012"}},
		{"", FunctionName{}},
		{"a:b:c:d", FunctionName{}},
		{"f:*", FunctionName{}},
		{"arn:aws:sqs:eu-west-1:123456789012:q", FunctionName{}},
	} {
		got, ok := ParseFunctionName(tc.in)
		if got != tc.want || ok != (tc.want.Name != "") {
			t.Errorf("%q: got %+v, %t", tc.in, got, ok)
		}
	}
}

// TestResources checks what ops are authorized on, by the op table.
func TestResources(t *testing.T) {
	ctx := aws.WithCall(context.Background(), &aws.Call{Account: "000000000000", Region: "us-east-1"})
	for _, tc := range []struct {
		op     *aws.Op
		in     any
		action string
		want   string
	}{
		{OpInvoke, &InvokeInput{FunctionName: new("f")}, "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:000000000000:function:f"},
		{OpInvoke, &InvokeInput{FunctionName: new("f"), Qualifier: new("live")}, "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:000000000000:function:f:live"},
		{
			OpInvokeWithResponseStream, &InvokeWithResponseStreamInput{FunctionName: new("111111111111:function:f:1")}, "lambda:InvokeFunction",
			"arn:aws:lambda:us-east-1:111111111111:function:f:1",
		},
		{OpCreateFunction, &CreateFunctionInput{FunctionName: new("f")}, "lambda:CreateFunction", "arn:aws:lambda:us-east-1:000000000000:function:f"},
		{
			OpUpdateFunctionCode, &UpdateFunctionCodeInput{FunctionName: new("111111111111:f:$LATEST")}, "lambda:UpdateFunctionCode",
			"arn:aws:lambda:us-east-1:111111111111:function:f",
		},
		{OpCreateFunction, &CreateFunctionInput{}, "lambda:CreateFunction", "arn:aws:lambda:us-east-1:000000000000:function:"},
		{OpPublishLayerVersion, &PublishLayerVersionInput{LayerName: new("l")}, "lambda:PublishLayerVersion", "arn:aws:lambda:us-east-1:000000000000:layer:l"},
		{
			OpGetLayerVersion, &GetLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(3))}, "lambda:GetLayerVersion",
			"arn:aws:lambda:us-east-1:000000000000:layer:l:3",
		},
		{
			OpDeleteLayerVersion, &DeleteLayerVersionInput{LayerName: new("arn:aws:lambda:eu-west-1:111111111111:layer:l"), VersionNumber: new(int64(3))},
			"lambda:DeleteLayerVersion", "arn:aws:lambda:eu-west-1:111111111111:layer:l:3",
		},
	} {
		got, err := tc.op.Resources(ctx, nil, tc.in)
		if err != nil || !slices.Equal(got, []string{tc.want}) || tc.op.Action != tc.action {
			t.Errorf("%s: got %v, %v", tc.op.Name, got, err)
		}
	}
	_, err := OpCreateFunction.Resources(ctx, nil, &CreateFunctionInput{FunctionName: new("111111111111:function:f")})
	if e := (*aws.Error)(nil); !errors.As(err, &e) || e.Type != aws.ErrAccessDenied || e.Message != "" {
		t.Errorf("a function in another account: %v", err)
	}
	if OpGetLayerVersionByArn.Action != "lambda:GetLayerVersion" || OpGetLayerVersionByArn.Resource != "${Arn}" {
		t.Errorf("GetLayerVersionByArn: %s on %s", OpGetLayerVersionByArn.Action, OpGetLayerVersionByArn.Resource)
	}
}

// echo answers every call with an empty output, and remembers it.
type echo struct{ call *aws.Call }

func (e *echo) Do(_ context.Context, c *aws.Call) (any, error) {
	e.call = c
	return c.Op.NewOutput(), nil
}

func TestClientActsForItsCaller(t *testing.T) {
	var d echo
	parent := &aws.Call{Account: "111111111111", Region: "eu-west-1", Op: OpListFunctions}
	in := &InvokeInput{FunctionName: new("f")}
	out, err := NewClient(&d).Invoke(aws.WithCall(context.Background(), parent), in)
	if err != nil || out == nil {
		t.Fatal(out, err)
	}
	if d.call.Op != OpInvoke || d.call.Input != in || d.call.Account != "111111111111" || parent.Op != OpListFunctions {
		t.Errorf("got %+v", d.call)
	}
}
