package test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (s *server) snsClient() *sns.Client {
	return sns.New(sns.Options{
		BaseEndpoint: &s.url, Region: region, Credentials: credentialsOf(accessKey, secretKey), RetryMaxAttempts: 1, HTTPClient: httpClient,
	})
}

// goEvents walks by the Go SDK.
type goEvents struct {
	t      *testing.T
	sqs    *sqs.Client
	sns    *sns.Client
	lambda *lambda.Client
}

func newGoEvents(t *testing.T, s *server) *goEvents {
	return &goEvents{t, s.sqsClient(), s.snsClient(), s.lambda(t)}
}

func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (c *goEvents) queue(name string, attributes map[string]string) string {
	return *ok[*sqs.CreateQueueOutput](c.t)(c.sqs.CreateQueue(c.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})).QueueUrl
}

func (c *goEvents) send(url, group string, bodies ...string) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &url}
	for i, body := range bodies {
		e := sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body}
		if group != "" {
			e.MessageGroupId = &group
		}
		in.Entries = append(in.Entries, e)
	}
	if out := ok[*sqs.SendMessageBatchOutput](c.t)(c.sqs.SendMessageBatch(c.t.Context(), in)); len(out.Failed) > 0 {
		c.t.Fatalf("not sent: %+v", out.Failed)
	}
}

func (c *goEvents) receive(url string, wait int) (all []eventMessage) {
	out := ok[*sqs.ReceiveMessageOutput](c.t)(c.sqs.ReceiveMessage(c.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: int32(wait),
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	}))
	for _, m := range out.Messages {
		all = append(all, eventMessage{*m.Body, *m.ReceiptHandle, m.Attributes["MessageGroupId"]})
	}
	return all
}

func (c *goEvents) remove(url string, all []eventMessage) {
	for _, m := range all {
		ok[*sqs.DeleteMessageOutput](c.t)(c.sqs.DeleteMessage(c.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &m.Handle}))
	}
}

func (c *goEvents) show(url, handle string) {
	ok[*sqs.ChangeMessageVisibilityOutput](c.t)(c.sqs.ChangeMessageVisibility(c.t.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &url, ReceiptHandle: &handle,
	}))
}

func (c *goEvents) counts(url string) (visible, inFlight string) {
	a := ok[*sqs.GetQueueAttributesOutput](c.t)(c.sqs.GetQueueAttributes(c.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})).Attributes
	return a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"]
}

func (c *goEvents) topic(name string) string {
	return *ok[*sns.CreateTopicOutput](c.t)(c.sns.CreateTopic(c.t.Context(), &sns.CreateTopicInput{Name: &name})).TopicArn
}

func (c *goEvents) subscribe(topic, queue string, attributes map[string]string) {
	ok[*sns.SubscribeOutput](c.t)(c.sns.Subscribe(c.t.Context(), &sns.SubscribeInput{
		TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &queue, Attributes: attributes,
	}))
}

func (c *goEvents) publish(topic, text string, attributes map[string]string) {
	all := map[string]snstypes.MessageAttributeValue{}
	for name, v := range attributes {
		all[name] = snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	ok[*sns.PublishOutput](c.t)(c.sns.Publish(c.t.Context(), &sns.PublishInput{TopicArn: &topic, Message: &text, MessageAttributes: all}))
}

func (c *goEvents) feed(function, queue string, partly bool, batch, concurrency int) string {
	in := &lambda.CreateEventSourceMappingInput{FunctionName: &function, EventSourceArn: &queue, BatchSize: aws.Int32(int32(batch))}
	if partly {
		in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
	}
	if concurrency > 0 {
		in.ScalingConfig = &types.ScalingConfig{MaximumConcurrency: aws.Int32(int32(concurrency))}
	}
	return *ok[*lambda.CreateEventSourceMappingOutput](c.t)(c.lambda.CreateEventSourceMapping(c.t.Context(), in)).UUID
}

func (c *goEvents) state(id string) string {
	return *ok[*lambda.GetEventSourceMappingOutput](c.t)(c.lambda.GetEventSourceMapping(c.t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})).State
}

