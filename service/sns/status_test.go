package sns

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
)

const statusRole = "arn:aws:iam::" + account + ":role/r"

// TestDeliveryStatus: what a topic wants to know of its deliveries is logged, as AWS words it, and nothing else is.
func TestDeliveryStatus(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", map[string]string{
		"SQSSuccessFeedbackRoleArn": statusRole, "SQSFailureFeedbackRoleArn": statusRole, "LambdaFailureFeedbackRoleArn": statusRole,
		"HTTPSuccessFeedbackRoleArn": statusRole, "HTTPSuccessFeedbackSampleRate": "0",
	})
	ways := []event.Delivery{
		{Kind: DeliveryKind, Target: w.subscribe(topic, "sqs", queue, nil)},
		{Kind: DeliveryKind, Target: w.subscribe(topic, "sqs", queue+"2", nil)},
		{Kind: DeliveryKind, Target: w.subscribe(topic, "lambda", function, nil)},
		{Kind: StatusKind, Target: topic},
	}
	w.fail[queue+"2"] = event.Permanent(aws.ErrAccessDenied.New("no"))
	id := *w.publish(topic, "hello").MessageID
	w.run(func(got []*target.Message) bool { return len(got) == 2 && len(w.logged()) >= 2 && w.idle(ways...) })
	byGroup := map[string]*StatusLine{}
	for _, l := range w.logged() {
		byGroup[l.Group] = l
	}
	if len(w.logged()) != 2 || len(byGroup) != 2 {
		t.Fatalf("logged are %v", byGroup)
	}
	for group, want := range map[string]struct {
		status, destination, response string
		code                          int
	}{
		"sns/us-east-1/" + account + "/t":         {"SUCCESS", queue, `{"id":"1"}`, 200},
		"sns/us-east-1/" + account + "/t/Failure": {"FAILURE", queue + "2", `{"ErrorCode":"AccessDeniedException","ErrorMessage":"no"}`, 403},
	} {
		l := byGroup[group]
		if l == nil {
			t.Errorf("nothing in %s", group)
			continue
		}
		var got struct {
			Notification struct{ MessageMD5Sum, MessageId, TopicArn, Timestamp string }
			Delivery     struct {
				DeliveryId, Destination, ProviderResponse string
				DwellTimeMs                               *int64
				Attempts, StatusCode                      int
			}
			Status string
		}
		if err := json.Unmarshal([]byte(l.Text), &got); err != nil {
			t.Fatalf("%s: %v", l.Text, err)
		}
		n, d := got.Notification, got.Delivery
		if _, err := time.Parse("2006-01-02 15:04:05.000", n.Timestamp); err != nil {
			t.Error(err)
		}
		if n.MessageMD5Sum != "5d41402abc4b2a76b9719d911017c592" || n.MessageId != id || n.TopicArn != topic || got.Status != want.status ||
			d.Destination != want.destination || d.ProviderResponse != want.response || d.StatusCode != want.code || d.Attempts != 1 ||
			d.DeliveryId == "" || d.DwellTimeMs == nil || l.Role != statusRole || l.Topic != topic {
			t.Errorf("%s: %s", group, l.Text)
		}
	}
}

// TestStatusIsGivenUp: a role that may not log is no reason to keep anything; a log that fails is tried again.
func TestStatusIsGivenUp(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", map[string]string{"SQSSuccessFeedbackRoleArn": statusRole})
	w.subscribe(topic, "sqs", queue, nil)
	w.full = aws.ErrAccessDenied.New("not you")
	w.publish(topic, "hello")
	w.run(func([]*target.Message) bool {
		return len(w.logged()) == 1 && w.idle(event.Delivery{Kind: StatusKind, Target: topic})
	})
	w.mu.Lock()
	w.full = errors.New("not now")
	w.mu.Unlock()
	w.publish(topic, "hello")
	w.run(func([]*target.Message) bool { return len(w.logged()) >= 3 })
}

// idle says that nothing is on these ways.
func (w *world) idle(ways ...event.Delivery) bool {
	w.t.Helper()
	for _, d := range ways {
		if must(w.depth(d))(w.t) > 0 {
			return false
		}
	}
	return true
}

// setTopic sets an attribute of a topic.
func (w *world) setTopic(topic, name, v string) error {
	_, err := w.SetTopicAttributes(w.ctx, &api.SetTopicAttributesInput{TopicArn: &topic, AttributeName: &name, AttributeValue: &v})
	return err
}

func TestStatusRoles(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	for v, want := range map[string]string{
		statusRole: "", "": "", "r": "InvalidParameter: Invalid parameter: SQSFailureFeedbackRoleArn: must be the ARN of a role",
		"arn:aws:iam::" + account + ":user/u": "InvalidParameter: Invalid parameter: SQSFailureFeedbackRoleArn: must be the ARN of a role",
	} {
		if err := w.setTopic(topic, "SQSFailureFeedbackRoleArn", v); want != "" {
			refusal(t, err, want)
		} else if err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
	refusal(t, w.setTopic(topic, "DisplayName", "a\x01b"), "InvalidParameter: Invalid parameter: DisplayName")
}
