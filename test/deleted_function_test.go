package test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestFunctionIsDeletedUnderEvents deletes an alias, and then its function, while their events wait for the one place that there is: those
// that never ran are in the dead-letter queue and at the alias's destination, sent by the function's role.
func TestFunctionIsDeletedUnderEvents(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const arn = "arn:aws:sqs:" + region + ":" + account + ":"
	for _, q := range []string{"dead", "failed"} {
		s.queue(t, "CreateQueue", map[string]any{"QueueName": q})
	}
	s.cli(t).run("iam", "put-role-policy", "--role-name", "lambda-role", "--policy-name", "queues", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`)
	c, f := s.lambda(t), aws.String("f")
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: f, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(20),
		DeadLetterConfig: &types.DeadLetterConfig{TargetArn: aws.String(arn + "dead")},
	})
	for _, err := range []error{
		second(c.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: f})),
		second(c.CreateAlias(t.Context(), &lambda.CreateAliasInput{FunctionName: f, Name: aws.String("al"), FunctionVersion: aws.String("1")})),
		second(c.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: f, Qualifier: aws.String("al"),
			DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: aws.String(arn + "failed")}},
		})),
		second(c.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: f, ReservedConcurrentExecutions: aws.Int32(1)})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		in := &lambda.InvokeInput{FunctionName: f, InvocationType: types.InvocationTypeEvent, Payload: fmt.Appendf(nil, `{"do":"sleep","n":3000,"id":%d}`, i)}
		if i < 3 {
			in.Qualifier = aws.String("al")
		}
		if _, err := c.Invoke(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	if _, err := c.DeleteAlias(t.Context(), &lambda.DeleteAliasInput{FunctionName: f, Name: aws.String("al")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: f}); err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string]int{"dead": 4, "failed": 2} {
		got := 0
		for deadline := time.Now().Add(time.Minute); got < want && time.Now().Before(deadline); {
			var out struct{ Messages []struct{ Body string } }
			if err := json.Unmarshal(s.queue(t, "ReceiveMessage", map[string]any{"QueueUrl": queueURL(q), "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5}), &out); err != nil {
				t.Fatal(err)
			}
			got += len(out.Messages)
		}
		if got != want {
			t.Errorf("the queue %s has %d letters, want %d", q, got, want)
		}
	}
}
