package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// topicRow is a topic. Its scope and key say whose and what it is called.
type topicRow struct {
	Attributes map[string]string `json:",omitempty"` // those that were set, as they were set
	Tags       map[string]string `json:",omitempty"`
	FIFO       bool              `json:",omitempty"`
	Created    time.Time
	PolicySet  time.Time `json:",omitzero"` // when the policy was given as a whole; permissions for accounts do not count
}

// countRow counts what a topic has.
type countRow struct {
	Confirmed, Pending, Deleted int
	Filters                     int    // subscriptions with a filter policy
	Sequence                    uint64 // of the last message of a FIFO topic
	Joined                      uint64 `json:",omitempty"` // subscriptions that ever were confirmed
}

// subscriptionRow is a subscription, in the scope of its topic.
type subscriptionRow struct {
	Protocol      string
	Endpoint      string            // as it is shown: without the password of a URL
	Secret        []byte            `json:",omitempty"` // the whole URL, sealed, if it has a password
	Hash          string            // of the whole endpoint, by which it is found
	Owner         string            // account
	Principal     string            // who subscribed
	Attributes    map[string]string `json:",omitempty"` // those that were set, as AWS shows them
	Pending       bool              `json:",omitempty"`
	Authenticated bool              `json:",omitempty"` // confirmed by a signed request, or by being the endpoint's own account
	KeepSigned    bool              `json:",omitempty"` // unsubscribed by its owner only: AuthenticateOnUnsubscribe
	BaseURL       string            `json:",omitempty"` // where the server was reached by who subscribed
	Created       time.Time
	Deleted       time.Time `json:",omitzero"`
	// Joined is how many of the topic's subscriptions were confirmed when this one was, itself included; 0 while it is pending, and
	// of those of before this was counted. It orders subscriptions and messages without a clock.
	Joined uint64 `json:",omitempty"`
}

var (
	topics        = store.Table[topicRow]{Name: "sns.topic"}               // name
	counts        = store.Table[countRow]{Name: "sns.count"}               // name
	subscriptions = store.Table[subscriptionRow]{Name: "sns.subscription"} // name, id
	// unsubscribed are those that their endpoint may still restore: name, id.
	unsubscribed = store.Table[subscriptionRow]{Name: "sns.unsubscribed"}
	// endpoints find a subscription: name, protocol, hash of the endpoint -> id.
	endpoints = store.Table[string]{Name: "sns.endpoint"}
	// owned are the subscriptions of an account: topic's account, name, id. Their scope is the owner's.
	owned = store.Table[struct{}]{Name: "sns.owned"}
	// duplicates are what was published to FIFO topics in the last minutes: name, group if that counts, deduplication id.
	duplicates = store.Table[duplicateRow]{Name: "sns.duplicate"}
	// ages are duplicates in the order of their age: name, time, key in duplicates.
	ages = store.Table[string]{Name: "sns.age"}
)

// topic is a topic that was read.
type topic struct {
	arn   aws.ARN
	scope store.Scope
	row   topicRow
}

func (t *topic) name() string { return t.arn.Resource }

// attribute is one that was set, or the empty string.
func (t *topic) attribute(name string) string { return t.row.Attributes[name] }

var errNoTopic = api.ErrNotFound.New("Topic does not exist")

func scopeOf(arn aws.ARN) store.Scope { return store.Scope{Account: arn.Account, Region: arn.Region} }

// getTopic answers NotFound if there is none.
func getTopic(tx store.Tx, arn aws.ARN) (*topic, error) {
	row, err := topics.Get(tx, scopeOf(arn), arn.Resource)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoTopic
	}
	if err != nil {
		return nil, err
	}
	return &topic{arn, scopeOf(arn), row.Value}, nil
}

func (t *topic) put(tx store.Tx) error {
	_, err := topics.Put(tx, t.scope, t.name(), t.row)
	return err
}

// parseTopic is the topic that a parameter names, which must be in the Region of the call.
func parseTopic(ctx context.Context, parameter string, arn *string) (aws.ARN, error) {
	a, err := api.ParseTopicARN(parameter, value(arn))
	if err == nil && a.Region != aws.CallFrom(ctx).Region {
		err = invalid("%s", parameter)
	}
	return a, err
}

