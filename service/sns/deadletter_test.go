package sns

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

func redriveTo(arn string) map[string]string {
	return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `"}`}
}

// TestForeignDeadLetterQueue has who may only subscribe name a queue of another account: the topic's owner, say, whose queues trust
// the topic.
func TestForeignDeadLetterQueue(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	stranger := as(t.Context(), aws.RootOf(other, ""), account)
	theirs := "arn:aws:sqs:us-east-1:" + other + ":q"
	subscribe := func(attributes map[string]string) (*api.SubscribeOutput, error) {
		return w.Subscribe(stranger, &api.SubscribeInput{TopicArn: &topic, Protocol: new("sqs"), Endpoint: &theirs, Attributes: attributes})
	}
	const why = "RedrivePolicy: deadLetterTargetArn must be of the same account and region as the subscription"
	_, err := subscribe(redriveTo(queue))
	refusal(t, err, "InvalidParameter: Invalid parameter: Attributes Reason: "+why)
	arn := *must(subscribe(nil))(t).SubscriptionArn
	set := func(dlq string) error {
		_, err := w.SetSubscriptionAttributes(stranger, &api.SetSubscriptionAttributesInput{
			SubscriptionArn: &arn, AttributeName: new("RedrivePolicy"), AttributeValue: new(redriveTo(dlq)["RedrivePolicy"]),
		})
		return err
	}
	refusal(t, set(queue), "InvalidParameter: Invalid parameter: "+why)
	refusal(t, set(strings.Replace(theirs, region, "eu-west-1", 1)), "InvalidParameter: Invalid parameter: "+why)
	if err := set(theirs + "dead"); err != nil {
		t.Error(err)
	}
	refusal(t, w.setAttribute(arn, "RawMessageDelivery", "true"),
		"AuthorizationError: Subscription owner mismatch: only the account that owns a subscription sets its attributes")

	// One that was stored by an Enfold that let it through delivers nothing there.
	a, id, err := api.ParseSubscriptionARN(arn)
	if err != nil {
		t.Fatal(err)
	}
	err = w.db.Update(t.Context(), func(tx store.Tx) error {
		sub, err := getSubscription(tx, a, id)
		if err != nil {
			return err
		}
		sub.row.Attributes = redriveTo(queue + "mine")
		return sub.put(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.fail[theirs] = event.Permanent(errors.New("it is gone"))
	w.subscribe(topic, "sqs", queue, nil)
	w.publish(topic, "m")
	idle := func() bool {
		return w.idle(event.Delivery{Kind: PublishKind, Target: topic}) && w.idle(event.Delivery{Kind: DeliveryKind, Target: arn}) &&
			w.idle(event.Delivery{Kind: DeadLetterKind, Target: queue + "mine"})
	}
	for _, m := range w.run(func(got []*target.Message) bool { return len(got) > 0 && idle() }) {
		if m.Target != queue {
			t.Errorf("a message came to %s", m.Target)
		}
	}
}

func TestKindsOfDeadLetterQueues(t *testing.T) {
	w := newWorld(t)
	standard, ordered := w.topic("t", nil), w.topic("t.fifo", map[string]string{"FifoTopic": "true"})
	for _, c := range []struct{ topic, endpoint, dlq, want string }{
		{standard, queue, queue + "dead.fifo", "InvalidParameter: Invalid parameter: RedrivePolicy: must use a standard queue as DLQ for a Subscription to a standard Topic."},
		{ordered, queue + ".fifo", queue + "dead", "InvalidParameter: Invalid parameter: RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."},
		{standard, queue, queue + "dead", ""},
		{ordered, queue + ".fifo", queue + "dead.fifo", ""},
	} {
		_, err := w.Subscribe(w.ctx, &api.SubscribeInput{TopicArn: &c.topic, Protocol: new("sqs"), Endpoint: &c.endpoint, Attributes: redriveTo(c.dlq)})
		switch {
		case c.want != "":
			refusal(t, err, c.want)
		case err != nil:
			t.Errorf("%s of %s: %v", c.dlq, c.topic, err)
		}
	}
}

// TestCauseOfDeadLetters: two subscriptions share a queue, and each letter goes there with whose it is, of which message and why; the message is as
// AWS sends it.
func TestCauseOfDeadLetters(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("t", nil)
	want := map[string]string{} // by subscription
	for _, name := range []string{"a", "b"} {
		arn := w.subscribe(topic, "sqs", queue+name, map[string]string{
			"RedrivePolicy": redriveTo(queue + "dead")["RedrivePolicy"], "RawMessageDelivery": "true",
		})
		w.fail[queue+name] = event.Permanent(errors.New("no queue " + name))
		want[arn] = `{"Subscription":"` + arn + `","Condition":"Refused","Error":"no queue ` + name + `","MessageId":"`
	}
	id := *w.publish(topic, "m").MessageID
	for _, m := range w.run(count(2)) {
		var c cause
		if err := json.Unmarshal([]byte(m.From.Cause), &c); err != nil {
			t.Fatal(err)
		}
		if want[c.Subscription]+id+`"}` != m.From.Cause || m.Target != queue+"dead" || string(m.Body) != "m" || len(m.Attributes) > 0 {
			t.Errorf("%s %v came to %s because of %s", m.Body, m.Attributes, m.Target, m.From.Cause)
		}
		delete(want, c.Subscription)
	}
	w.subscribe(topic, "sqs", queue, nil)
	w.publish(topic, "n")
	for _, m := range w.run(count(5)) {
		if m.Target == queue && m.From.Cause != "" {
			t.Errorf("what is delivered has the cause %s", m.From.Cause)
		}
	}
}

// TestDeadLettersOfRawMessages has queues that refuse the raw form of a message: its dead letter is the JSON that a subscription
// without raw delivery gets.
func TestDeadLettersOfRawMessages(t *testing.T) {
	many := map[string]*api.MessageAttributeValue{}
	for i := range maxQueueAttributes + 1 {
		many[fmt.Sprint("a", i)] = &api.MessageAttributeValue{DataType: new("String"), StringValue: new("v")}
	}
	odd := map[string]*api.MessageAttributeValue{"a": {DataType: new("String"), StringValue: new("\ufffe")}}
	for _, c := range []struct {
		name, text string
		attributes map[string]*api.MessageAttributeValue
		trouble    error // of the dead-letter queue, with the first letter that it could take
	}{
		{"too many attributes", "m", many, nil},
		{"characters", "a\x01\ufffe\\\uffffb", nil, nil},
		{"an attribute", "m", odd, nil},
		{"trouble that passes", "\x01", nil, errors.New("no room now")},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			trouble := c.trouble
			w.picky = func(m *target.Message) error {
				forbidden := func(s string) bool { return strings.ContainsAny(s, "\x01\ufffe\uffff") }
				if forbidden(string(m.Body)) || forbidden(m.Attributes["a"].Text) {
					return event.Permanent(errors.New("invalid characters"))
				}
				err := trouble
				trouble = nil
				return err
			}
			topic := w.topic("t", nil)
			w.subscribe(topic, "sqs", queue, map[string]string{
				"RedrivePolicy": redriveTo(queue + "dead")["RedrivePolicy"], "RawMessageDelivery": "true",
			})
			must(w.Publish(w.ctx, &api.PublishInput{TopicArn: &topic, Message: &c.text, MessageAttributes: c.attributes}))(t)
			m := w.run(count(1))[0]
			var got envelope
			if err := json.Unmarshal(m.Body, &got); err != nil {
				t.Fatalf("%v in %q", err, m.Body)
			}
			if m.Target != queue+"dead" || got.Type != typeNotification || got.Message != c.text || got.Signature == "" ||
				len(got.MessageAttributes) != len(c.attributes) || len(m.Attributes) > 0 || m.From.Cause == "" {
				t.Errorf("%q with %v came to %s because of %s", m.Body, m.Attributes, m.Target, m.From.Cause)
			}
		})
	}
}
