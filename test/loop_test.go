package test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const loopCode = `import os, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    print("round again")
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody="round")
`

// A function that feeds itself through a queue, by unmodified boto3, is stopped after sixteen runs.
func TestLoopThroughQueue(t *testing.T) {
	t.Parallel() // it mostly waits
	code := withBoto3(t, file{"app.py", []byte(loopCode), 0})
	s := startServer(t)
	c := s.cli(t)
	c.allow("lambda-role", "sqs:*")
	s.queue(t, "CreateQueue", map[string]any{"QueueName": "round", "Attributes": map[string]string{"VisibilityTimeout": "60"}})
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("loop"), Runtime: types.Runtime(languageOf(t, "python").runtime), Handler: aws.String("app.handler"), Code: &types.FunctionCode{ZipFile: code},
		MemorySize: aws.Int32(1769), Timeout: aws.Int32(30),
		Environment: &types.Environment{Variables: map[string]string{"QUEUE": queueURL("round"), "ENFOLD_TEST_MARK": s.mark}},
	})
	if _, err := s.lambda(t).CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("loop"), EventSourceArn: aws.String("arn:aws:sqs:" + region + ":" + account + ":round"),
	}); err != nil {
		t.Fatal(err)
	}
	s.queue(t, "SendMessage", map[string]any{"QueueUrl": queueURL("round"), "MessageBody": "first"})
	runs := func() int {
		out, _, err := s.enfold(t, "logs", "loop")
		if err != nil {
			return 0 // no logs yet
		}
		return strings.Count(out, "round again\n")
	}
	for end := time.Now().Add(time.Minute); runs() < 16; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it ran %d times in a minute", runs())
		}
	}
	time.Sleep(3 * time.Second)
	if n := runs(); n != 16 {
		t.Errorf("it ran %d times, want 16 and no more", n)
	}
}

// Two functions that are each other's destination are stopped after sixteen runs each, and the event that was stopped is in the
// dead-letter queue and in the destination for failures.
func TestLoopThroughDestinations(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.cli(t).allow("lambda-role", "sqs:*", "lambda:*")
	arn := func(service, name string) *string {
		return aws.String("arn:aws:" + service + ":" + region + ":" + account + ":" + name)
	}
	for _, q := range []string{"dead", "failed"} {
		s.queue(t, "CreateQueue", map[string]any{"QueueName": q})
	}
	for _, name := range []string{"pa", "pb"} {
		s.create(t, lambda.CreateFunctionInput{
			FunctionName: &name, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)},
			DeadLetterConfig: &types.DeadLetterConfig{TargetArn: arn("sqs", "dead")},
		})
	}
	for name, other := range map[string]string{"pa": "pb", "pb": "pa"} {
		if _, err := s.lambda(t).PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: &name, DestinationConfig: &types.DestinationConfig{
				OnSuccess: &types.OnSuccess{Destination: arn("lambda", "function:"+other)}, OnFailure: &types.OnFailure{Destination: arn("sqs", "failed")},
			},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.lambda(t).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("pa"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"round":1}`),
	}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"dead", "failed"} {
		receive := func() string {
			return string(s.queue(t, "ReceiveMessage", map[string]any{
				"QueueUrl": queueURL(q), "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"},
			}))
		}
		got := receive()
		for end := time.Now().Add(2 * time.Minute); !strings.Contains(got, `"Body"`) && time.Now().Before(end); {
			got = receive()
		}
		if want := map[string]string{"dead": "recursive loop", "failed": "RetriesExhausted"}[q]; strings.Count(got, `"Body"`) != 1 || !strings.Contains(got, want) {
			t.Errorf("the queue %s has %.600s, want one letter that says %s", q, got, want)
		}
	}
}
