package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// TestTopicKey: who publishes to a topic with a KMS key must be allowed to use it, and what waits for its subscriber cannot be read
// while the key is disabled.
func TestTopicKey(t *testing.T) {
	t.Parallel() // it mostly waits
	s := startServer(t, "--sns-allow", "127.0.0.0/8")
	c, ctx := s.cli(t), t.Context()
	key := fmt.Sprint(c.run("kms", "create-key", "--query", "KeyMetadata")["KeyId"])
	topic := fmt.Sprint(c.run("sns", "create-topic", "--name", "t", "--attributes", "KmsMasterKeyId="+key)["TopicArn"])
	var open atomic.Bool
	open.Store(true)
	got := make(chan string, 100)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m snsMessage
		b, err := io.ReadAll(r.Body)
		switch {
		case err != nil || !open.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case json.Unmarshal(b, &m) == nil && m.SubscribeURL != "":
			got <- m.SubscribeURL
		default:
			got <- string(b)
		}
	}))
	defer endpoint.Close()
	c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", endpoint.URL, "--attributes",
		`{"RawMessageDelivery":"true","DeliveryPolicy":"{\"healthyRetryPolicy\":{\"numRetries\":100,\"minDelayTarget\":1,\"maxDelayTarget\":1}}"}`)
	getPage(t, <-got)
	open.Store(false)

	c.run("iam", "create-user", "--user-name", "publisher")
	made := c.run("iam", "create-access-key", "--user-name", "publisher", "--query", "AccessKey")
	publisher := sns.New(sns.Options{
		BaseEndpoint: &s.url, Region: region, RetryMaxAttempts: 1, HTTPClient: httpClient,
		Credentials: credentialsOf(fmt.Sprint(made["AccessKeyId"]), fmt.Sprint(made["SecretAccessKey"])),
	})
	publish := func(actions string) error {
		c.run("iam", "put-user-policy", "--user-name", "publisher", "--policy-name", "p", "--policy-document",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}]}`)
		_, err := publisher.Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: new("secret")})
		return err
	}
	for _, actions := range []string{`"sns:Publish"`, `"sns:Publish","kms:GenerateDataKey"`, `"sns:Publish","kms:Decrypt"`} {
		if err := publish(actions); !strings.HasPrefix(fault(err), "400 KMSAccessDenied: ") {
			t.Errorf("with %s: %v", actions, err)
		}
	}
	if err := publish(`"sns:Publish","kms:GenerateDataKey","kms:Decrypt"`); err != nil {
		t.Fatal(err)
	}

	// The endpoint takes nothing, so the message waits on the disk.
	c.run("kms", "disable-key", "--key-id", key)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	c.env = s.awsEnv(c.dir)
	open.Store(true)
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(s.output.String(), "a message cannot be opened"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody tried to open the message")
		}
	}
	select {
	case m := <-got:
		t.Fatalf("without its key there came %q", m)
	default:
	}
	c.run("kms", "enable-key", "--key-id", key)
	select {
	case m := <-got:
		if m != "secret" {
			t.Errorf("the endpoint got %q", m)
		}
	case <-time.After(2 * time.Minute):
		t.Error("nothing came with the key")
	}
}
