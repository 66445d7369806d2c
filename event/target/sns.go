package target

import (
	"context"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// SNS publishes to topics.
type SNS struct{ API TopicAPI }

// TopicAPI is what is needed of SNS.
type TopicAPI interface {
	Publish(ctx context.Context, in *api.PublishInput) (*api.PublishOutput, error)
}

// Send implements [Sender].
func (s SNS) Send(ctx context.Context, m *Message) error {
	arn, err := aws.ParseARN(m.Target)
	if err != nil {
		return event.Permanent(err)
	}
	in := &api.PublishInput{TopicArn: &m.Target, Message: new(string(m.Body))}
	if m.Subject != "" {
		in.Subject = &m.Subject
	}
	if m.GroupID != "" {
		in.MessageGroupID = &m.GroupID
	}
	if m.DedupID != "" {
		in.MessageDeduplicationID = &m.DedupID
	}
	if len(m.Attributes) > 0 {
		in.MessageAttributes = make(map[string]*api.MessageAttributeValue, len(m.Attributes))
	}
	for name, a := range m.Attributes {
		v := &api.MessageAttributeValue{DataType: new(a.Type)}
		if a.IsBinary() {
			v.BinaryValue = a.Bytes
		} else {
			v.StringValue = new(a.Text)
		}
		in.MessageAttributes[name] = v
	}
	_, err = s.API.Publish(m.From.in(ctx, arn), in)
	return judge(err)
}
