package sns

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event/filter"
	"github.com/enfold-run/enfold/store"
)

// The scopes of a filter policy.
const (
	scopeAttributes = "MessageAttributes"
	scopeBody       = "MessageBody"
)

// Limits of a filter policy. See https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html.
const (
	maxFilterKeys         = 5
	maxFilterCombinations = 150
)

func (s *subscription) raw() bool { return s.attribute("RawMessageDelivery") == "true" }

// filterScope is what the filter policy is about.
func (s *subscription) filterScope() string {
	if scope := s.attribute("FilterPolicyScope"); scope != "" {
		return scope
	}
	return scopeAttributes
}

// deadLetterQueue is the ARN of the queue for what is given up; empty if there is none. A queue of another account or Region is
// none, whatever a stored policy says.
func (s *subscription) deadLetterQueue() string {
	if arn := redriveTarget(s.attribute("RedrivePolicy")); s.mayBury(arn) {
		return arn
	}
	return ""
}

// mayBury says whether a queue is where the subscription's dead letters may go. It is in the account of the subscription's owner:
// SNS sends in the name of the topic, so a queue that trusts the topic would otherwise take letters from every subscriber.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html.
func (s *subscription) mayBury(queue string) bool {
	a, ok := sqs.ParseQueueARN(queue)
	return ok && a.Account == s.row.Owner && a.Region == s.topic.Region
}

func redriveTarget(policy string) string {
	var p struct{ DeadLetterTargetArn string }
	_ = json.Unmarshal([]byte(policy), &p) // it was checked when it was set, and an empty one is none
	return p.DeadLetterTargetArn
}

// set takes an attribute of a subscription. where begins the messages.
func (s *subscription) set(name, v, where string) error {
	var err error
	switch name {
	case "RawMessageDelivery":
		if v != "true" && v != "false" {
			return invalid("%sRawMessageDelivery: Invalid value [%.100s]. Must be true or false.", where, v)
		}
		if v == "true" && (s.row.Protocol == "lambda" || s.row.Protocol == "email" || s.row.Protocol == "email-json") {
			return invalid("%sDelivery protocol [%s] does not support raw message delivery.", where, s.row.Protocol)
		}
	case "FilterPolicy":
		if v == "{}" || v == "null" {
			v = ""
		}
	case "FilterPolicyScope":
		if v != scopeAttributes && v != scopeBody {
			return invalid("%sFilterPolicyScope: Invalid value [%.100s]. Please use either MessageBody or MessageAttributes", where, v)
		}
	case "DeliveryPolicy":
		v, err = normalizeSubscriptionPolicy(v, where)
	case "RedrivePolicy":
		v, err = s.normalizeRedrive(v, where)
	case "SubscriptionRoleArn":
		err = invalid("%sSubscriptionRoleArn: it is for Firehose, to which Enfold does not deliver", where)
	case "ReplayPolicy":
		if v != "" && v != "{}" {
			err = invalid("%sReplayPolicy: Enfold does not archive messages", where)
		}
		v = ""
	default:
		if where != "" {
			return invalid("%sUnknown attribute %.100s", where, name)
		}
		return invalid("AttributeName")
	}
	if err != nil {
		return err
	}
	s.row.Attributes = maps.Clone(s.row.Attributes)
	if s.row.Attributes == nil {
		s.row.Attributes = map[string]string{}
	}
	if s.row.Attributes[name] = v; v == "" {
		delete(s.row.Attributes, name)
	}
	if name == "FilterPolicy" {
		_, err = s.compileFilter(where)
	}
	return err
}

// normalizeRedrive checks a redrive policy.
func (s *subscription) normalizeRedrive(v, where string) (string, error) {
	if v == "" || v == "{}" {
		return "", nil
	}
	if e := filter.CheckJSON([]byte(v)); e != nil {
		return "", invalid("%sRedrivePolicy: %s", where, e.Error())
	}
	if _, ok := sqs.ParseQueueARN(redriveTarget(v)); !ok {
		return "", invalid("%sRedrivePolicy: deadLetterTargetArn is an invalid arn", where)
	}
	if !s.mayBury(redriveTarget(v)) {
		return "", invalid("%sRedrivePolicy: deadLetterTargetArn must be of the same account and region as the subscription", where)
	}
	return v, nil
}

// compileFilter compiles the filter policy; nil if there is none.
func (s *subscription) compileFilter(where string) (*filter.Pattern, error) {
	text := s.attribute("FilterPolicy")
	if text == "" {
		return nil, nil
	}
	compile := filter.CompileAttributes
	if s.filterScope() == scopeBody {
		compile = filter.Compile
	}
	p, err := compile([]byte(text))
	if err != nil {
		return nil, invalid("%sFilterPolicy: %s", where, err)
	}
	stats := p.Stats()
	n := stats.Combinations
	if s.filterScope() == scopeBody {
		n = stats.Weighted
	}
	switch {
	case stats.Keys > maxFilterKeys:
		return nil, invalid("%sFilterPolicy: Filter policy can not have more than 5 keys", where)
	case n > maxFilterCombinations:
		return nil, invalid("%sFilterPolicy: Filter policy is too complex", where)
	}
	return p, nil
}

// checkFilter refuses a filter policy that does not go with its scope, after everything was set.
func (s *subscription) checkFilter(where string) error {
	p, err := s.compileFilter(where)
	if err != nil {
		return err
	}
	if p != nil && p.Stats().Nested && s.filterScope() == scopeAttributes {
		return invalid("Filter policy scope MessageAttributes does not support nested filter policy")
	}
	return nil
}

