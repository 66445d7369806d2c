package test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// kernelPy says which kernel answers it.
const kernelPy = `
def handler(event, context):
    with open("/proc/version") as f:
        return f.read()
`

// A function's tag isolates it better than the server does, from the next invocation on, and never worse.
func TestIsolationByTag(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	if _, _, err := s.enfold(t, "doctor"); err != nil {
		t.Skip("this host isolates nothing: see enfold doctor: ", err)
	}
	if out, _, _ := s.enfold(t, "doctor"); !strings.Contains(out, "for SnapStart: ok") {
		t.Skip("this host cannot run gVisor: see enfold doctor")
	}
	ctx, c, fn := context.Background(), s.lambda(t), aws.String("kernel")
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: fn, Runtime: types.RuntimePython312, Handler: aws.String("index.handler"), MemorySize: aws.Int32(256), Timeout: aws.Int32(30),
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{name: "index.py", body: []byte(kernelPy)})},
	})
	arn := aws.String("arn:aws:lambda:" + region + ":" + account + ":function:kernel")
	tag := func(value string) error {
		_, err := c.TagResource(ctx, &lambda.TagResourceInput{Resource: arn, Tags: map[string]string{"enfold:isolation": value}})
		return err
	}
	guarded := func() bool { return strings.Contains(s.invoke(t, *fn, `{}`).payload, "gvisor") }
	if guarded() {
		t.Error("without a tag the function runs under gVisor")
	}
	if err := tag("gvisor"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !guarded() {
			t.Error("with the tag the function runs on the host's kernel")
		}
	}
	for _, value := range []string{"process", "", "GVISOR"} {
		if err := tag(value); err == nil || !strings.Contains(fault(err), "InvalidParameterValueException") {
			t.Errorf("the tag's value %q: %v", value, err)
		}
	}
	if err := tag("namespace"); err != nil {
		t.Fatal(err)
	}
	if guarded() {
		t.Error("with the weaker tag the function still runs under gVisor")
	}
}
