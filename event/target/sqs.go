package target

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// isPlain says whether a client's trace header is text that a queue takes.
func isPlain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// SQS sends to queues.
type SQS struct{ API QueueAPI }

// QueueAPI is what is needed of SQS.
type QueueAPI interface {
	SendMessage(ctx context.Context, in *api.SendMessageInput) (*api.SendMessageOutput, error)
}

// Send implements [Sender].
func (s SQS) Send(ctx context.Context, m *Message) error {
	arn, err := aws.ParseARN(m.Target)
	if err != nil {
		return event.Permanent(err)
	}
	url, err := api.URLOf(m.Target)
	if err != nil {
		return event.Permanent(err)
	}
	in := &api.SendMessageInput{QueueURL: &url, MessageBody: new(string(m.Body))}
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
	if isPlain(m.From.TraceID) {
		in.MessageSystemAttributes = map[string]*api.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: new("String"), StringValue: new(m.From.TraceID)},
		}
	}
	ctx = m.From.in(ctx, arn)
	out, err := s.API.SendMessage(ctx, in)
	if err == nil && out.MessageID != nil {
		m.Answer = Answer{http.StatusOK, fmt.Sprintf(`{"sqsRequestId":%q,"sqsMessageId":%q}`, aws.CallFrom(ctx).RequestID, *out.MessageID)}
	}
	return judge(err)
}
