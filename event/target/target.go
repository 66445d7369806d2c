package target

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// Message is what is sent.
type Message struct {
	Target     string // ARN, or an endpoint's URL
	Body       []byte
	Subject    string               // of what is published to a topic; empty for none
	Attributes map[string]Attribute // message attributes; a function gets none
	GroupID    string               // of a FIFO queue or topic
	DedupID    string               // of a FIFO queue or topic
	Header     http.Header          // of a request to an endpoint
	From       Caller               // who sends to a place inside Enfold
	Answer     Answer               // of the place: set by Send
}

// Answer is what a place said to a message.
type Answer struct {
	Status int    // of HTTP; 0 if it did not answer
	Text   string // JSON of the ids that it gave; empty for none
}

// Attribute is a message attribute. A Binary one has Bytes, all others have Text.
type Attribute struct {
	Type  string // "String", "Number", "Binary", "String.Array", or with a label after a dot
	Text  string
	Bytes []byte
}

// IsBinary says which of the two members counts.
func (a Attribute) IsBinary() bool { return a.Type == "Binary" || strings.HasPrefix(a.Type, "Binary.") }

// Caller is who sends, and why.
type Caller struct {
	Principal     *aws.Principal // a service, or the session of a role
	SourceArn     string         // what the service acts for: a topic's ARN
	SourceAccount string         // whose that is
	TraceID       string         // X-Amzn-Trace-Id, as it goes on; may be empty
	Cause         string         // of a dead letter that a service sends, for aws.Call; may be empty
}

// Sender sends messages to one kind of place. Its methods are called by many goroutines.
type Sender interface {
	// Send answers nil when the place has the message, an [event.Permanent] error if no other try can better it.
	Send(ctx context.Context, m *Message) error
}

// Senders finds the sender by the service in the target's ARN: "sqs", "lambda", "sns".
type Senders map[string]Sender

// Send sends to the place that the target's ARN names. One that nobody here serves is refused for good.
func (s Senders) Send(ctx context.Context, m *Message) error {
	arn, err := aws.ParseARN(m.Target)
	if err != nil {
		return event.Permanent(err)
	}
	sender := s[arn.Service]
	if sender == nil {
		return event.Permanent(errors.New("target: nothing is sent to " + arn.Service))
	}
	return sender.Send(ctx, m)
}

// in is ctx for a call in the region of arn, made by c.
func (c Caller) in(ctx context.Context, arn aws.ARN) context.Context {
	account := c.SourceAccount
	if c.Principal.Account != "" {
		account = c.Principal.Account
	}
	name := c.Principal.Service
	if name == "" {
		name = "enfold"
	}
	return aws.WithCall(ctx, &aws.Call{
		Principal: c.Principal, Account: account, Region: arn.Region, RequestID: uuid.NewString(), SourceIP: name, UserAgent: name,
		Secure: true, TraceID: c.TraceID, SourceArn: c.SourceArn, SourceAccount: c.SourceAccount,
		Cause: c.Cause,
	})
}

// judge makes an error for good permanent: what the place refused, and will refuse again.
func judge(err error) error {
	var e *aws.Error
	if err == nil || !errors.As(err, &e) || passes(e.Type) {
		return err
	}
	return event.Permanent(err)
}

// passes says that the trouble may be over at another try: the place's own faults, and too much at once.
func passes(t *aws.ErrorType) bool {
	switch {
	case t.Server || t.Status >= http.StatusInternalServerError || t.Status == http.StatusTooManyRequests:
		return true
	}
	for _, part := range []string{"Thrott", "TooManyRequests", "RequestLimit", "OverLimit", "SlowDown"} {
		if strings.Contains(t.Code, part) {
			return true
		}
	}
	return false
}
