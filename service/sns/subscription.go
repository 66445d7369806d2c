package sns

import (
	"context"
	"strings"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// Unsubscribe removes a subscription. One that is not there is no error. The endpoint learns of it, and can restore it, unless its
// owner did it.
func (s *Service) Unsubscribe(ctx context.Context, in *api.UnsubscribeInput) (*api.UnsubscribeOutput, error) {
	arn := value(in.SubscriptionArn)
	if arn == "" {
		return nil, invalid("SubscriptionArn Reason: no value for required parameter")
	}
	a, id, err := api.ParseSubscriptionARN(arn)
	if err != nil {
		return nil, err
	}
	call := aws.CallFrom(ctx)
	if a.Region != call.Region {
		return nil, invalid("SubscriptionArn")
	}
	var tell *event.Delivery
	err = s.db.Update(ctx, func(tx store.Tx) error {
		tell = nil
		sub, err := getSubscription(tx, a, id)
		if sub == nil || err != nil {
			return err
		}
		if err := sub.mayBeRemoved(call); err != nil {
			return err
		}
		tell, err = s.unsubscribe(tx, sub, caller(call) == sub.row.Owner && !byLink(call))
		return err
	})
	if err != nil {
		return nil, err
	}
	if tell != nil {
		s.deps.Outbox.Wake(tell)
	}
	return &api.UnsubscribeOutput{}, nil
}

// mayBeRemoved refuses who neither owns the subscription or its topic, nor holds its link.
func (s *subscription) mayBeRemoved(call *aws.Call) error {
	who := caller(call)
	switch {
	case byLink(call) && s.row.KeepSigned:
		return api.ErrAuthorizationError.New("The subscription can be removed by its owner only")
	case !byLink(call) && who != s.row.Owner && who != s.topic.Account:
		return api.ErrAuthorizationError.New("Not authorized to unsubscribe: the subscription belongs to another account")
	}
	return nil
}

// byLink says that a call is of somebody who followed a link with a token, for whom SNS itself calls.
func byLink(call *aws.Call) bool {
	p := call.Principal
	return p != nil && p.Type == aws.ServiceType && p.Service == servicePrincipal.Service
}

// unsubscribe removes a subscription. It answers what its endpoint is told.
func (s *Service) unsubscribe(tx store.Tx, sub *subscription, byOwner bool) (*event.Delivery, error) {
	t, err := getTopic(tx, sub.topic)
	if err != nil {
		return nil, err
	}
	pending := sub.row.Pending
	c, err := t.count(tx, func(c *countRow) {
		c.Deleted++
		if pending {
			c.Pending = max(c.Pending-1, 0)
		} else {
			c.Confirmed = max(c.Confirmed-1, 0)
		}
		if sub.attribute("FilterPolicy") != "" {
			c.Filters = max(c.Filters-1, 0)
		}
	})
	if err != nil {
		return nil, err
	}
	if sub.attribute("FilterPolicy") != "" {
		if err := countFilters(tx, t, c.Filters, -1); err != nil {
			return nil, err
		}
	}
	if err := sub.remove(tx); err != nil {
		return nil, err
	}
	if byOwner || pending || !strings.HasPrefix(sub.row.Protocol, "http") {
		return nil, nil
	}
	sub.row.Deleted = s.deps.Now().UTC()
	if _, err := unsubscribed.Put(tx, t.scope, store.Key(t.name(), sub.id), sub.row); err != nil {
		return nil, err
	}
	return s.tell(tx, t, sub)
}

// ListSubscriptions lists the subscriptions that the account owns.
func (s *Service) ListSubscriptions(ctx context.Context, in *api.ListSubscriptionsInput) (*api.ListSubscriptionsOutput, error) {
	call := aws.CallFrom(ctx)
	p, err := newPage(in.NextToken)
	if err != nil {
		return nil, err
	}
	out, first := &api.ListSubscriptionsOutput{}, *p
	err = s.db.View(ctx, func(tx store.Tx) error {
		*p, out.Subscriptions = first, []*api.Subscription{}
		scope := store.Scope{Account: call.Account, Region: call.Region}
		for row, err := range owned.Scan(tx, scope, store.Range{After: p.after, Limit: pageSize + 1}) {
			if err != nil {
				return err
			}
			if !p.take(row.Key) {
				break
			}
			part := strings.Split(row.Key, "\x00")
			sub, err := getSubscription(tx, aws.NewARN("sns", call.Region, part[0], part[1]), part[2])
			if err != nil {
				return err
			}
			if sub != nil {
				out.Subscriptions = append(out.Subscriptions, sub.entry())
			}
		}
		return nil
	})
	out.NextToken = p.next()
	return out, err
}

// entry is the subscription in a list.
func (s *subscription) entry() *api.Subscription {
	return &api.Subscription{
		SubscriptionArn: new(s.shownARN()), Owner: &s.row.Owner, Protocol: &s.row.Protocol,
		Endpoint: &s.row.Endpoint, TopicArn: new(s.topic.String()),
	}
}

// ListSubscriptionsByTopic lists the subscriptions of a topic.
func (s *Service) ListSubscriptionsByTopic(ctx context.Context, in *api.ListSubscriptionsByTopicInput) (*api.ListSubscriptionsByTopicOutput, error) {
	p, err := newPage(in.NextToken)
	if err != nil {
		return nil, err
	}
	out, first := &api.ListSubscriptionsByTopicOutput{}, *p
	err = s.viewTopic(ctx, "TopicArn", in.TopicArn, func(tx store.Tx, t *topic) error {
		*p, out.Subscriptions = first, []*api.Subscription{}
		r := store.Range{Prefix: store.Prefix(t.name()), Limit: pageSize + 1}
		if p.after != "" {
			r.After = store.Key(t.name(), p.after)
		}
		for row, err := range subscriptions.Scan(tx, t.scope, r) {
			if err != nil {
				return err
			}
			id := lastPart(row.Key)
			if !p.take(id) {
				break
			}
			out.Subscriptions = append(out.Subscriptions, (&subscription{t.arn, id, row.Value}).entry())
		}
		return nil
	})
	out.NextToken = p.next()
	return out, err
}
