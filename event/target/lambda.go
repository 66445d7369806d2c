package target

import (
	"context"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// Lambda invokes functions asynchronously: the body is the event.
type Lambda struct{ API FunctionAPI }

// FunctionAPI is what is needed of Lambda.
type FunctionAPI interface {
	Invoke(ctx context.Context, in *api.InvokeInput) (*api.InvokeOutput, error)
}

// Send implements [Sender]. It is done when Lambda has accepted the event.
func (l Lambda) Send(ctx context.Context, m *Message) error {
	arn, err := aws.ParseARN(m.Target)
	if err != nil {
		return event.Permanent(err)
	}
	_, err = l.API.Invoke(m.From.in(ctx, arn), &api.InvokeInput{
		FunctionName: &m.Target, InvocationType: new(api.InvocationTypeEvent), Payload: m.Body,
	})
	return judge(err)
}
