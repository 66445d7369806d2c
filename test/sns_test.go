package test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestBoto3SNS walks through SNS with the real boto3.
func TestBoto3SNS(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_sns.py")
}

// snsMessage is what an endpoint gets.
type snsMessage struct {
	Type, MessageId, Token, TopicArn, Message, SubscribeURL, Timestamp, SignatureVersion, Signature, SigningCertURL, UnsubscribeURL string

	Subject *string
}

// verify checks the signature of version 2, with the certificate that the message names.
func (m *snsMessage) verify(t *testing.T) {
	t.Helper()
	block, _ := pem.Decode(getPage(t, m.SigningCertURL))
	if block == nil {
		t.Fatalf("no certificate at %s", m.SigningCertURL)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{"Message", m.Message, "MessageId", m.MessageId}
	if m.Subject != nil {
		parts = append(parts, "Subject", *m.Subject)
	}
	if m.Type != "Notification" {
		parts = append(parts, "SubscribeURL", m.SubscribeURL)
	}
	parts = append(parts, "Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		parts = append(parts, "Token", m.Token)
	}
	sum := sha256.Sum256([]byte(strings.Join(append(parts, "TopicArn", m.TopicArn, "Type", m.Type), "\n") + "\n"))
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil || m.SignatureVersion != "2" {
		t.Errorf("%s, version %s: %v", m.Type, m.SignatureVersion, err)
	}
}

func getPage(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := httpClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", url, resp.Status, err, b)
	}
	return b
}

// endpoint is a subscriber on this machine.
func endpoint(t *testing.T) (url string, got chan *snsMessage) {
	got = make(chan *snsMessage, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m := &snsMessage{}
		if err := json.NewDecoder(r.Body).Decode(m); err != nil || r.Header.Get("X-Amz-Sns-Message-Type") != m.Type {
			t.Errorf("got %v: %v", r.Header, err)
			return
		}
		got <- m
	}))
	t.Cleanup(s.Close)
	return s.URL + "/sns", got
}

func next(t *testing.T, got chan *snsMessage, kind string) *snsMessage {
	t.Helper()
	select {
	case m := <-got:
		if m.Type != kind {
			t.Fatalf("got a %s, want a %s", m.Type, kind)
		}
		m.verify(t)
		return m
	case <-time.After(time.Minute):
		t.Fatalf("no %s came", kind)
	}
	return nil
}

// TestSNSToEndpoint has an endpoint subscribed by the AWS CLI: it is asked, confirms by the link, gets what is published, leaves by
// the link of a message, and comes back by that of the farewell. Everything is signed.
func TestSNSToEndpoint(t *testing.T) {
	s := startServer(t, "--sns-allow", "127.0.0.0/8")
	c := s.cli(t)
	url, got := endpoint(t)
	topic := fmt.Sprint(c.run("sns", "create-topic", "--name", "t", "--attributes", "SignatureVersion=2")["TopicArn"])
	out := c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", url)
	c.want(out, "SubscriptionArn", "pending confirmation")
	getPage(t, next(t, got, "SubscriptionConfirmation").SubscribeURL)
	publish := func() *snsMessage {
		c.run("sns", "publish", "--topic-arn", topic, "--message", "hello", "--subject", "greeting")
		m := next(t, got, "Notification")
		if m.Message != "hello" || *m.Subject != "greeting" || m.TopicArn != topic {
			t.Errorf("got %+v", m)
		}
		return m
	}
	m := publish()
	getPage(t, m.UnsubscribeURL)
	farewell := next(t, got, "UnsubscribeConfirmation")
	if list := c.run("sns", "list-subscriptions-by-topic", "--topic-arn", topic); fmt.Sprint(list["Subscriptions"]) != "[]" {
		t.Errorf("subscribed is still %v", list)
	}
	getPage(t, farewell.SubscribeURL)
	publish()
	// The server itself is no endpoint, though its address is allowed.
	c.fails("An error occurred (InvalidParameter) when calling the Subscribe operation: Invalid parameter: Unreachable Endpoint: "+
		"the address is not public, and the operator of this server does not allow it",
		"sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", s.url)
}

// TestSNSToFunction has a function subscribed by the AWS CLI: its policy decides, and the event is the one that AWS documents.
func TestSNSToFunction(t *testing.T) {
	s := startServer(t)
	c := s.cli(t)
	topic := fmt.Sprint(c.run("sns", "create-topic", "--name", "t")["TopicArn"])
	queue := func(name string) string {
		return fmt.Sprint(c.run("sqs", "--endpoint-url", s.url, "create-queue", "--queue-name", name, "--attributes", `{"Policy":"{\"Version\":\"2012-10-17\",\"Statement\":`+
			`{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"sns.amazonaws.com\"},\"Action\":\"sqs:SendMessage\",\"Resource\":\"*\"}}"}`)["QueueUrl"])
	}
	done, dead := queue("done"), queue("dead")
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":" + region + ":" + account + ":" + resource
	}
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	c.allow("lambda-role", "sqs:SendMessage")
	c.run("lambda", "put-function-event-invoke-config", "--function-name", "f", "--destination-config", `{"OnSuccess":{"Destination":"`+arn("sqs", "done")+`"}}`)
	sub := fmt.Sprint(c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "lambda", "--notification-endpoint", arn("lambda", "function:f"),
		"--attributes", `{"RedrivePolicy":"{\"deadLetterTargetArn\":\"`+arn("sqs", "dead")+`\"}"}`)["SubscriptionArn"])

	c.run("sns", "publish", "--topic-arn", topic, "--message", "refused")
	if m := (snsMessage{}); json.Unmarshal([]byte(s.receive(t, dead)), &m) != nil || m.Message != "refused" {
		t.Errorf("the dead letter is %+v", m)
	}
	c.run("lambda", "add-permission", "--function-name", "f", "--statement-id", "sns", "--action", "lambda:InvokeFunction",
		"--principal", "sns.amazonaws.com", "--source-arn", topic)
	c.run("sns", "publish", "--topic-arn", topic, "--message", "accepted", "--message-attributes", `{"n":{"DataType":"Number","StringValue":"7"}}`)
	var record struct {
		RequestPayload struct {
			Records []struct {
				EventSource, EventVersion, EventSubscriptionArn string

				SNS struct {
					Type, TopicArn, Message, Signature, SigningCertURL, UnsubscribeURL string

					Subject           *string
					MessageAttributes map[string]struct{ Type, Value string }
				} `json:"Sns"`
			}
		}
	}
	text := s.receive(t, done)
	if err := json.Unmarshal([]byte(text), &record); err != nil || len(record.RequestPayload.Records) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	r := record.RequestPayload.Records[0]
	if r.EventSource != "aws:sns" || r.EventVersion != "1.0" || r.EventSubscriptionArn != sub || r.SNS.Type != "Notification" || r.SNS.TopicArn != topic ||
		r.SNS.Message != "accepted" || r.SNS.Subject != nil || r.SNS.Signature == "" || r.SNS.MessageAttributes["n"].Value != "7" {
		t.Errorf("the event is %s", text)
	}
}

// receive waits for a message and answers its text.
func (s *server) receive(t *testing.T, queue string) string {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		out, err := s.sqsClient().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, WaitTimeSeconds: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			return aws.ToString(out.Messages[0].Body)
		}
	}
	t.Fatalf("nothing came to %s", queue)
	return ""
}
