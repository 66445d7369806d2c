package target

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// Sessions gives the principals that deliver in the name of roles.
type Sessions interface {
	// Session is a session of the role, made by Lambda for the function. An error of the role is an *aws.Error.
	Session(ctx context.Context, s store.Scope, role, function string) (*aws.Principal, error)
}

// Outcomes tells destinations and dead-letter queues how an asynchronous invocation ended: the handler of
// lambda.DestinationKind. A delivery goes to the ARN in Target, from a session of Role for the function in Source. Its headers
// become String attributes of the message, but ErrorCode is a Number, and empty ones are left out. A delivery without a payload
// stands for one that was too large, and is given up.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html.
type Outcomes struct {
	Senders  Sender
	Sessions Sessions
	Log      *slog.Logger
	// Undelivered hears of deliveries that are given up; of one more than once if the store has trouble.
	Undelivered func(d *event.Delivery)
}

var _ event.Handler = Outcomes{}

// outcomePlaces is how many are sent to one target at once.
const outcomePlaces = 16

// Places implements event.Handler.
func (Outcomes) Places(string) int { return outcomePlaces }

var errTooLarge = errors.New("target: it is larger than what the destination takes")

// Deliver implements event.Handler.
func (o Outcomes) Deliver(ctx context.Context, d *event.Delivery) error {
	if len(d.Payload) == 0 {
		return event.Permanent(errTooLarge)
	}
	source, err := aws.ParseARN(d.Source)
	if err != nil {
		return event.Permanent(err)
	}
	p, err := o.Sessions.Session(ctx, d.Scope, d.Role, functionName(source))
	if err != nil {
		return judge(err)
	}
	m := &Message{
		Target: d.Target, Body: d.Payload, From: Caller{Principal: p, SourceArn: d.Source, SourceAccount: d.Scope.Account, TraceID: d.Trace},
	}
	if len(d.Headers) > 0 {
		m.Attributes = make(map[string]Attribute, len(d.Headers))
	}
	for name, text := range d.Headers {
		a := Attribute{Type: "String", Text: text}
		if name == "ErrorCode" {
			a.Type = "Number"
		}
		if text != "" { // no message attribute may be empty
			m.Attributes[name] = a
		}
	}
	return o.Senders.Send(ctx, m)
}

// Settle implements event.Handler. There is nowhere else to tell: AWS counts DestinationDeliveryFailures and
// DeadLetterErrors, the log says why.
func (o Outcomes) Settle(_ store.Tx, d *event.Delivery, out event.Outcome) ([]*event.Delivery, error) {
	if out.Err != nil {
		o.Log.Warn("the outcome of an invocation was not delivered", "function", d.Source, "requestId", requestID(d), "destination", d.Target,
			"cause", string(out.Cause), "error", out.Err)
		o.Undelivered(d)
	}
	return nil, nil
}

// requestID is the invocation's: a dead letter has it as an attribute, a record in itself.
func requestID(d *event.Delivery) string {
	var record struct {
		RequestContext struct {
			RequestID string `json:"requestId"`
		} `json:"requestContext"`
	}
	if id := d.Headers["RequestID"]; id != "" || json.Unmarshal(d.Payload, &record) != nil {
		return id
	}
	return record.RequestContext.RequestID
}

// functionName is the name in "function:NAME".
func functionName(a aws.ARN) string { return strings.TrimPrefix(a.Resource, "function:") }
