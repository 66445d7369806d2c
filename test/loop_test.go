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
