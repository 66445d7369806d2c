package test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (s *server) sqsClient() *sqs.Client {
	return sqs.New(sqs.Options{
		BaseEndpoint: &s.url, Region: region, Credentials: credentialsOf(accessKey, secretKey), RetryMaxAttempts: 1, HTTPClient: httpClient,
	})
}

// TestBoto3SQS walks through SQS with the real boto3: JSON, and the query protocol of older clients beside it.
func TestBoto3SQS(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_sqs.py")
}

// TestCLISQS: what people type, by the real AWS CLI.
func TestCLISQS(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.cli(t)
	// Version 1 of the CLI forgets AWS_ENDPOINT_URL for SQS: it has names of its own for the hosts.
	url := fmt.Sprint(c.run("sqs", "--endpoint-url", s.url, "create-queue", "--queue-name", "orders", "--tags", "team=blue")["QueueUrl"])
	if url != s.url+"/"+account+"/orders" {
		t.Errorf("the queue's address is %s", url)
	}
	c.want(c.run("sqs", "--endpoint-url", s.url, "get-queue-url", "--queue-name", "orders"), "QueueUrl", url)
	sent := c.run("sqs", "--endpoint-url", s.url, "send-message", "--queue-url", url, "--message-body", "hello", "--message-attributes", `{"n":{"DataType":"Number","StringValue":"7"}}`)
	c.want(sent, "MD5OfMessageBody", "5d41402abc4b2a76b9719d911017c592")
	got := c.run("sqs", "--endpoint-url", s.url, "receive-message", "--queue-url", url, "--wait-time-seconds", "5", "--attribute-names", "All", "--message-attribute-names", "All")
	messages, _ := got["Messages"].([]any)
	if len(messages) != 1 {
		t.Fatalf("received %v", got)
	}
	m := messages[0].(map[string]any)
	c.want(m, "Body", "hello", "Attributes.ApproximateReceiveCount", "1", "MessageAttributes.n.StringValue", "7")
	c.run("sqs", "--endpoint-url", s.url, "delete-message", "--queue-url", url, "--receipt-handle", fmt.Sprint(m["ReceiptHandle"]))
	c.want(c.run("sqs", "--endpoint-url", s.url, "get-queue-attributes", "--queue-url", url, "--attribute-names", "All"),
		"Attributes.ApproximateNumberOfMessages", "0", "Attributes.ApproximateNumberOfMessagesNotVisible", "0")
	c.want(c.run("sqs", "--endpoint-url", s.url, "list-queue-tags", "--queue-url", url), "Tags", "map[team:blue]")
	c.fails("An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the SendMessage operation: The specified queue does not exist.",
		"sqs", "--endpoint-url", s.url, "send-message", "--queue-url", s.url+"/"+account+"/none", "--message-body", "x")
	c.fails("An error occurred (ReceiptHandleIsInvalid) when calling the DeleteMessage operation: The input receipt handle \"x\" is not a valid receipt handle.",
		"sqs", "--endpoint-url", s.url, "delete-message", "--queue-url", url, "--receipt-handle", "x")
	fifo := fmt.Sprint(c.run("sqs", "--endpoint-url", s.url, "create-queue", "--queue-name", "orders.fifo", "--attributes", "FifoQueue=true,ContentBasedDeduplication=true")["QueueUrl"])
	if n := fmt.Sprint(c.run("sqs", "--endpoint-url", s.url, "send-message", "--queue-url", fifo, "--message-body", "x", "--message-group-id", "g")["SequenceNumber"]); len(n) != 20 {
		t.Errorf("the sequence number is %s", n)
	}
	c.run("sqs", "--endpoint-url", s.url, "purge-queue", "--queue-url", url)
	c.run("sqs", "--endpoint-url", s.url, "delete-queue", "--queue-url", url)
	c.fails("An error occurred (AWS.SimpleQueueService.QueueDeletedRecently) when calling the CreateQueue operation: You must wait 60 seconds after deleting a queue before you can create another with the same name.",
		"sqs", "--endpoint-url", s.url, "create-queue", "--queue-name", "orders")
}