// viewTopic reads the topic that a parameter names.
func (s *Service) viewTopic(ctx context.Context, parameter string, arn *string, fn func(tx store.Tx, t *topic) error) error {
	a, err := parseTopic(ctx, parameter, arn)
	if err != nil {
		return err
	}
	return s.db.View(ctx, func(tx store.Tx) error {
		t, err := getTopic(tx, a)
		if err != nil {
			return err
		}
		return fn(tx, t)
	})
}

// changeTopic changes the topic that a parameter names, and stores it. fn may run twice.
func (s *Service) changeTopic(ctx context.Context, parameter string, arn *string, fn func(tx store.Tx, t *topic) error) error {
	a, err := parseTopic(ctx, parameter, arn)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		t, err := getTopic(tx, a)
		if err != nil {
			return err
		}
		if err := fn(tx, t); err != nil {
			return err
		}
		return t.put(tx)
	})
}

// count changes what a topic counts.
func (t *topic) count(tx store.Tx, fn func(c *countRow)) (countRow, error) {
	row, err := counts.Get(tx, t.scope, t.name())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return countRow{}, err
	}
	fn(&row.Value)
	_, err = counts.Put(tx, t.scope, t.name(), row.Value)
	return row.Value, err
}

// join counts a subscription as confirmed from now on. It gets the messages that are published later.
func (s *subscription) join(c *countRow) {
	c.Confirmed++
	c.Joined++
	s.row.Joined = c.Joined
}

// counted is what a topic counts.
func (t *topic) counted(tx store.Tx) (countRow, error) {
	row, err := counts.Get(tx, t.scope, t.name())
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return row.Value, err
}

// subscription is one that was read.
type subscription struct {
	topic aws.ARN
	id    string
	row   subscriptionRow
}

func (s *subscription) arn() string { return s.topic.String() + ":" + s.id }

// shownARN is the ARN as lists show it.
func (s *subscription) shownARN() string {
	if s.row.Pending {
		return "PendingConfirmation"
	}
	return s.arn()
}

func (s *subscription) attribute(name string) string { return s.row.Attributes[name] }

// getSubscription answers nil if there is none.
func getSubscription(tx store.Tx, topic aws.ARN, id string) (*subscription, error) {
	row, err := subscriptions.Get(tx, scopeOf(topic), store.Key(topic.Resource, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &subscription{topic, id, row.Value}, nil
}

func (s *subscription) put(tx store.Tx) error {
	_, err := subscriptions.Put(tx, scopeOf(s.topic), store.Key(s.topic.Resource, s.id), s.row)
	return err
}

// hashOf is what an endpoint is found by.
func hashOf(endpoint string) string {
	sum := sha256.Sum256([]byte(endpoint))
	return hex.EncodeToString(sum[:16])
}

// endpointKey is the subscription's key in endpoints.
func (s *subscription) endpointKey() string {
	return store.Key(s.topic.Resource, s.row.Protocol, s.row.Hash)
}

// add stores a new subscription with what finds it.
func (s *subscription) add(tx store.Tx) error {
	scope := scopeOf(s.topic)
	if _, err := endpoints.Put(tx, scope, s.endpointKey(), s.id); err != nil {
		return err
	}
	if _, err := owned.Put(tx, s.ownerScope(), s.ownedKey(), struct{}{}); err != nil {
		return err
	}
	return s.put(tx)
}

// remove removes a subscription with what finds it.
func (s *subscription) remove(tx store.Tx) error {
	scope := scopeOf(s.topic)
	return errors.Join(
		ifThere(endpoints.Delete(tx, scope, s.endpointKey())),
		ifThere(owned.Delete(tx, s.ownerScope(), s.ownedKey())),
		ifThere(subscriptions.Delete(tx, scope, store.Key(s.topic.Resource, s.id))),
	)
}

func (s *subscription) ownerScope() store.Scope {
	return store.Scope{Account: s.row.Owner, Region: s.topic.Region}
}

func (s *subscription) ownedKey() string {
	return store.Key(s.topic.Account, s.topic.Resource, s.id)
}

// ifThere is the error of a Delete of what may be gone already.
func ifThere(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
