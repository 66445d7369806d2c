package sns

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
)

// Types of messages.
const (
	typeNotification = "Notification"
	typeSubscribe    = "SubscriptionConfirmation"
	typeUnsubscribe  = "UnsubscribeConfirmation"
)

// message is what is on its way: what was published, or a question to an endpoint.
type message struct {
	Type     string
	ID       string
	TopicArn string
	Subject  *string `json:",omitempty"`
	Text     string
	// Texts are those for protocols that have their own.
	Texts            map[string]string           `json:",omitempty"`
	Attributes       map[string]target.Attribute `json:",omitempty"`
	At               time.Time
	Group            string `json:",omitempty"`
	Dedup            string `json:",omitempty"`
	Sequence         string `json:",omitempty"`
	SignatureVersion string `json:",omitempty"`
	Signature        string `json:",omitempty"`
	Token            string `json:",omitempty"`
	TraceID          string `json:",omitempty"`
	BaseURL          string `json:",omitempty"` // where the server was reached by who published
	// Joined is how many of the topic's subscriptions were ever confirmed when the message was published: those that came later do not
	// get it.
	Joined uint64 `json:",omitempty"`

	// Of a question, whose subscription need not be there: where it goes.
	Protocol, Endpoint string `json:",omitempty"`
	Secret             []byte `json:",omitempty"`

	lock *lock // what it lies under on the disk; nil for none but the outbox's own
}

func (s *Service) newMessage(topic aws.ARN, text string) *message {
	return &message{
		Type: typeNotification, ID: uuid.NewString(), TopicArn: topic.String(), Text: text, At: s.deps.Now().UTC().Truncate(time.Millisecond),
	}
}

// timestamp is the time as messages say it.
func (m *message) timestamp() string { return m.At.UTC().Format("2006-01-02T15:04:05.000Z") }

// encode is the message as it lies in the store.
func (m *message) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if m.lock != nil {
		return m.lock.seal(b)
	}
	return b, nil
}

// readMessage is the message of a delivery. The error is permanent unless another try may better it.
func (s *Service) readMessage(ctx context.Context, d *event.Delivery) (*message, error) {
	payload, err := s.payload(ctx, d)
	if err != nil {
		return nil, err
	}
	plain, l, err := s.unlock(ctx, d, payload)
	if err != nil {
		return nil, err
	}
	m, err := decodeMessage(plain)
	if err != nil {
		return nil, event.Permanent(err)
	}
	m.lock = l
	return m, nil
}

func decodeMessage(b []byte) (*message, error) {
	m := &message{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	return m, nil
}

// shownAttribute is a message attribute as messages show it.
type shownAttribute struct {
	Type  string
	Value any // a string, or bytes that become base64
}

func (m *message) shownAttributes() map[string]shownAttribute {
	all := make(map[string]shownAttribute, len(m.Attributes))
	for name, a := range m.Attributes {
		shown := shownAttribute{Type: a.Type, Value: a.Text}
		if a.IsBinary() {
			shown.Value = a.Bytes
		}
		all[name] = shown
	}
	return all
}

// envelope is a message as queues and HTTP endpoints get it.
type envelope struct {
	Type              string
	MessageID         string `json:"MessageId"`
	Token             string `json:",omitempty"`
	SequenceNumber    string `json:",omitempty"`
	TopicArn          string
	Subject           *string `json:",omitempty"`
	Message           string
	SubscribeURL      string `json:",omitempty"`
	Timestamp         string
	SignatureVersion  string                    `json:",omitempty"`
	Signature         string                    `json:",omitempty"`
	SigningCertURL    string                    `json:",omitempty"`
	UnsubscribeURL    string                    `json:",omitempty"`
	MessageAttributes map[string]shownAttribute `json:",omitempty"`
}

// lambdaMessage is a message as functions get it.
type lambdaMessage struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicArn          string
	Subject           *string
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string `json:"SigningCertUrl"`
	UnsubscribeURL    string `json:"UnsubscribeUrl"`
	MessageAttributes map[string]shownAttribute
}

// lambdaRecord is the one record of a function's event.
type lambdaRecord struct {
	EventSource          string
	EventVersion         string
	EventSubscriptionArn string
	SNS                  lambdaMessage `json:"Sns"`
}

// links are the addresses in a message.
type links struct{ cert, subscribe, unsubscribe string }

// links of a message to a subscription.
func (s *Service) links(sub *subscription, m *message, certificate string) links {
	base := sub.row.BaseURL
	if base == "" {
		base = m.BaseURL
	}
	if base == "" && s.deps.URL != nil {
		base = s.deps.URL()
	}
	base += LinksPath
	l := links{cert: base + certificate}
	if m.Token != "" {
		l.subscribe = base + "?Action=ConfirmSubscription&TopicArn=" + m.TopicArn + "&Token=" + m.Token
		return l
	}
	l.unsubscribe = base + "?Action=Unsubscribe&SubscriptionArn=" + sub.arn() + "&Token=" +
		s.newToken(token{For: toUnsubscribe, Topic: m.TopicArn, ID: sub.id})
	return l
}

// envelope is the message for a queue or an endpoint.
func (m *message) envelope(l links) ([]byte, error) {
	e := envelope{
		Type: m.Type, MessageID: m.ID, Token: m.Token, SequenceNumber: m.Sequence, TopicArn: m.TopicArn, Subject: m.Subject, Message: m.Text,
		SubscribeURL: l.subscribe, Timestamp: m.timestamp(), UnsubscribeURL: l.unsubscribe, MessageAttributes: m.shownAttributes(),
	}
	if m.Signature != "" {
		e.SignatureVersion, e.Signature, e.SigningCertURL = m.SignatureVersion, m.Signature, l.cert
	}
	b, err := plainJSON(e, "  ")
	return event.Sendable(b), err
}

// event is the message for a function.
func (m *message) event(subscription string, l links) ([]byte, error) {
	return plainJSON(map[string]any{"Records": []lambdaRecord{{
		EventSource: "aws:sns", EventVersion: "1.0", EventSubscriptionArn: subscription, SNS: lambdaMessage{
			Type: m.Type, MessageID: m.ID, TopicArn: m.TopicArn, Subject: m.Subject, Message: m.Text, Timestamp: m.timestamp(),
			SignatureVersion: m.SignatureVersion, Signature: m.Signature, SigningCertURL: l.cert, UnsubscribeURL: l.unsubscribe,
			MessageAttributes: m.shownAttributes(),
		},
	}}}, "")
}

// plainJSON is JSON without escapes that only HTML needs.
func plainJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write message: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
