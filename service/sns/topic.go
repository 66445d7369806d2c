package sns

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Limits of an account. See https://docs.aws.amazon.com/general/latest/gr/sns.html.
const (
	maxTopics     = 100_000
	maxFIFOTopics = 1000
	fifoSuffix    = ".fifo"
)

// CreateTopic makes a topic, or answers the ARN of the one that is there already and the same.
func (s *Service) CreateTopic(ctx context.Context, in *api.CreateTopicInput) (*api.CreateTopicOutput, error) {
	call := aws.CallFrom(ctx)
	t, err := newTopic(call, in)
	if err != nil {
		return nil, err
	}
	if err := s.checkKey(t.attribute("KmsMasterKeyId")); err != nil {
		return nil, err
	}
	if err := s.checkPrincipals(ctx, t.attribute("Policy"), "Attributes Reason: "); err != nil {
		return nil, err
	}
	t.row.Created = s.deps.Now().UTC()
	if t.row.Attributes["Policy"] != "" {
		t.row.PolicySet = t.row.Created
	}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		there, err := topics.Get(tx, t.scope, t.name())
		switch {
		case err == nil:
			return t.sameAs(&topic{t.arn, t.scope, there.Value}, in)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := t.room(tx); err != nil {
			return err
		}
		return t.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateTopicOutput{TopicArn: new(t.arn.String())}, nil
}

// newTopic is the topic that a request describes.
func newTopic(call *aws.Call, in *api.CreateTopicInput) (*topic, error) {
	name := value(in.Name)
	if in.DataProtectionPolicy != nil && *in.DataProtectionPolicy != "" {
		return nil, invalid("DataProtectionPolicy Reason: Enfold has no data protection policies")
	}
	arn := aws.NewARN("sns", call.Region, call.Account, name)
	t := &topic{arn: arn, scope: scopeOf(arn), row: topicRow{Attributes: map[string]string{}}}
	for _, k := range sortedKeys(in.Attributes) {
		if err := t.set(k, in.Attributes[k], "Attributes Reason: "); err != nil {
			return nil, err
		}
	}
	fifo := in.Attributes["FifoTopic"]
	if fifo != "" && fifo != "true" && fifo != "false" {
		return nil, invalid("Attributes Reason: FifoTopic: Invalid value [%s]. Must be true or false.", fifo)
	}
	t.row.FIFO = fifo == "true"
	switch {
	case t.row.FIFO && !(strings.HasSuffix(name, fifoSuffix) && api.IsTopicName(name)):
		return nil, invalid("Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, " +
			"numbers, underscores, and hyphens, and must be between 1 and 256 characters long.")
	case !t.row.FIFO && (!api.IsTopicName(name) || strings.HasSuffix(name, fifoSuffix)):
		return nil, invalid("Topic Name")
	}
	if err := t.check("Attributes Reason: "); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	t.row.Tags = tags
	return t, nil
}

// sameAs refuses what differs from the topic that is there.
func (t *topic) sameAs(there *topic, in *api.CreateTopicInput) error {
	for k, v := range in.Attributes {
		now := there.attribute(k)
		switch k {
		case "FifoTopic":
			now = strconv.FormatBool(there.row.FIFO)
		case "Policy":
			now, v = there.policy(), t.policy()
		case "DeliveryPolicy":
			v = t.attribute(k)
		case "ContentBasedDeduplication":
			if now == "" {
				now = "false"
			}
		}
		if now != v {
			return invalid("Attributes Reason: Topic already exists with different attributes")
		}
	}
	if len(in.Tags) > 0 && !maps.Equal(t.row.Tags, there.row.Tags) {
		return invalid("Tags Reason: Topic already exists with different tags")
	}
	return nil
}

// room refuses one topic too many.
func (t *topic) room(tx store.Tx) error {
	total, err := counts.Get(tx, t.scope, totalKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	n, most := &total.Value.Confirmed, maxTopics
	if t.row.FIFO {
		n, most = &total.Value.Pending, maxFIFOTopics
	}
	if *n >= most {
		return api.ErrTopicLimitExceeded.New("Topic limit exceeded")
	}
	*n++
	_, err = counts.Put(tx, t.scope, totalKey, total.Value)
	return err
}

// totalKey is where an account's topics are counted: standard ones as Confirmed, FIFO ones as Pending, and filter policies.
const totalKey = "\x00"

// total changes what an account counts.
func total(tx store.Tx, scope store.Scope, fn func(c *countRow)) error {
	row, err := counts.Get(tx, scope, totalKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	fn(&row.Value)
	_, err = counts.Put(tx, scope, totalKey, row.Value)
	return err
}

// deletePiece is how many rows of a deleted topic one transaction removes.
const deletePiece = 200

// DeleteTopic removes a topic and its subscriptions. One that is not there is no error.
func (s *Service) DeleteTopic(ctx context.Context, in *api.DeleteTopicInput) (*api.DeleteTopicOutput, error) {
	arn, err := parseTopic(ctx, "TopicArn", in.TopicArn)
	if err != nil {
		return nil, err
	}
	for again := true; again; {
		err := s.db.Update(ctx, func(tx store.Tx) (err error) {
			again, err = deleteSome(tx, arn)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return &api.DeleteTopicOutput{}, nil
}

// deleteSome removes some rows of a topic, and the topic when there are no more of them.
func deleteSome(tx store.Tx, arn aws.ARN) (again bool, err error) {
	t, err := getTopic(tx, arn)
	if errors.Is(err, api.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if again, err = t.deleteSubscriptions(tx); again || err != nil {
		return again, err
	}
	for _, table := range []string{duplicates.Name, ages.Name, unsubscribed.Name} {
		if again, err = t.deleteRows(tx, table); again || err != nil {
			return again, err
		}
	}
	err = total(tx, t.scope, func(c *countRow) {
		if t.row.FIFO {
			c.Pending--
		} else {
			c.Confirmed--
		}
	})
	return false, errors.Join(err, ifThere(counts.Delete(tx, t.scope, t.name())), topics.Delete(tx, t.scope, t.name()))
}

// deleteSubscriptions removes some subscriptions, and says whether there may be more.
func (t *topic) deleteSubscriptions(tx store.Tx) (again bool, err error) {
	n, filters, pending := 0, 0, 0
	for row, err := range subscriptions.Scan(tx, t.scope, store.Range{Prefix: store.Prefix(t.name()), Limit: deletePiece}) {
		if err != nil {
			return false, err
		}
		n++
		sub := &subscription{t.arn, lastPart(row.Key), row.Value}
		if sub.attribute("FilterPolicy") != "" {
			filters++
		}
		if sub.row.Pending {
			pending++
		}
		if err := sub.remove(tx); err != nil {
			return false, err
		}
	}
	if n == 0 {
		return false, nil
	}
	_, err = t.count(tx, func(c *countRow) {
		c.Pending, c.Confirmed, c.Filters = max(c.Pending-pending, 0), max(c.Confirmed-(n-pending), 0), max(c.Filters-filters, 0)
	})
	return n == deletePiece, errors.Join(err, total(tx, t.scope, func(c *countRow) { c.Filters = max(c.Filters-filters, 0) }))
}

// deleteRows removes some of the topic's rows of a table, and says whether there may be more.
func (t *topic) deleteRows(tx store.Tx, table string) (again bool, err error) {
	n := 0
	for row, err := range tx.Scan(table, t.scope, store.Range{Prefix: store.Prefix(t.name()), Limit: deletePiece}) {
		if err != nil {
			return false, err
		}
		n++
		if err := tx.Delete(table, t.scope, row.Key, store.Cond{}); err != nil {
			return false, err
		}
	}
	return n == deletePiece, nil
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, 0)+1:] }

// ListTopics lists the topics of the account in the Region.
func (s *Service) ListTopics(ctx context.Context, in *api.ListTopicsInput) (*api.ListTopicsOutput, error) {
	call := aws.CallFrom(ctx)
	scope := store.Scope{Account: call.Account, Region: call.Region}
	p, err := newPage(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.ListTopicsOutput{Topics: []*api.Topic{}}
	first := *p
	err = s.db.View(ctx, func(tx store.Tx) error {
		*p, out.Topics = first, out.Topics[:0]
		for row, err := range topics.Scan(tx, scope, store.Range{After: p.after, Limit: pageSize + 1}) {
			if err != nil {
				return err
			}
			if !p.take(row.Key) {
				break
			}
			out.Topics = append(out.Topics, &api.Topic{TopicArn: new(aws.NewARN("sns", call.Region, call.Account, row.Key).String())})
		}
		return nil
	})
	out.NextToken = p.next()
	return out, err
}