// TestGoSDKSQS: the Go SDK compares digests itself, and has its own types of errors.
func TestGoSDKSQS(t *testing.T) {
	s := startServer(t)
	c, ctx := s.sqsClient(), t.Context()
	made, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: new("q")})
	if err != nil {
		t.Fatal(err)
	}
	q := made.QueueUrl
	var entries []sqstypes.SendMessageBatchRequestEntry
	for i := range 10 {
		entries = append(entries, sqstypes.SendMessageBatchRequestEntry{
			Id: new(fmt.Sprint(i)), MessageBody: new(fmt.Sprint("body ", i)),
			MessageAttributes: map[string]sqstypes.MessageAttributeValue{"b": {DataType: new("Binary"), BinaryValue: []byte{byte(i)}}},
		})
	}
	sent, err := c.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: q, Entries: entries})
	if err != nil || len(sent.Successful) != 10 || len(sent.Failed) != 0 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	got, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: q, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	})
	if err != nil || len(got.Messages) != 10 {
		t.Fatalf("received %+v, %v", got, err)
	}
	if m := got.Messages[3]; *m.Body != "body 3" || m.MessageAttributes["b"].BinaryValue[0] != 3 || m.Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("received %+v", m)
	}
	var removed []sqstypes.DeleteMessageBatchRequestEntry
	for i, m := range got.Messages {
		removed = append(removed, sqstypes.DeleteMessageBatchRequestEntry{Id: new(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	removed[9].ReceiptHandle = new("forged")
	out, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q, Entries: removed})
	if err != nil || len(out.Successful) != 9 || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("deleted %+v, %v", out, err)
	}
	_, err = c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: new(s.url + "/" + account + "/none")})
	if !typed[*sqstypes.QueueDoesNotExist](err) {
		t.Errorf("a queue that is not there: %v", err)
	}
	_, err = c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: new("forged")})
	if !typed[*sqstypes.ReceiptHandleIsInvalid](err) {
		t.Errorf("a forged handle: %v", err)
	}
	_, err = c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: new("x"), DelaySeconds: 901})
	if err == nil || !strings.Contains(err.Error(), "InvalidParameterValue: Value 901 for parameter DelaySeconds is invalid.") {
		t.Errorf("a delay that is too long: %v", err)
	}
}

// TestSQSLongPoll: who waits is woken by a message, and who goes away takes none with it.
func TestSQSLongPoll(t *testing.T) {
	s := startServer(t)
	c := s.sqsClient()
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("q"), Attributes: map[string]string{"VisibilityTimeout": "600"}})
	if err != nil {
		t.Fatal(err)
	}
	receive := func(ctx context.Context) ([]sqstypes.Message, error) {
		out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
		if err != nil {
			return nil, err
		}
		return out.Messages, nil
	}
	gone, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer leave()
	if m, err := receive(gone); err == nil {
		t.Errorf("a client that went away received %v", m)
	}
	type answer struct {
		messages []sqstypes.Message
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		m, err := receive(t.Context())
		answers <- answer{m, err}
	}()
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: new("hello")}); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.err != nil || len(a.messages) != 1 || *a.messages[0].Body != "hello" {
		t.Errorf("received %+v, %v", a.messages, a.err)
	}
}

// TestSQSKilled: what was answered as sent is there after the server was killed, once, and what was answered as deleted is not.
func TestSQSKilled(t *testing.T) {
	s := startServer(t)
	made, err := s.sqsClient().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("q"), Attributes: map[string]string{"VisibilityTimeout": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	_, queue, _ := strings.Cut(*made.QueueUrl, "/"+account)
	address := func() *string { return new(s.url + "/" + account + queue) }
	kept, gone := map[string]bool{}, map[string]bool{}
	for round := range 3 {
		var mu sync.Mutex
		var senders sync.WaitGroup
		enough := make(chan struct{})
		count := 0
		c, q := s.sqsClient(), address()
		for n := range 8 {
			senders.Go(func() {
				for i := 0; ; i++ {
					body := fmt.Sprintf("%d/%d/%d", round, n, i)
					if _, err := c.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: q, MessageBody: &body}); err != nil {
						return // killed
					}
					mu.Lock()
					kept[body] = true
					if count++; count == 100 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Fatal("100 messages were not sent in a minute")
		}
		s.kill()
		senders.Wait()
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		s.checkQueue(t, address(), kept, gone)
	}
}

// checkQueue receives all messages of a queue, whose visibility timeout is 0, and deletes a part of them.
func (s *server) checkQueue(t *testing.T, q *string, kept, gone map[string]bool) {
	t.Helper()
	c := s.sqsClient()
	left := map[string]string{} // body to receipt handle
	for {
		out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			if gone[*m.Body] || left[*m.Body] != "" {
				t.Errorf("%s is there, deleted %v, a second time %v", *m.Body, gone[*m.Body], left[*m.Body] != "")
			}
			left[*m.Body] = *m.ReceiptHandle
		}
	}
	for body := range kept {
		if left[body] == "" {
			t.Errorf("%s was sent and is lost", body)
		}
	}
	n := 0
	for body, handle := range left {
		if n++; n%2 == 0 {
			if _, err := c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: &handle}); err != nil {
				t.Fatal(err)
			}
			delete(kept, body)
			gone[body] = true
			continue
		}
		kept[body] = true // also one whose answer the killed server did not give
		if _, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: &handle}); err != nil {
			t.Fatal(err)
		}
	}
}
