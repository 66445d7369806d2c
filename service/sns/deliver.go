package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/store"
)

// Deliveries brings messages to subscriptions.
type Deliveries struct{ s *Service }

var _ event.Handler = Deliveries{}

// Deliveries is the handler of DeliveryKind.
func (s *Service) Deliveries() Deliveries { return Deliveries{s} }

// deliveryPlaces is how many messages one subscription gets at once.
const deliveryPlaces = 16

// Places implements event.Handler.
func (Deliveries) Places(string) int { return deliveryPlaces }

// Deliver implements event.Handler: one try.
func (h Deliveries) Deliver(ctx context.Context, d *event.Delivery) error {
	m, err := h.s.readMessage(ctx, d)
	if err != nil {
		return err
	}
	out, policy, err := h.s.addressed(ctx, d, m)
	if out == nil {
		return err
	}
	if wait := h.s.throttle.wait(d.Target, policy, h.s.deps.Now()); wait > 0 {
		return event.Later(errThrottled, wait)
	}
	answer, err := h.s.send(ctx, out)
	out.note(ctx, d, answer, err)
	return err
}

var errThrottled = errors.New("sns: the endpoint gets no more messages each second")

// outgoing is a message with its subscription.
type outgoing struct {
	sub     *subscription
	m       *message
	policy  *subscriptionPolicy // of an endpoint
	topic   *topic              // nil of a dead letter
	cause   string              // of a dead letter
	wrapped bool                // in JSON, though the subscription is raw
}

// addressed finds the subscription that a delivery is for; nil if it is not there any more.
func (s *Service) addressed(ctx context.Context, d *event.Delivery, m *message) (*outgoing, *throttlePolicy, error) {
	arn, id, err := api.ParseSubscriptionARN(d.Target)
	if err != nil {
		return nil, nil, event.Permanent(err)
	}
	var sub *subscription
	var t *topic
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		if t, err = getTopic(tx, arn); err != nil {
			return err
		}
		sub, err = getSubscription(tx, arn, id)
		return err
	})
	switch {
	case errors.Is(err, api.ErrNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case m.Type == typeUnsubscribe && sub == nil:
		sub = &subscription{arn, id, subscriptionRow{
			Protocol: m.Protocol, Endpoint: m.Endpoint, Secret: m.Secret, BaseURL: m.BaseURL,
		}}
	case sub == nil || m.Type == typeNotification && sub.row.Pending || m.Type == typeSubscribe && !sub.row.Pending:
		return nil, nil, nil
	}
	p := sub.effectivePolicy(t)
	return &outgoing{sub: sub, m: m, policy: &p, topic: t}, p.Throttle, nil
}

// send makes the message what the protocol wants, and sends it.
func (s *Service) send(ctx context.Context, o *outgoing) (answer target.Answer, err error) {
	signer, err := s.getSigner(ctx)
	if err != nil {
		return answer, err
	}
	l := s.links(o.sub, o.m, signer.name)
	if o.m.Signature == "" && (o.sub.needsSignature(o.m) || o.m.Type != typeNotification) {
		if o.m.Signature, err = signer.sign(o.m, l.subscribe); err != nil {
			return answer, err
		}
	}
	switch o.sub.row.Protocol {
	case "sqs":
		return s.toQueue(ctx, o, o.sub.row.Endpoint, l)
	case "lambda":
		body, err := o.m.event(o.sub.arn(), l)
		if err != nil {
			return answer, event.Permanent(err)
		}
		m := &target.Message{Target: o.sub.row.Endpoint, Body: body, From: o.from()}
		err = s.deps.Places.Send(ctx, m)
		return m.Answer, err
	case "http", "https":
		return s.toEndpoint(ctx, o, l)
	case "email", "email-json":
		return answer, s.toMail(ctx, o, l)
	}
	return answer, event.Permanent(errNoTarget(o.sub.row.Protocol))
}

// from is who sends: SNS, for the topic.
func (o *outgoing) from() target.Caller {
	return target.Caller{
		Principal: servicePrincipal, SourceArn: o.sub.topic.String(), SourceAccount: o.sub.topic.Account, TraceID: o.m.TraceID, Cause: o.cause,
	}
}

// maxQueueAttributes is how many attributes a message of a queue has.
const maxQueueAttributes = 10

