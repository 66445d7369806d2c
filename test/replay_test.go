package test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// openQueue makes a queue to which SNS may send, and answers its address and ARN.
func (s *server) openQueue(t *testing.T, name string, attributes map[string]string) (url, arn string) {
	t.Helper()
	all := map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`,
	}
	for k, v := range attributes {
		all[k] = v
	}
	out, err := s.sqsClient().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: all})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl, "arn:aws:sqs:" + region + ":" + account + ":" + name
}

// depth waits until so many messages of a queue are visible.
func (s *server) depth(t *testing.T, url string, want int) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, err := s.sqsClient().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages"}})
		if err != nil {
			t.Fatal(err)
		}
		if got = out.Attributes["ApproximateNumberOfMessages"]; got == fmt.Sprint(want) {
			return
		}
	}
	t.Fatalf("%s has %s messages, want %d", url, got, want)
}

// replay runs `enfold event replay` and wants each text in what it prints.
func (s *server) replay(t *testing.T, args []string, want ...string) string {
	t.Helper()
	out, diag, err := s.enfold(t, append([]string{"event", "replay"}, args...)...)
	if err != nil {
		t.Fatalf("replay %v: %v\n%s%s", args, err, out, diag)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("replay %v did not print %q:\n%s", args, w, out)
		}
	}
	return out
}

// invokeEvent invokes asynchronously and answers the id of the request.
func (s *server) invokeEvent(t *testing.T, function, qualifier, event string) string {
	t.Helper()
	in := &lambda.InvokeInput{FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: []byte(event)}
	if qualifier != "" {
		in.Qualifier = &qualifier
	}
	out, err := s.lambda(t).Invoke(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	return id
}

var sentAs = regexp.MustCompile(`sent as request (\S+)`)

// TestReplayInvocation replays an asynchronous invocation by the id of its request: the version runs that ran before, with the
// same event, and both its dead letter and its record are gone. One that succeeded can be replayed, too, and its record stays.
func TestReplayInvocation(t *testing.T) {
	t.Parallel() // it mostly waits
	s := startServer(t)
	s.cli(t).allow("lambda-role", "sqs:SendMessage")
	taken := map[string]string{"VisibilityTimeout": "3600"} // what the test receives does not come again
	dead, deadARN := s.openQueue(t, "dead", taken)
	ends, endsARN := s.openQueue(t, "ends", taken)
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}, DeadLetterConfig: &types.DeadLetterConfig{TargetArn: &deadARN},
	})
	c, ctx := s.lambda(t), t.Context()
	if _, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("f")}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"1", "$LATEST"} {
		if _, err := c.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: aws.String("f"), Qualifier: &to, MaximumRetryAttempts: aws.Int32(0), DestinationConfig: &types.DestinationConfig{
				OnFailure: &types.OnFailure{Destination: &endsARN}, OnSuccess: &types.OnSuccess{Destination: &endsARN},
			},
		}); err != nil {
			t.Fatal(err)
		}
	}

	failed := s.invokeEvent(t, "f", "1", `{"name":"fail"}`)
	s.depth(t, dead, 1)
	s.depth(t, ends, 1)
	s.waitForLog(t, "f", failed)
	arn := "arn:aws:lambda:" + region + ":" + account + ":function:f:1"
	s.replay(t, []string{failed, "--dry-run"}, "the function failed with 200 (request "+failed+"): I was told to fail", "in dead\n", "in ends\n", "back to "+arn, "would be sent, then removed from dead")
	s.depth(t, dead, 1) // it looked, and put back what it saw
	s.depth(t, ends, 1)
	out := s.replay(t, []string{failed}, "removed from dead", "removed from ends", "is the event that was sent as request")
	m := sentAs.FindAllStringSubmatch(out, -1)
	if len(m) != 2 || m[0][1] != m[1][1] || m[0][1] == failed {
		t.Fatalf("the event was not sent once:\n%s", out)
	}
	// It fails again: the same version, the same event, another request.
	if got := s.receive(t, dead); got != `{"name":"fail"}` {
		t.Errorf("the event that was replayed is %s", got)
	}
	var record struct {
		RequestContext struct{ RequestID, FunctionArn, Condition string }
		RequestPayload struct{ Name string }
	}
	if text := s.receive(t, ends); json.Unmarshal([]byte(text), &record) != nil || record.RequestContext.RequestID != m[0][1] ||
		record.RequestContext.FunctionArn != arn || record.RequestPayload.Name != "fail" {
		t.Errorf("the record of the replay is %s", text)
	}

	ends, endsARN = s.openQueue(t, "results", nil)
	if _, err := c.UpdateFunctionEventInvokeConfig(ctx, &lambda.UpdateFunctionEventInvokeConfigInput{
		FunctionName: aws.String("f"), DestinationConfig: &types.DestinationConfig{OnSuccess: &types.OnSuccess{Destination: &endsARN}},
	}); err != nil {
		t.Fatal(err)
	}
	well := s.invokeEvent(t, "f", "", `{"name":"well"}`)
	s.depth(t, ends, 1)
	s.replay(t, []string{well}, "Success of "+strings.TrimSuffix(arn, "1")+"$LATEST", "stays in results")
	s.depth(t, ends, 2)

	_, diag, err := s.enfold(t, "event", "replay", "nobody")
	if err == nil || !strings.Contains(diag, "no event \"nobody\" was found in us-east-1. It is none of the 2 messages that are visible in dead, ends, results.") ||
		!strings.Contains(diag, "2 more are being received by somebody") || !strings.Contains(diag, "aws lambda put-function-event-invoke-config") {
		t.Errorf("an event that is not there: %v\n%s", err, diag)
	}
}

// waitForLog waits until a function's log has a text.
func (s *server) waitForLog(t *testing.T, function, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if out, _, err := s.enfold(t, "logs", function); err == nil && strings.Contains(out, text) {
			return
		}
	}
	t.Fatalf("the log of %s never had %s", function, text)
}

// TestReplayMessage replays by their ids a message that nobody deleted from its queue, and one that a topic could not deliver.
func TestReplayMessage(t *testing.T) {
	s := startServer(t)
	c, ctx := s.cli(t), t.Context()
	dead, deadARN := s.openQueue(t, "dead", nil)
	redrive := `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":"1"}`
	source, _ := s.openQueue(t, "source", map[string]string{"RedrivePolicy": redrive, "VisibilityTimeout": "0"})
	sent, err := s.sqsClient().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &source, MessageBody: aws.String("work")})
	if err != nil {
		t.Fatal(err)
	}
	s.receive(t, source)
	if out, err := s.sqsClient().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &source}); err != nil || len(out.Messages) != 0 {
		t.Fatalf("after its one receive the queue has %v, %v", out.Messages, err)
	}
	s.depth(t, dead, 1)
	s.replay(t, []string{*sent.MessageId, "--keep"}, "received too often", "back to arn:aws:sqs:us-east-1:000000000000:source", "sent as message", "stays in dead")
	if got := s.receive(t, source); got != "work" {
		t.Errorf("the queue got %q", got)
	}
	s.depth(t, dead, 1)

	topic := fmt.Sprint(c.run("sns", "create-topic", "--name", "t")["TopicArn"])
	target, targetARN := s.openQueue(t, "target", map[string]string{"Policy": ""})
	lost, lostARN := s.openQueue(t, "lost", nil)
	first := fmt.Sprint(c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", targetARN,
		"--attributes", `{"RedrivePolicy":"{\"deadLetterTargetArn\":\"`+lostARN+`\"}"}`)["SubscriptionArn"])
	id := fmt.Sprint(c.run("sns", "publish", "--topic-arn", topic, "--message", "news")["MessageId"])
	s.depth(t, lost, 1)
	s.replay(t, []string{id, "--queue", "lost"}, "back to "+targetARN+", for "+topic, "removed from lost")
	if m := (snsMessage{}); json.Unmarshal([]byte(s.receive(t, target)), &m) != nil || m.Message != "news" || m.MessageId != id {
		t.Errorf("the subscriber got %+v", m)
	}
	s.depth(t, lost, 0)

	// Two subscriptions share a queue: it knows whose each letter is, though a raw one says nothing.
	raw, rawARN := s.openQueue(t, "raw", map[string]string{"Policy": ""})
	c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", rawARN,
		"--attributes", `{"RawMessageDelivery":"true","RedrivePolicy":"{\"deadLetterTargetArn\":\"`+lostARN+`\"}"}`)
	c.run("sns", "publish", "--topic-arn", topic, "--message", "more")
	s.depth(t, lost, 2)
	out, diag, err := s.enfold(t, "dlq", "show", "lost")
	if err != nil || strings.Count(out, "cause   Refused delivering to "+topic+":") != 2 || !strings.Contains(out, "back to "+rawARN+", for "+topic) {
		t.Errorf("show: %v\n%s%s", err, out, diag)
	}
	if out, diag, err := s.enfold(t, "dlq", "redrive", "lost"); err != nil {
		t.Errorf("redrive: %v\n%s%s", err, out, diag)
	}
	if got := s.receive(t, raw); got != "more" {
		t.Errorf("the raw subscriber got %q", got)
	}
	s.depth(t, lost, 0)

	// The notification's id finds both letters, and each goes to the subscriber that it is for.
	id = fmt.Sprint(c.run("sns", "publish", "--topic-arn", topic, "--message", "last")["MessageId"])
	s.depth(t, lost, 2)
	s.replay(t, []string{id}, "back to "+targetARN+", for "+topic, "back to "+rawARN+", for "+topic, "removed from lost")
	s.depth(t, lost, 0)
	if got := s.receive(t, raw); got != "last" {
		t.Errorf("the raw subscriber got %q of what was replayed", got)
	}

	// What somebody else put there is of no subscription, though there is but one that it could be of.
	c.run("sns", "unsubscribe", "--subscription-arn", first)
	if _, err := s.sqsClient().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &lost, MessageBody: aws.String("by hand")}); err != nil {
		t.Fatal(err)
	}
	out, diag, err = s.enfold(t, "dlq", "redrive", "lost")
	if err == nil || !strings.Contains(out, "0 sent back, 1 stay in lost.") || !strings.Contains(diag, "it does not say where it came from: name that with --to") {
		t.Errorf("redrive of a message by hand: %v\n%s%s", err, out, diag)
	}
	s.depth(t, lost, 1)
	if out, diag, err := s.enfold(t, "dlq", "redrive", "lost", "--to", rawARN); err != nil {
		t.Errorf("redrive of a message by hand, with --to: %v\n%s%s", err, out, diag)
	}
	if got := s.receive(t, raw); got != "by hand" {
		t.Errorf("the queue that was named got %q", got)
	}
}

