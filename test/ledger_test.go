package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// ledgerRounds is how often the server is killed: twelve times, or ENFOLD_TEST_LEDGER_ROUNDS times.
func ledgerRounds(t *testing.T) int {
	text := os.Getenv("ENFOLD_TEST_LEDGER_ROUNDS")
	if text == "" {
		return 12
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ENFOLD_TEST_LEDGER_ROUNDS is %q", text)
	}
	return n
}

// ledger is what a test knows of events that a server has accepted, outside of it.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]bool
	found    map[string]bool // processed, or in a dead-letter queue
}

// kill -9 at random moments under a load of topics, queues, functions and asynchronous invocations, some of which fail: every
// event that was accepted is processed at least once, or in its dead-letter queue.
func TestNoEventIsLost(t *testing.T) {
	t.Parallel() // it mostly waits
	s := startServer(t)
	s.makeEventChain(t)
	l := &ledger{accepted: map[string]bool{}, found: map[string]bool{}}
	for round := range ledgerRounds(t) {
		l.load(s, round, time.Duration(100+rand.IntN(700))*time.Millisecond)
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.accepted) < 10*ledgerRounds(t) {
		t.Errorf("only %d events were accepted", len(l.accepted))
	}
	begun := time.Now()
	for lost := l.lost(); len(lost) > 0; lost = l.lost() {
		for _, q := range []string{"processed", "done", "dead"} {
			l.read(t, s, q)
		}
		if time.Since(begun) > 3*time.Minute {
			t.Fatalf("of %d events %d are lost: %.500q", len(l.accepted), len(lost), lost)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d events were accepted in %d rounds; the last is accounted for %v after the last start", len(l.accepted), ledgerRounds(t),
		time.Since(begun).Round(time.Millisecond))
}

// makeEventChain makes a topic with a queue and a function behind it, a queue that feeds the function, and where outcomes go.
func (s *server) makeEventChain(t *testing.T) {
	t.Helper()
	const arn = "arn:aws:sqs:" + region + ":" + account + ":"
	for _, q := range []string{"processed", "done", "dead"} {
		s.queue(t, "CreateQueue", map[string]any{"QueueName": q})
	}
	s.queue(t, "CreateQueue", map[string]any{"QueueName": "work", "Attributes": map[string]string{
		"VisibilityTimeout": "3", "RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":"4"}`,
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `work"}]}`,
	}})
	c := s.cli(t)
	c.run("iam", "put-role-policy", "--role-name", "lambda-role", "--policy-name", "queues", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`)
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("ledger"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.ledger)}, Timeout: aws.Int32(2), MemorySize: aws.Int32(512),
		DeadLetterConfig: &types.DeadLetterConfig{TargetArn: aws.String(arn + "dead")},
		Environment:      &types.Environment{Variables: map[string]string{"PROCESSED": queueURL("processed"), "ENFOLD_TEST_MARK": s.mark}},
	})
	client := s.lambda(t)
	if _, err := client.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: aws.String("ledger"), MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &types.DestinationConfig{OnSuccess: &types.OnSuccess{Destination: aws.String(arn + "done")}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AddPermission(t.Context(), &lambda.AddPermissionInput{
		FunctionName: aws.String("ledger"), StatementId: aws.String("sns"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("sns.amazonaws.com"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("ledger"), EventSourceArn: aws.String(arn + "work"),
	}); err != nil {
		t.Fatal(err)
	}
	c.run("sns", "create-topic", "--name", "events")
	const topic = "arn:aws:sns:" + region + ":" + account + ":events"
	c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn+"work")
	c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "lambda", "--notification-endpoint",
		"arn:aws:lambda:"+region+":"+account+":function:ledger")
}

// load sends events until the server is killed, and writes down what was accepted.
func (l *ledger) load(s *server, round int, d time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	topic := "arn:aws:sns:" + region + ":" + account + ":events"
	for kind, try := range map[string]func(id string) error{
		"topic": func(id string) error {
			_, err := s.send(ctx, request{service: "sns", form: map[string]string{"Action": "Publish", "Version": "2010-03-31", "TopicArn": topic, "Message": id}})
			return err
		},
		"queue": func(id string) error {
			_, err := s.send(ctx, request{service: "sqs", target: "AmazonSQS.SendMessage", body: map[string]any{
				"QueueUrl": queueURL("work"), "MessageBody": id,
			}})
			return err
		},
		"async": func(id string) error {
			_, err := s.send(ctx, request{
				service: "lambda", path: "/2015-03-31/functions/ledger/invocations", header: "X-Amz-Invocation-Type: Event", body: map[string]any{"id": id},
			})
			return err
		},
	} {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("id-%s-%d-%d", kind, round, n)
				if kind == "async" && n%5 == 4 {
					id = fmt.Sprintf("bad-%s-%d-%d", kind, round, n)
				}
				if try(id) == nil {
					l.mu.Lock()
					l.accepted[id] = true
					l.mu.Unlock()
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	time.Sleep(d)
	s.kill()
	cancel()
	wg.Wait()
}

var eventID = regexp.MustCompile(`(?:id|bad)-[a-z]+-\d+-\d+`)

// read empties a queue into the ledger.
func (l *ledger) read(t *testing.T, s *server, queue string) {
	t.Helper()
	url := queueURL(queue)
	for {
		var out struct {
			Messages []struct{ Body, ReceiptHandle string }
		}
		b := s.queue(t, "ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10})
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return
		}
		var entries []map[string]string
		for i, m := range out.Messages {
			for _, id := range eventID.FindAllString(m.Body, -1) {
				l.found[id] = true
			}
			entries = append(entries, map[string]string{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle})
		}
		s.queue(t, "DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": entries})
	}
}

func (l *ledger) lost() (ids []string) {
	for id := range l.accepted {
		if !l.found[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