// cliEvents walks by the AWS CLI.
type cliEvents struct {
	*cli
	s *server
}

// sqs runs an operation of SQS: version 1 of the CLI forgets AWS_ENDPOINT_URL for it.
func (c *cliEvents) sqs(args ...string) map[string]any {
	c.t.Helper()
	return c.run(append([]string{"sqs", "--endpoint-url", c.s.url}, args...)...)
}

func (c *cliEvents) json(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

// members reads members of an object by their names.
func (c *cliEvents) members(from any, into any) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.json(from)), into); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cliEvents) queue(name string, attributes map[string]string) string {
	return fmt.Sprint(c.sqs("create-queue", "--queue-name", name, "--attributes", c.json(attributes))["QueueUrl"])
}

func (c *cliEvents) send(url, group string, bodies ...string) {
	var entries []map[string]string
	for i, body := range bodies {
		e := map[string]string{"Id": fmt.Sprint(i), "MessageBody": body}
		if group != "" {
			e["MessageGroupId"] = group
		}
		entries = append(entries, e)
	}
	if out := c.sqs("send-message-batch", "--queue-url", url, "--entries", c.json(entries)); out["Failed"] != nil {
		c.t.Fatalf("not sent: %v", out["Failed"])
	}
}

func (c *cliEvents) receive(url string, wait int) (all []eventMessage) {
	var out struct {
		Messages []struct {
			Body, ReceiptHandle string
			Attributes          struct{ MessageGroupId string }
		}
	}
	c.members(c.sqs("receive-message", "--queue-url", url, "--max-number-of-messages", "10", "--wait-time-seconds", fmt.Sprint(wait),
		"--attribute-names", "All"), &out)
	for _, m := range out.Messages {
		all = append(all, eventMessage{m.Body, m.ReceiptHandle, m.Attributes.MessageGroupId})
	}
	return all
}

func (c *cliEvents) remove(url string, all []eventMessage) {
	var entries []map[string]string
	for i, m := range all {
		entries = append(entries, map[string]string{"Id": fmt.Sprint(i), "ReceiptHandle": m.Handle})
	}
	if len(entries) > 0 {
		c.want(c.sqs("delete-message-batch", "--queue-url", url, "--entries", c.json(entries)), "Failed", "<nil>")
	}
}

func (c *cliEvents) show(url, handle string) {
	c.sqs("change-message-visibility", "--queue-url", url, "--receipt-handle", handle, "--visibility-timeout", "0")
}

func (c *cliEvents) counts(url string) (visible, inFlight string) {
	var out struct{ Attributes map[string]string }
	c.members(c.sqs("get-queue-attributes", "--queue-url", url, "--attribute-names", "All"), &out)
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func (c *cliEvents) topic(name string) string {
	return fmt.Sprint(c.run("sns", "create-topic", "--name", name)["TopicArn"])
}

func (c *cliEvents) subscribe(topic, queue string, attributes map[string]string) {
	c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", queue, "--attributes", c.json(attributes))
}

func (c *cliEvents) publish(topic, text string, attributes map[string]string) {
	all := map[string]map[string]string{}
	for name, v := range attributes {
		all[name] = map[string]string{"DataType": "String", "StringValue": v}
	}
	c.run("sns", "publish", "--topic-arn", topic, "--message", text, "--message-attributes", c.json(all))
}

func (c *cliEvents) feed(function, queue string, partly bool, batch, concurrency int) string {
	args := []string{"lambda", "create-event-source-mapping", "--function-name", function, "--event-source-arn", queue, "--batch-size", fmt.Sprint(batch)}
	if partly {
		args = append(args, "--function-response-types", "ReportBatchItemFailures")
	}
	if concurrency > 0 {
		args = append(args, "--scaling-config", fmt.Sprintf("MaximumConcurrency=%d", concurrency))
	}
	return fmt.Sprint(c.run(args...)["UUID"])
}

func (c *cliEvents) state(id string) string {
	return fmt.Sprint(c.run("lambda", "get-event-source-mapping", "--uuid", id)["State"])
}