// TestHostileLetters: who may send to a dead-letter queue makes nobody's function run, and stops no redrive of the others' letters.
func TestHostileLetters(t *testing.T) {
	s := startServer(t)
	s.cli(t).allow("lambda-role", "sqs:SendMessage")
	dead, deadARN := s.openQueue(t, "dead", nil)
	s.openQueue(t, "source", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":"1"}`})
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("victim"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	send := func(body string) {
		if _, err := s.sqsClient().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	victim := "arn:aws:lambda:" + region + ":" + account + ":function:victim"
	send(`{"version":"1.0","requestContext":{"functionArn":"` + victim + `","requestId":"evil","condition":"RetriesExhausted"},"requestPayload":{"name":"x"}}`)
	send(strings.Repeat(`{"a":`, 100_000))
	for range 9 {
		send(strings.Repeat(`"`, 1<<20)) // twice as long in an answer
	}
	for _, args := range [][]string{{"dlq", "redrive", "dead", "--dry-run"}, {"dlq", "redrive", "dead"}, {"event", "replay", "evil"}} {
		out, diag, err := s.enfold(t, args...)
		if err == nil || !strings.Contains(diag, "it says that it is of "+victim+", which does not send its letters here: if that is right, name it with --to") {
			t.Errorf("%v: %v\n%s%s", args, err, out, diag)
		}
		s.depth(t, dead, 11)
	}
	if out, _, _ := s.enfold(t, "logs", "victim"); out != "" {
		t.Errorf("the function ran:\n%s", out)
	}
}

// TestRoleMaySend: a function cannot be told to send its dead letters, or the results of its invocations, where its role may not.
func TestRoleMaySend(t *testing.T) {
	s := startServer(t)
	c, ctx := s.lambda(t), t.Context()
	cli := s.cli(t)
	_, queue := s.openQueue(t, "q", nil)
	topic := fmt.Sprint(cli.run("sns", "create-topic", "--name", "t")["TopicArn"])
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	dead := func() error {
		_, err := c.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
			FunctionName: aws.String("f"), DeadLetterConfig: &types.DeadLetterConfig{TargetArn: &queue},
		})
		return err
	}
	told := func() error {
		_, err := c.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: aws.String("f"), DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: &topic}},
		})
		return err
	}
	for want, do := range map[string]func() error{"SendMessage on SQS": dead, "Publish on SNS": told} {
		if got := fault(do()); got != "400 InvalidParameterValueException: The provided execution role does not have permissions to call "+want {
			t.Error(got)
		}
	}
	cli.allow("lambda-role", "sqs:SendMessage", "sns:Publish")
	for _, do := range []func() error{dead, told} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
}