// toQueue sends to a queue: of the subscription, or for its dead letters.
func (s *Service) toQueue(ctx context.Context, o *outgoing, queue string, l links) (answer target.Answer, err error) {
	m := &target.Message{Target: queue, GroupID: o.m.Group, From: o.from()}
	if strings.HasSuffix(queue, fifoSuffix) {
		if m.DedupID = o.m.Dedup; m.DedupID == "" {
			m.DedupID = o.m.ID
		}
		if m.GroupID == "" {
			m.GroupID = o.sub.topic.Resource
		}
	}
	if o.sub.raw() && !o.wrapped && o.m.Type == typeNotification {
		if len(o.m.Attributes) > maxQueueAttributes {
			return answer, event.Permanent(errors.New("sns: a message of a queue has ten attributes at most"))
		}
		m.Body, m.Attributes = []byte(o.m.Text), o.m.Attributes
	} else if m.Body, err = o.m.envelope(l); err != nil {
		return answer, event.Permanent(err)
	}
	err = s.deps.Places.Send(ctx, m)
	return m.Answer, err
}

// toEndpoint posts to an HTTP endpoint.
func (s *Service) toEndpoint(ctx context.Context, o *outgoing, l links) (answer target.Answer, err error) {
	h := http.Header{}
	h.Set("x-amz-sns-message-type", o.m.Type)
	h.Set("x-amz-sns-message-id", o.m.ID)
	h.Set("x-amz-sns-topic-arn", o.m.TopicArn)
	h.Set("Content-Type", defaultContent)
	h.Set("User-Agent", "Amazon Simple Notification Service Agent")
	whole, err := s.whole(o.sub)
	if err != nil {
		return answer, event.Permanent(err)
	}
	m := &target.Message{Target: whole, Header: h}
	if o.m.Type == typeNotification {
		h.Set("x-amz-sns-subscription-arn", o.sub.arn())
		h.Set("Content-Type", o.policy.contentType())
	}
	if o.sub.raw() && o.m.Type == typeNotification {
		h.Set("x-amz-sns-rawdelivery", "true")
		m.Body = []byte(o.m.Text)
	} else if m.Body, err = o.m.envelope(l); err != nil {
		return answer, event.Permanent(err)
	}
	err = s.deps.Endpoints.Send(ctx, m)
	return m.Answer, err
}

// toMail sends a mail.
func (s *Service) toMail(ctx context.Context, o *outgoing, l links) error {
	if s.deps.Mail == nil {
		return event.Permanent(errors.New("sns: this server sends no mail"))
	}
	m := &target.Message{Target: o.sub.row.Endpoint, Subject: "AWS Notification Message"}
	if o.m.Subject != nil {
		m.Subject = *o.m.Subject
	}
	switch {
	case o.sub.row.Protocol == "email-json":
		body, err := o.m.envelope(l)
		if err != nil {
			return event.Permanent(err)
		}
		m.Body = body
	case o.m.Type == typeSubscribe:
		m.Subject = "AWS Notification - Subscription Confirmation"
		m.Body = fmt.Appendf(nil, "You have chosen to subscribe to the topic:\n%s\n\nTo confirm this subscription, visit the link below. "+
			"(If this was in error no action is necessary.)\n%s\n", o.m.TopicArn, l.subscribe)
	default:
		m.Body = fmt.Appendf(nil, "%s\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the link below to unsubscribe:\n%s\n",
			o.m.Text, l.unsubscribe)
	}
	return s.deps.Mail.Send(ctx, m)
}

// Settle implements event.Handler: what is given up becomes a dead letter if the subscription has a queue for it.
func (h Deliveries) Settle(tx store.Tx, d *event.Delivery, o event.Outcome) ([]*event.Delivery, error) {
	var out []*event.Delivery
	if line := status(o); line != nil {
		out = append(out, line)
	}
	if o.Err == nil {
		return out, release(tx, d)
	}
	arn, id, err := api.ParseSubscriptionARN(d.Target)
	if err != nil {
		return out, release(tx, d)
	}
	sub, err := getSubscription(tx, arn, id)
	if err != nil {
		return nil, err
	}
	dlq := ""
	if sub != nil {
		dlq = sub.deadLetterQueue()
	}
	h.s.deps.Log.Warn("a message was not delivered", "subscription", d.Target, "cause", string(o.Cause), "deadLetterQueue", dlq, "error", o.Err)
	if dlq == "" {
		return out, release(tx, d)
	}
	heads := map[string]string{headSubscription: d.Target, headCause: causeOf(d, o)}
	if key := d.Headers[headBody]; key != "" {
		heads[headBody] = key
	}
	return append(out, &event.Delivery{
		Kind: DeadLetterKind, Target: dlq, Scope: d.Scope, Group: d.Group, Source: d.Source, Payload: d.Payload, Retry: ownRetry,
		Headers: heads,
	}), nil
}

// Headers of dead letters: the ARN of the subscription that one was for, and why it did not get it.
const (
	headSubscription = "subscription"
	headCause        = "cause"
)

// maxCauseError is the most of an error that a dead letter's cause has, in bytes.
const maxCauseError = 1 << 10

