package target

import (
	"context"
	"fmt"
	"net/http"

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
	ctx = m.From.in(ctx, arn)
	_, err = l.API.Invoke(ctx, &api.InvokeInput{
		FunctionName: &m.Target, InvocationType: new(api.InvocationTypeEvent), Payload: m.Body,
	})
	if err == nil {
		m.Answer = Answer{http.StatusAccepted, fmt.Sprintf(`{"lambdaRequestId":%q}`, aws.CallFrom(ctx).RequestID)}
	}
	return judge(err)
}
