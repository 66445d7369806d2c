package sns

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// Limits of a topic and an account. See https://docs.aws.amazon.com/general/latest/gr/sns.html.
const (
	maxSubscriptions     = 12_500_000
	maxFIFOSubscriptions = 100
	maxFilters           = 200
	maxAccountFilters    = 10_000
	maxEndpoint          = 2048 // bytes
)

// pendingConfirmation is the ARN of a subscription that is not confirmed, for who did not ask for it.
const pendingConfirmation = "pending confirmation"

// Subscribe makes a subscription, or answers the one of the same endpoint that is there already. It is confirmed at once if its
// endpoint belongs to who subscribes it; others are asked.
func (s *Service) Subscribe(ctx context.Context, in *api.SubscribeInput) (*api.SubscribeOutput, error) {
	arn, err := parseTopic(ctx, "TopicArn", in.TopicArn)
	if err != nil {
		return nil, err
	}
	sub, err := s.newSubscription(ctx, arn, in)
	if err != nil {
		return nil, err
	}
	var ask *event.Delivery
	err = s.db.Update(ctx, func(tx store.Tx) (err error) {
		ask, err = s.subscribe(tx, sub, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	if ask != nil {
		s.deps.Outbox.Wake(ask)
	}
	out := &api.SubscribeOutput{SubscriptionArn: new(sub.arn())}
	if sub.row.Pending && !value(in.ReturnSubscriptionArn) {
		out.SubscriptionArn = new(pendingConfirmation)
	}
	return out, nil
}

// subscribe stores sub, or makes it the one that is there. It answers the question to the endpoint, if there is one.
func (s *Service) subscribe(tx store.Tx, sub *subscription, in *api.SubscribeInput) (*event.Delivery, error) {
	t, err := getTopic(tx, sub.topic)
	if err != nil {
		return nil, err
	}
	if err := sub.fits(t); err != nil {
		return nil, err
	}
	id, err := endpoints.Get(tx, t.scope, sub.endpointKey())
	switch {
	case err == nil:
		there, err := getSubscription(tx, sub.topic, id.Value)
		if err != nil {
			return nil, err
		}
		if there != nil {
			return s.again(tx, t, sub, there, in)
		}
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	if err := sub.makeRoom(tx, t); err != nil {
		return nil, err
	}
	if err := sub.add(tx); err != nil || !sub.row.Pending {
		return nil, err
	}
	return s.ask(tx, t, sub)
}

// again answers a subscription that is there: it must be the same as far as the request says. Its endpoint is asked again if it
// did not answer yet.
func (s *Service) again(tx store.Tx, t *topic, sub, there *subscription, in *api.SubscribeInput) (*event.Delivery, error) {
	for name := range in.Attributes {
		if there.attribute(name) != sub.attribute(name) && (name != "RawMessageDelivery" || there.raw() != sub.raw()) {
			return nil, invalid("Attributes Reason: Subscription already exists with different attributes")
		}
	}
	base := sub.row.BaseURL
	sub.id, sub.row = there.id, there.row
	if !there.row.Pending {
		return nil, nil
	}
	sub.row.BaseURL = base
	if err := sub.put(tx); err != nil {
		return nil, err
	}
	return s.ask(tx, t, sub)
}

// makeRoom counts the subscription, and refuses one too many.
func (s *subscription) makeRoom(tx store.Tx, t *topic) error {
	filters := 0
	if s.attribute("FilterPolicy") != "" {
		filters = 1
	}
	c, err := t.count(tx, func(c *countRow) {
		c.Filters += filters
		if s.row.Pending {
			c.Pending++
		} else {
			s.join(c)
		}
	})
	if err != nil {
		return err
	}
	most := maxSubscriptions
	if t.row.FIFO {
		most = maxFIFOSubscriptions
	}
	if c.Confirmed+c.Pending > most {
		return api.ErrSubscriptionLimitExceeded.Withf("Subscription limit exceeded: a topic of this kind has at most %d subscriptions", most)
	}
	if filters == 0 {
		return nil
	}
	return countFilters(tx, t, c.Filters, filters)
}

// countFilters counts filter policies of the account, and refuses one too many of the topic or the account.
func countFilters(tx store.Tx, t *topic, ofTopic, more int) error {
	if more > 0 && ofTopic > maxFilters {
		return api.ErrFilterPolicyLimitExceeded.Withf("Filter policy limit exceeded: a topic has at most %d", maxFilters)
	}
	over := false
	err := total(tx, t.scope, func(c *countRow) {
		c.Filters += more
		over = more > 0 && c.Filters > maxAccountFilters
	})
	if err == nil && over {
		err = api.ErrFilterPolicyLimitExceeded.Withf("Filter policy limit exceeded: an account has at most %d", maxAccountFilters)
	}
	return err
}

// newSubscription is what a request describes, as far as it can be checked without the topic.
func (s *Service) newSubscription(ctx context.Context, arn aws.ARN, in *api.SubscribeInput) (*subscription, error) {
	call := aws.CallFrom(ctx)
	sub := &subscription{topic: arn, id: uuid.NewString(), row: subscriptionRow{
		Protocol: value(in.Protocol), Endpoint: value(in.Endpoint), Owner: caller(call), BaseURL: call.BaseURL,
		Attributes: map[string]string{}, Created: s.deps.Now().UTC(),
	}}
	if call.Principal != nil {
		sub.row.Principal = call.Principal.Arn
		if sess := call.Principal.Session; sess != nil && sess.Issuer != "" {
			sub.row.Principal = sess.Issuer
		}
	}
	own, err := s.checkEndpoint(sub)
	if err != nil {
		return nil, err
	}
	sub.row.Pending, sub.row.Authenticated = !own, own
	s.hide(sub)
	for _, name := range sortedKeys(in.Attributes) {
		if err := sub.set(name, in.Attributes[name], "Attributes Reason: "); err != nil {
			return nil, err
		}
	}
	return sub, sub.checkFilter("Attributes Reason: ")
}

// hide takes the password out of an endpoint, for where it is shown or lies in the clear.
func (s *Service) hide(sub *subscription) {
	whole := sub.row.Endpoint
	sub.row.Hash = hashOf(whole)
	if shown := shownEndpoint(whole); shown != whole {
		sub.row.Endpoint, sub.row.Secret = shown, s.deps.Seal.Seal([]byte(whole), endpointPlace)
	}
}

var endpointPlace = []byte("sns endpoint")

// whole is the endpoint with its password.
func (s *Service) whole(sub *subscription) (string, error) {
	if sub.row.Secret == nil {
		return sub.row.Endpoint, nil
	}
	b, err := s.deps.Seal.Open(sub.row.Secret, endpointPlace)
	if err != nil {
		return "", fmt.Errorf("endpoint of %s: %w", sub.arn(), err)
	}
	return string(b), nil
}

// checkEndpoint refuses what the protocol cannot reach, and says whether the endpoint belongs to who subscribes it.
func (s *Service) checkEndpoint(sub *subscription) (own bool, err error) {
	endpoint := sub.row.Endpoint
	if len(endpoint) > maxEndpoint {
		return false, invalid("Endpoint Reason: it is too long")
	}
	switch sub.row.Protocol {
	case "sqs", "lambda":
		what, resource := "SQS endpoint ARN", ""
		if sub.row.Protocol == "lambda" {
			what, resource = "Lambda endpoint ARN", "function:"
		}
		a, err := aws.ParseARN(endpoint)
		if err != nil || a.Service != sub.row.Protocol || a.Region == "" || len(a.Account) != 12 || !strings.HasPrefix(a.Resource, resource) ||
			resource == "" && strings.Contains(a.Resource, ":") {
			return false, invalid("%s", what)
		}
		return a.Account == sub.row.Owner, nil
	case "http", "https":
		return false, s.checkURL(sub.row.Protocol, endpoint)
	case "email", "email-json":
		if s.deps.Mail == nil {
			return false, invalid("Protocol Reason: this server sends no mail: its operator has set no mail server")
		}
		if a, err := mail.ParseAddress(endpoint); err != nil || a.Address != endpoint {
			return false, invalid("Email address")
		}
		return false, nil
	case "sms", "application", "firehose":
		return false, invalid("Protocol Reason: Enfold does not deliver to %s", sub.row.Protocol)
	}
	return false, invalid("Amazon SNS does not support this protocol string: %.100s", sub.row.Protocol)
}

// checkURL refuses a URL that is none, or of another protocol, or of what is certainly not reachable.
func (s *Service) checkURL(protocol, endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return invalid("Endpoint must match the specified protocol")
	case u.Scheme != protocol:
		return invalid("Endpoint must match the specified protocol")
	}
	if err := s.deps.Endpoints.Check(endpoint); err != nil {
		return invalid("Unreachable Endpoint: %s", err)
	}
	return nil
}

// fits refuses what does not go with the kind of topic.
func (s *subscription) fits(t *topic) error {
	fifoQueue := s.row.Protocol == "sqs" && strings.HasSuffix(s.row.Endpoint, fifoSuffix)
	switch {
	case !t.row.FIFO && fifoQueue:
		return invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
	case t.row.FIFO && s.row.Protocol != "sqs":
		return invalid("Invalid protocol type: %s. A FIFO topic delivers to queues", s.row.Protocol)
	}
	dlq := s.deadLetterQueue()
	switch fifo := strings.HasSuffix(dlq, fifoSuffix); {
	case dlq == "":
	case t.row.FIFO && fifoQueue && !fifo:
		return invalid("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
	case !t.row.FIFO && fifo:
		return invalid("RedrivePolicy: must use a standard queue as DLQ for a Subscription to a standard Topic.")
	}
	return nil
}