// filterCache keeps compiled filter policies by scope and text.
type filterCache struct {
	mu   sync.Mutex
	all  map[[2]string]*filter.Pattern
	size int
}

func newFilterCache() *filterCache { return &filterCache{all: map[[2]string]*filter.Pattern{}} }

// get is the subscription's filter; nil if it has none.
func (c *filterCache) get(s *subscription) (*filter.Pattern, error) {
	text := s.attribute("FilterPolicy")
	if text == "" {
		return nil, nil
	}
	key := [2]string{s.filterScope(), text}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.all[key]; p != nil {
		return p, nil
	}
	p, err := s.compileFilter("")
	if err != nil {
		return nil, err
	}
	if c.size += len(text); c.size > maxCached {
		clear(c.all)
		c.size = len(text)
	}
	c.all[key] = p
	return p, nil
}

var errNoSubscription = api.ErrNotFound.New("Subscription does not exist")

// mine is the subscription that a parameter names. It is there for its owner and for the owner of its topic.
func mine(ctx context.Context, tx store.Tx, arn *string) (*subscription, error) {
	a, id, err := api.ParseSubscriptionARN(value(arn))
	if err != nil {
		return nil, err
	}
	sub, err := getSubscription(tx, a, id)
	if err != nil {
		return nil, err
	}
	if who := caller(aws.CallFrom(ctx)); sub == nil || who != sub.row.Owner && who != a.Account || a.Region != aws.CallFrom(ctx).Region {
		return nil, errNoSubscription
	}
	return sub, nil
}

// SetSubscriptionAttributes sets an attribute of a subscription.
func (s *Service) SetSubscriptionAttributes(ctx context.Context, in *api.SetSubscriptionAttributesInput) (*api.SetSubscriptionAttributesOutput, error) {
	err := s.db.Update(ctx, func(tx store.Tx) error {
		sub, err := mine(ctx, tx, in.SubscriptionArn)
		if err != nil {
			return err
		}
		if caller(aws.CallFrom(ctx)) != sub.row.Owner {
			return api.ErrAuthorizationError.New("Subscription owner mismatch: only the account that owns a subscription sets its attributes")
		}
		t, err := getTopic(tx, sub.topic)
		if err != nil {
			return err
		}
		had := sub.attribute("FilterPolicy") != ""
		if err := sub.set(value(in.AttributeName), value(in.AttributeValue), ""); err != nil {
			return err
		}
		if err := cmp.Or(sub.checkFilter(""), sub.fits(t)); err != nil {
			return err
		}
		if err := sub.recountFilters(tx, t, had); err != nil {
			return err
		}
		return sub.put(tx)
	})
	return &api.SetSubscriptionAttributesOutput{}, err
}

// recountFilters counts a filter policy that came or went.
func (s *subscription) recountFilters(tx store.Tx, t *topic, had bool) error {
	has, more := s.attribute("FilterPolicy") != "", 0
	switch {
	case has && !had:
		more = 1
	case had && !has:
		more = -1
	default:
		return nil
	}
	c, err := t.count(tx, func(c *countRow) { c.Filters += more })
	if err != nil {
		return err
	}
	return countFilters(tx, t, c.Filters, more)
}

// GetSubscriptionAttributes answers all attributes of a subscription.
func (s *Service) GetSubscriptionAttributes(ctx context.Context, in *api.GetSubscriptionAttributesInput) (*api.GetSubscriptionAttributesOutput, error) {
	out := &api.GetSubscriptionAttributesOutput{}
	err := s.db.View(ctx, func(tx store.Tx) error {
		sub, err := mine(ctx, tx, in.SubscriptionArn)
		if err != nil {
			return err
		}
		t, err := getTopic(tx, sub.topic)
		if err != nil {
			return err
		}
		out.Attributes, err = sub.shown(t)
		return err
	})
	return out, err
}

// shown are the attributes as AWS answers them.
func (s *subscription) shown(t *topic) (map[string]string, error) {
	a := maps.Clone(s.row.Attributes)
	if a == nil {
		a = map[string]string{}
	}
	maps.Copy(a, map[string]string{
		"SubscriptionArn": s.arn(), "TopicArn": s.topic.String(), "Owner": s.row.Owner, "Protocol": s.row.Protocol,
		"Endpoint": s.row.Endpoint, "RawMessageDelivery": strconv.FormatBool(s.raw()),
		"PendingConfirmation":          strconv.FormatBool(s.row.Pending),
		"ConfirmationWasAuthenticated": strconv.FormatBool(s.row.Authenticated), "SubscriptionPrincipal": s.row.Principal,
	})
	if a["FilterPolicy"] == "" {
		delete(a, "FilterPolicyScope")
	} else {
		a["FilterPolicyScope"] = s.filterScope()
	}
	if s.row.Protocol == "http" || s.row.Protocol == "https" {
		effective, err := json.Marshal(s.effectivePolicy(t))
		if err != nil {
			return nil, err
		}
		a["EffectiveDeliveryPolicy"] = string(effective)
	}
	return a, nil
}

// shownEndpoint hides the password in a URL.
func shownEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.User == nil {
		return endpoint
	}
	if _, has := u.User.Password(); !has {
		return endpoint
	}
	who := url.User(u.User.Username()).String()
	u.User = nil
	scheme, rest, _ := strings.Cut(u.String(), "://")
	return scheme + "://" + who + ":****@" + rest
}
