package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/filter"
	"github.com/enfold-run/enfold/store"
)

// Kinds of deliveries.
const (
	PublishKind    = "sns.publish"    // a message, to its topic: FanOut handles it
	DeliveryKind   = "sns.delivery"   // a message, to a subscription: Deliver handles it
	DeadLetterKind = "sns.deadletter" // a message that was given up, to a queue: DeadLetters handles it
)

const (
	// fanOutPiece is how many deliveries one transaction emits at most. It is at least what a FIFO topic has subscriptions: a
	// message of one is expanded at once, which keeps the order.
	fanOutPiece = 100
	// fanOutLook is how many subscriptions are looked at for one piece.
	fanOutLook   = 2000
	fanOutPlaces = 8
	headMessage  = "message" // key of the message's bodies, in what follows a first piece
	headAfter    = "after"   // id of the last subscription that was looked at
)

// FanOut expands messages to deliveries.
type FanOut struct{ s *Service }

var _ event.Handler = FanOut{}

// FanOut is the handler of PublishKind.
func (s *Service) FanOut() FanOut { return FanOut{s} }

// Places implements event.Handler.
func (FanOut) Places(string) int { return fanOutPlaces }

// expansion is what a piece came to.
type expansion struct {
	deliveries []*event.Delivery
	rest       *event.Delivery // nil if that was all

	message string            // key of the message's bodies
	bodies  map[string][]byte // that deliveries name
	named   int               // deliveries that name one
}

// Deliver implements event.Handler: it looks which subscriptions of a piece get the message. They get it when the piece is
// settled.
func (f FanOut) Deliver(ctx context.Context, d *event.Delivery) error {
	m, err := f.s.readMessage(ctx, d)
	if err != nil {
		return err
	}
	arn, err := aws.ParseARN(m.TopicArn)
	if err != nil {
		return event.Permanent(err)
	}
	var piece []*subscription
	var t *topic
	err = f.s.db.View(ctx, func(tx store.Tx) (err error) {
		piece = nil
		if t, err = getTopic(tx, arn); err != nil {
			return err
		}
		r := store.Range{Prefix: store.Prefix(t.name()), Limit: fanOutLook}
		if after := d.Headers[headAfter]; after != "" {
			r.After = store.Key(t.name(), after)
		}
		for row, err := range subscriptions.Scan(tx, t.scope, r) {
			if err != nil {
				return err
			}
			piece = append(piece, &subscription{arn, lastPart(row.Key), row.Value})
		}
		return nil
	})
	if errors.Is(err, api.ErrNotFound) {
		return nil // the topic was deleted, and its subscriptions with it
	}
	if err != nil {
		return err
	}
	x, looked, err := f.expand(ctx, t, m, piece)
	if err != nil {
		return err
	}
	if looked < len(piece) || len(piece) == fanOutLook {
		x.rest = &event.Delivery{
			Kind: d.Kind, Target: d.Target, Scope: d.Scope, Group: d.Group, Source: d.Source, Payload: d.Payload, Emitted: d.Emitted, Retry: d.Retry,
			Headers: map[string]string{headAfter: piece[looked-1].id, headMessage: store.Key(t.name(), m.ID)},
		}
	}
	if x.message = store.Key(t.name(), m.ID); len(piece) > inlineCount || d.Headers[headAfter] != "" {
		f.s.shareAll(x, t.name(), m.ID)
	}
	event.Note(ctx, x)
	return nil
}

// shareAll makes deliveries name large messages.
func (s *Service) shareAll(x *expansion, topic, messageID string) {
	x.bodies = map[string][]byte{}
	for _, d := range x.deliveries {
		if b := s.share(d, topic, messageID); b != nil {
			x.bodies[b.key], x.named = b.sealed, x.named+1
		}
	}
}

// Settle implements event.Handler.
func (f FanOut) Settle(tx store.Tx, d *event.Delivery, o event.Outcome) ([]*event.Delivery, error) {
	if o.Err != nil {
		f.s.deps.Log.Error("a message was not delivered to its topic", "topic", d.Target, "cause", string(o.Cause), "error", o.Err)
	}
	x, ok := o.Result.(*expansion)
	if !ok || o.Err != nil { // the topic is gone, or the message cannot be read
		if message := d.Headers[headMessage]; message != "" {
			return nil, countBodies(tx, d.Scope, message, -1)
		}
		return nil, nil
	}
	more, begins := 0, d.Headers[headAfter] == ""
	switch {
	case begins && x.rest != nil:
		more = 1
	case !begins && x.rest == nil:
		more = -1
	}
	if err := keepBodies(tx, d.Scope, x.message, x.bodies, x.named, more); err != nil {
		return nil, err
	}
	if x.rest != nil {
		return append(x.deliveries[:len(x.deliveries):len(x.deliveries)], x.rest), nil
	}
	return x.deliveries, nil
}

// expand makes the deliveries to those of the subscriptions that get the message, until there are enough for one piece. It answers
// how many it looked at.
func (f FanOut) expand(ctx context.Context, t *topic, m *message, piece []*subscription) (x *expansion, looked int, err error) {
	x = &expansion{}
	match := matcher{m: m, filters: f.s.filters}
	signatures := map[string]string{}
	for _, sub := range piece {
		if len(x.deliveries) == fanOutPiece {
			break
		}
		looked++
		if !f.s.wasThere(sub, m) {
			continue
		}
		ok, err := match.matches(sub)
		if err != nil {
			f.s.deps.Log.Error("a filter policy cannot be read", "subscription", sub.arn(), "error", err)
			continue
		}
		if !ok {
			continue
		}
		own := m.forProtocol(sub.row.Protocol)
		if sub.needsSignature(own) {
			if err := f.s.signOnce(ctx, own, signatures); err != nil {
				return nil, 0, err
			}
		}
		d, err := delivery(sub, own, sub.retry(t))
		if err != nil {
			return nil, 0, err
		}
		x.deliveries = append(x.deliveries, d)
	}
	return x, looked, nil
}

