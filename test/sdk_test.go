package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// script runs a flow in another language, which prints ok.
func (s *server) script(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = s.awsEnv(t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
		t.Errorf("%s: %v\n%s", filepath.Base(args[1]), err, out)
	}
}

func helloPackage(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello.zip")
	if err := os.WriteFile(path, bootstrap(t, binaries.hello), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBoto3(t *testing.T) {
	s, python := sharedServer(t), tool(t, "py", "bin", "python")
	s.script(t, python, "boto3_flow.py", helloPackage(t), s.mark)
}

// TestBoto3LogTags: tags of log groups, and policies that go by them.
func TestBoto3LogTags(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_logtags.py")
}

func TestJavaScriptSDK(t *testing.T) {
	s, sdk := sharedServer(t), tool(t, "js", "node_modules", "@aws-sdk", "client-lambda")
	s.script(t, "node", "js_flow.mjs", filepath.Join(sdk, "..", "..", ".."), helloPackage(t), s.mark)
}

func TestGoSDK(t *testing.T) {
	s := sharedServer(t)
	ctx, c := t.Context(), s.lambda(t)
	fn := aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)},
		Environment: &types.Environment{Variables: map[string]string{"GREETING": "hey"}},
	})
	o := s.invoke(t, *fn, `{"name":"Go"}`)
	if member(t, o.payload, "hello") != "Go" || member(t, o.payload, "greeting") != "hey" || member(t, o.payload, "requestId") != o.id {
		t.Errorf("got %+v", o)
	}
	checkLog(t, o.log, "hello from the log, Go", "RequestId: "+o.id)

	who, err := s.sts(t, accessKey, secretKey).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:iam::000000000000:root" || *who.Account != account || *who.UserId != account {
		t.Errorf("GetCallerIdentity: %+v, %v", who, err)
	}

	in := &lambda.InvokeWithResponseStreamInput{FunctionName: fn, Payload: []byte(`{"name":"stream"}`)}
	if body, _ := streamed(t, c, in); member(t, body, "hello") != "stream" {
		t.Errorf("streamed %s", body)
	}
	pages := lambda.NewListFunctionsPaginator(c, &lambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
	found := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			if *f.FunctionName == *fn {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("listed %d times", found)
	}
}

// streamed invokes a function and reads its answer as a stream.
//
// The Go SDK closes the request's body when the response begins. Where that comes before net/http has seen the body's end,
// net/http fails the write and closes the connection under the stream: a race inside the client, which a server loses by
// answering within a fraction of a millisecond. So that error, and no other, is tried again.
func streamed(t testing.TB, c *lambda.Client, in *lambda.InvokeWithResponseStreamInput) (body string, at []time.Time) {
	t.Helper()
	for try := 1; ; try++ {
		out, err := c.InvokeWithResponseStream(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		body, at, err = drain(out.GetStream())
		if err == nil {
			return body, at
		}
		if try == 5 || !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			t.Fatal(err)
		}
	}
}

// drain reads an event stream to its end and answers the payload and when each piece came.
func drain(stream *lambda.InvokeWithResponseStreamEventStream) (body string, at []time.Time, err error) {
	defer stream.Close()
	complete := false
	for e := range stream.Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			body += string(e.Value.Payload)
			at = append(at, time.Now())
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			complete = true
			if e.Value.ErrorCode != nil {
				body += "!" + *e.Value.ErrorCode
			}
		}
	}
	if err := stream.Err(); err != nil {
		return body, at, fmt.Errorf("the stream ended: %w", err)
	}
	if !complete {
		return body, at, errors.New("the stream ended without InvokeComplete")
	}
	return body, at, nil
}

// Pieces reach the caller when the function writes them, not at its end.
func TestStreaming(t *testing.T) {
	s := sharedServer(t)
	fn := aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{FunctionName: fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(10)})
	body, at := streamed(t, s.lambda(t), &lambda.InvokeWithResponseStreamInput{FunctionName: fn, Payload: []byte(`{"do":"stream","n":8}`)})
	if want := "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\npiece 5\npiece 6\npiece 7\n"; body != want {
		t.Errorf("got %q", body)
	}
	if len(at) < 2 || at[len(at)-1].Sub(at[0]) < 400*time.Millisecond {
		t.Errorf("%d pieces came at %v, the function took 700 ms over them", len(at), at)
	}
}

// Functions' logs by every way to read them, in any region.
func TestLogs(t *testing.T) {
	s := sharedServer(t)
	ctx, c, fn := t.Context(), s.logs(t), aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{FunctionName: fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	first := s.invoke(t, *fn, `{"name":"first"}`)
	if out, diag, err := s.enfold(t, "logs", *fn); err != nil || !strings.Contains(out, "REPORT RequestId: "+first.id) {
		t.Errorf("enfold logs, at once after the first invocation: %v %s\n%s", err, diag, out)
	}
	second := s.invoke(t, *fn, `{"name":"second"}`)
	group := aws.String("/aws/lambda/" + *fn)
	var messages []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, err := c.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group})
		if err != nil {
			continue // not yet there
		}
		messages = nil
		for _, e := range out.Events {
			messages = append(messages, *e.Message)
		}
		if strings.Contains(strings.Join(messages, ""), "REPORT RequestId: "+second.id) {
			break
		}
	}
	all := strings.Join(messages, "")
	order := []string{
		"START RequestId: " + first.id, "hello from the log, first\n", "END RequestId: " + first.id, "REPORT RequestId: " + first.id,
		"START RequestId: " + second.id, "hello from the log, second\n", "END RequestId: " + second.id, "REPORT RequestId: " + second.id,
	}
	for i, at := 0, 0; i < len(order); i++ {
		n := strings.Index(all[at:], order[i])
		if n < 0 {
			t.Fatalf("no %q in its place in\n%s", order[i], all)
		}
		at += n
	}
	streams, err := c.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group})
	if err != nil || len(streams.LogStreams) != 1 {
		t.Fatalf("streams: %+v, %v", streams, err)
	}
	stream := streams.LogStreams[0].LogStreamName
	if day := time.Now().UTC().Format("2006/01/02/[$LATEST]"); !strings.HasPrefix(*stream, day) || len(*stream) != len(day)+32 {
		t.Errorf("the stream's name is %s", *stream)
	}
	got, err := c.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, StartFromHead: aws.Bool(true)})
	if err != nil || len(got.Events) != len(messages) {
		t.Errorf("GetLogEvents has %d events, FilterLogEvents %d, %v", len(got.Events), len(messages), err)
	}
	groups, err := c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: group})
	if err != nil || len(groups.LogGroups) != 1 || *groups.LogGroups[0].Arn != "arn:aws:logs:us-east-1:000000000000:log-group:"+*group+":*" {
		t.Errorf("groups: %+v, %v", groups, err)
	}

	stdout, stderr, err := s.enfold(t, "logs", *fn)
	if err != nil || stdout != all {
		t.Errorf("enfold logs: %v %s\ngot  %q\nwant %q", err, stderr, stdout, all)
	}
	stdout, stderr, err = s.enfold(t, "invoke", *fn, "--payload", `{"name":"by enfold"}`)
	if err != nil || member(t, stdout, "hello") != "by enfold" || !strings.Contains(stderr, "hello from the log, by enfold") {
		t.Errorf("enfold invoke: %v\n%s\n%s", err, stdout, stderr)
	}
	if _, _, err := s.enfold(t, "invoke", *fn, "--payload", `{"name":"fail"}`); err == nil {
		t.Error("enfold invoke of a failing function succeeds")
	}
}