// cause is why a delivery became a dead letter, and of which message: a raw letter does not say that. AWS's letters have no such
// thing, so it is none of the message's attributes: the queue keeps it beside them, for who looks at it.
type cause struct {
	Subscription, Condition, Error string
	MessageID                      string `json:"MessageId,omitempty"` // known when the letter is written
}

func causeOf(d *event.Delivery, o event.Outcome) string {
	text := o.Err.Error()
	return cause{Subscription: d.Target, Condition: string(o.Cause), Error: strings.ToValidUTF8(text[:min(len(text), maxCauseError)], "")}.text()
}

func (c cause) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return string(b)
}

// causeFor is the cause that a delivery has, with the id of its message.
func causeFor(d *event.Delivery, m *message) string {
	var c cause
	if json.Unmarshal([]byte(d.Headers[headCause]), &c) != nil {
		return d.Headers[headCause]
	}
	c.MessageID = m.ID
	return c.text()
}

// DeadLetters brings what was given up to queues.
type DeadLetters struct{ s *Service }

var _ event.Handler = DeadLetters{}

// DeadLetters is the handler of DeadLetterKind.
func (s *Service) DeadLetters() DeadLetters { return DeadLetters{s} }

// Places implements event.Handler.
func (DeadLetters) Places(string) int { return deliveryPlaces }

// Deliver implements event.Handler.
func (h DeadLetters) Deliver(ctx context.Context, d *event.Delivery) error {
	m, err := h.s.readMessage(ctx, d)
	if err != nil {
		return err
	}
	arn, id, err := api.ParseSubscriptionARN(d.Headers[headSubscription])
	if err != nil {
		return event.Permanent(err)
	}
	o := &outgoing{sub: &subscription{topic: arn, id: id}, m: m, cause: causeFor(d, m)}
	err = h.s.db.View(ctx, func(tx store.Tx) error {
		there, err := getSubscription(tx, arn, id)
		if there != nil {
			o.sub = there
		}
		return err
	})
	if err != nil {
		return err
	}
	if o.sub.row.Owner != "" && !o.sub.mayBury(d.Target) {
		return event.Permanent(errors.New("sns: the dead-letter queue is not of the subscription's account and Region"))
	}
	err = h.bury(ctx, o, d.Target)
	if !o.sub.raw() || !event.IsPermanent(err) {
		return err
	}
	// A queue that refuses the raw message as the subscriber's did takes it in JSON, which can say any text and has the attributes
	// inside. Otherwise the message would be lost here.
	o.wrapped = true
	again := h.bury(ctx, o, d.Target)
	if event.IsPermanent(again) {
		return fmt.Errorf("%w; in JSON: %w", err, again)
	}
	return again
}

// bury sends a dead letter to its queue.
func (h DeadLetters) bury(ctx context.Context, o *outgoing, queue string) error {
	signer, err := h.s.getSigner(ctx)
	if err != nil {
		return err
	}
	l := h.s.links(o.sub, o.m, signer.name)
	if o.m.Signature == "" && (o.wrapped && o.m.Sequence == "" || o.sub.needsSignature(o.m)) {
		if o.m.Signature, err = signer.sign(o.m, l.subscribe); err != nil {
			return err
		}
	}
	_, err = h.s.toQueue(ctx, o, queue, l)
	return err
}

// Settle implements event.Handler. There is nowhere else to go.
func (h DeadLetters) Settle(tx store.Tx, d *event.Delivery, o event.Outcome) ([]*event.Delivery, error) {
	if o.Err != nil {
		h.s.deps.Log.Error("a dead letter was not delivered", "subscription", d.Headers[headSubscription], "queue", d.Target,
			"cause", string(o.Cause), "error", o.Err)
	}
	return nil, release(tx, d)
}

// throttles let endpoints get so many messages each second.
type throttles struct {
	mu   sync.Mutex
	next map[string]time.Time // when the next message may go
}

// maxThrottles bounds the endpoints that are remembered.
const maxThrottles = 100_000

func newThrottles() *throttles { return &throttles{next: map[string]time.Time{}} }

// wait is how long a message must wait; zero if it may go, and then it counts.
func (t *throttles) wait(endpoint string, p *throttlePolicy, now time.Time) time.Duration {
	if p == nil || p.MaxReceivesPerSecond == nil {
		return 0
	}
	each := time.Second / time.Duration(*p.MaxReceivesPerSecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.next[endpoint]
	if next.After(now) {
		return next.Sub(now)
	}
	if len(t.next) >= maxThrottles {
		for known, at := range t.next {
			if at.Before(now) {
				delete(t.next, known)
			}
		}
	}
	t.next[endpoint] = now.Add(each)
	return 0
}