// wasThere says whether a subscription was confirmed when a message was published: who was later does not get it. The time tells of
// a topic that was made anew since, whose subscriptions are counted from the beginning; it does not if the clock was set back.
func (s *Service) wasThere(sub *subscription, m *message) bool {
	if sub.row.Pending || sub.row.Joined > m.Joined {
		return false
	}
	return !sub.row.Created.After(m.At.Add(time.Second)) || sub.row.Created.After(s.deps.Now())
}

// signOnce signs a message, or takes the signature that the same text got before.
func (s *Service) signOnce(ctx context.Context, m *message, signatures map[string]string) error {
	if m.Signature = signatures[m.Text]; m.Signature != "" {
		return nil
	}
	signer, err := s.getSigner(ctx)
	if err != nil {
		return err
	}
	m.Signature, err = signer.sign(m, "")
	signatures[m.Text] = m.Signature
	return err
}

// forProtocol is the message with the text that is meant for a protocol.
func (m *message) forProtocol(protocol string) *message {
	own := *m
	own.Texts = nil
	if text, ok := m.Texts[protocol]; ok {
		own.Text = text
	}
	return &own
}

// needsSignature says that the subscription gets the message in its envelope. Those of FIFO topics are not signed, as with AWS.
func (s *subscription) needsSignature(m *message) bool { return !s.raw() && m.Sequence == "" }

// delivery is a message on its way to a subscription.
func delivery(sub *subscription, m *message, r event.Retry) (*event.Delivery, error) {
	if m.Type != typeNotification { // the subscription may be gone when it is delivered
		m.Protocol, m.Endpoint, m.Secret, m.BaseURL = sub.row.Protocol, sub.row.Endpoint, sub.row.Secret, sub.row.BaseURL
	}
	body, err := m.encode()
	if err != nil {
		return nil, err
	}
	d := &event.Delivery{
		Kind: DeliveryKind, Target: sub.arn(), Scope: scopeOf(sub.topic), Source: sub.topic.String(), Payload: body, Retry: r,
	}
	if m.Sequence != "" {
		d.Group = m.Group
	}
	return d, nil
}

// Retries of what AWS delivers to itself, and to mail servers.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
var (
	ownRetry  = managedRetry(3, 2, 10, 100_000, time.Second, 20*time.Second)
	mailRetry = managedRetry(0, 2, 10, 38, 10*time.Second, 600*time.Second)
)

// managedRetry is a policy of four phases: at once, at the least wait, doubling, at the longest wait.
func managedRetry(atOnce, least, growing, longest int, from, to time.Duration) event.Retry {
	r := event.Retry{Tries: 1 + atOnce + least + growing + longest, Longest: to}
	for range atOnce {
		r.Steps = append(r.Steps, immediate)
	}
	for range least {
		r.Steps = append(r.Steps, from)
	}
	for i := range growing {
		r.Steps = append(r.Steps, time.Duration(float64(time.Second)*backoff("exponential", from.Seconds(), to.Seconds(), i, growing)))
	}
	r.Steps = append(r.Steps, to)
	return r
}

// retry is how deliveries to the subscription are tried again.
func (s *subscription) retry(t *topic) event.Retry {
	switch s.row.Protocol {
	case "http", "https":
		p := s.effectivePolicy(t)
		return p.Retry.retry()
	case "email", "email-json":
		return mailRetry
	}
	return ownRetry
}

// matcher matches one message against many filter policies.
type matcher struct {
	m          *message
	filters    *filterCache
	attributes *filter.Document            // nil until it is needed
	bodies     map[string]*filter.Document // by text; nil for what is no JSON
}

// matches says whether the subscription gets the message.
func (x *matcher) matches(sub *subscription) (bool, error) {
	p, err := x.filters.get(sub)
	if p == nil {
		return err == nil, err
	}
	if sub.filterScope() == scopeAttributes {
		if x.attributes == nil {
			x.attributes = filter.NewDocument(filterable(x.m))
		}
		return p.MatchDocument(x.attributes), nil
	}
	text := x.m.forProtocol(sub.row.Protocol).Text
	doc, known := x.bodies[text]
	if !known {
		if x.bodies == nil {
			x.bodies = map[string]*filter.Document{}
		}
		if doc, err = filter.Parse([]byte(text)); err != nil {
			doc = nil // no filter lets it through
		}
		x.bodies[text] = doc
	}
	return doc != nil && p.MatchDocument(doc), nil
}

// filterable are a message's attributes as filters see them. Binary ones they do not.
func filterable(m *message) map[string]any {
	all := make(map[string]any, len(m.Attributes))
	for name, a := range m.Attributes {
		switch {
		case a.IsBinary():
		case a.Type == "Number":
			all[name] = json.Number(a.Text)
		case a.Type == "String.Array":
			var list []any
			dec := json.NewDecoder(strings.NewReader(a.Text))
			dec.UseNumber()
			if dec.Decode(&list) == nil && !dec.More() {
				all[name] = list
			}
		default:
			all[name] = a.Text
		}
	}
	return all
}

// errNoTarget is why a delivery without a place ends.
func errNoTarget(protocol string) error {
	return fmt.Errorf("sns: nothing is delivered by %q", protocol)
}
