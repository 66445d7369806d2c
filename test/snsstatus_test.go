package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// TestDeliveryStatus: a topic logs in the name of its roles how its messages were delivered, and who sets a role must be allowed to
// hand it over.
func TestDeliveryStatus(t *testing.T) {
	t.Parallel() // it mostly waits
	s := startServer(t)
	c, ctx := s.cli(t), t.Context()
	c.run("iam", "create-role", "--role-name", "logger", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	c.allow("logger", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
	role := "arn:aws:iam::" + account + ":role/logger"
	topic := fmt.Sprint(c.run("sns", "create-topic", "--name", "t", "--attributes",
		"SQSSuccessFeedbackRoleArn="+role+",SQSFailureFeedbackRoleArn="+role+",SQSSuccessFeedbackSampleRate=100")["TopicArn"])
	_, open := s.openQueue(t, "open", nil)
	_, closed := s.openQueue(t, "closed", map[string]string{"Policy": ""})
	for _, q := range []string{open, closed} {
		c.run("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", q)
	}
	id := fmt.Sprint(c.run("sns", "publish", "--topic-arn", topic, "--message", "hello")["MessageId"])
	for group, want := range map[string][3]any{
		"sns/" + region + "/" + account + "/t":         {"SUCCESS", open, 200},
		"sns/" + region + "/" + account + "/t/Failure": {"FAILURE", closed, 403},
	} {
		var line struct {
			Notification struct{ MessageID, TopicArn string }
			Delivery     struct {
				Destination string
				StatusCode  int
			}
			Status string
		}
		text := s.firstEvent(t, group)
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Notification.MessageID != id || line.Notification.TopicArn != topic ||
			line.Status != want[0] || line.Delivery.Destination != want[1] || line.Delivery.StatusCode != want[2] {
			t.Errorf("%s: %s, %v", group, text, err)
		}
	}

	c.run("iam", "create-user", "--user-name", "setter")
	c.run("iam", "put-user-policy", "--user-name", "setter", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]}`)
	made := c.run("iam", "create-access-key", "--user-name", "setter", "--query", "AccessKey")
	setter := sns.New(sns.Options{
		BaseEndpoint: &s.url, Region: region, RetryMaxAttempts: 1, HTTPClient: httpClient,
		Credentials: credentialsOf(fmt.Sprint(made["AccessKeyId"]), fmt.Sprint(made["SecretAccessKey"])),
	})
	set := func(name, v string) error {
		_, err := setter.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &topic, AttributeName: &name, AttributeValue: &v})
		return err
	}
	if err := set("DisplayName", "mine"); err != nil {
		t.Error(err)
	}
	want := "403 AuthorizationError: User: arn:aws:iam::" + account + ":user/setter is not authorized to perform: iam:PassRole on resource: " + role +
		" because no identity-based policy allows the iam:PassRole action"
	if got := fault(set("LambdaFailureFeedbackRoleArn", role)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// firstEvent waits for an event of a log group and answers it.
func (s *server) firstEvent(t *testing.T, group string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, err := s.logs(t).FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
		var missing *logtypes.ResourceNotFoundException
		if err != nil && !errors.As(err, &missing) {
			t.Fatal(err)
		}
		if err == nil && len(out.Events) > 0 {
			return *out.Events[0].Message
		}
	}
	t.Fatalf("nothing was logged to %s", group)
	return ""
}
