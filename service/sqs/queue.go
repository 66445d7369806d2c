package sqs

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	maxName       = 80
	deletedFor    = 60 * time.Second // that a name cannot be used again
	purgeEvery    = 60 * time.Second
	maxList       = 1000
	fifoSuffix    = ".fifo"
	standardNames = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
	fifoNames     = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."
)

// CreateQueue makes a queue, or answers the one that is there with the same attributes.
func (s *Service) CreateQueue(ctx context.Context, in *api.CreateQueueInput) (*api.CreateQueueOutput, error) {
	call := aws.CallFrom(ctx)
	k := queueKey{scopeOf(call), *in.QueueName}
	fifo := in.Attributes[attrFIFO] == "true"
	if err := checkName(k.name, fifo); err != nil {
		return nil, err
	}
	row := queueRow{ID: uuid.NewString(), Attributes: map[string]string{}, Created: s.now()}
	row.dated(in.Attributes, row.Created)
	if err := row.set(in.Attributes, fifo, true); err != nil {
		return nil, err
	}
	if err := row.tag(k.name, in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkPrincipals(ctx, in.Attributes); err != nil {
		return nil, err
	}
	defer s.queues.drop(k)
	err := s.db.Update(ctx, func(tx store.Tx) error {
		s.touch(k)
		there, err := s.read(tx, k.scope, k.name)
		if err == nil {
			return there.sameAs(in.Attributes)
		}
		if !errors.Is(err, api.ErrQueueDoesNotExist) {
			return err
		}
		if err := s.checkTombstone(tx, k); err != nil {
			return err
		}
		if err := s.checkRedrive(tx, k, row.Attributes); err != nil {
			return err
		}
		_, err = rows.Put(tx, k.scope, k.name, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateQueueOutput{QueueURL: new(s.urlOf(call, k))}, nil
}

func (s *Service) urlOf(call *aws.Call, k queueKey) string {
	return s.baseURL(call) + "/" + k.scope.Account + "/" + k.name
}

func checkName(name string, fifo bool) error {
	base, isFIFO := strings.CutSuffix(name, fifoSuffix)
	ok := len(name) <= maxName && base != "" && strings.Trim(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
	switch {
	case fifo && (!ok || !isFIFO):
		return invalid(fifoNames)
	case !fifo && (!ok || isFIFO):
		return invalid(standardNames)
	}
	return nil
}

// sameAs answers nil if each of the attributes has this value at the queue.
func (q *queue) sameAs(attributes map[string]string) error {
	for _, name := range settable {
		v, given := attributes[name]
		if name == attrRedrive {
			v = shownRedrive(v)
		}
		if given && !sameAttribute(v, q.attribute(name)) {
			return api.ErrQueueNameExists.Withf("A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return nil
}

func (s *Service) checkTombstone(tx store.Tx, k queueKey) error {
	t, err := tombstones.Get(tx, k.scope, k.name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case s.now().Before(t.Value.Add(deletedFor)):
		return api.ErrQueueDeletedRecently.New("You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	return tombstones.Delete(tx, k.scope, k.name)
}

// DeleteQueue removes a queue with all its messages.
func (s *Service) DeleteQueue(ctx context.Context, in *api.DeleteQueueInput) (*api.DeleteQueueOutput, error) {
	k, err := s.keyOf(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	defer s.queues.drop(k)
	var id string
	err = s.db.Update(ctx, func(tx store.Tx) error {
		s.touch(k)
		q, err := s.read(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		id = q.row.ID
		if _, err := tombstones.Put(tx, k.scope, k.name, s.now()); err != nil {
			return err
		}
		if err := tx.Purge(q.messages(), k.scope); err != nil {
			return err
		}
		return rows.Delete(tx, k.scope, k.name)
	})
	if err != nil {
		return nil, err
	}
	s.rooms.close(id)
	return &api.DeleteQueueOutput{}, nil
}

// GetQueueUrl answers the address of a queue by its name.
func (s *Service) GetQueueUrl(ctx context.Context, in *api.GetQueueUrlInput) (*api.GetQueueUrlOutput, error) {
	call := aws.CallFrom(ctx)
	k := queueKey{scopeOf(call), *in.QueueName}
	if owner := value(in.QueueOwnerAWSAccountID); owner != "" {
		k.scope.Account = owner
	}
	if _, err := s.find(ctx, k.scope, k.name); err != nil {
		return nil, err
	}
	return &api.GetQueueUrlOutput{QueueURL: new(s.urlOf(call, k))}, nil
}

// ListQueues lists the queues of the account and Region by name, 1,000 at most.
func (s *Service) ListQueues(ctx context.Context, in *api.ListQueuesInput) (*api.ListQueuesOutput, error) {
	call := aws.CallFrom(ctx)
	p, err := newPage(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &api.ListQueuesOutput{}
	err = s.db.View(ctx, func(tx store.Tx) error {
		r := store.Range{Prefix: value(in.QueueNamePrefix), After: p.after, Limit: p.limit + 1}
		for rec, err := range rows.Scan(tx, scopeOf(call), r) {
			if err != nil {
				return err
			}
			if !p.take(rec.Key) {
				break
			}
			out.QueueURLs = append(out.QueueURLs, s.urlOf(call, queueKey{scopeOf(call), rec.Key}))
		}
		return nil
	})
	out.NextToken = p.next()
	return out, err
}

// PurgeQueue removes all messages of a queue, those in flight included.
func (s *Service) PurgeQueue(ctx context.Context, in *api.PurgeQueueInput) (*api.PurgeQueueOutput, error) {
	err := s.change(ctx, in.QueueURL, func(tx store.Tx, q *queue) error {
		now := s.now()
		if now.Before(q.row.Purged.Add(purgeEvery)) {
			return api.ErrPurgeQueueInProgress.Withf("Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
		}
		q.row.Purged = now
		return tx.Purge(q.messages(), q.scope)
	})
	return &api.PurgeQueueOutput{}, err
}

// SetQueueAttributes changes the attributes that the input has.
func (s *Service) SetQueueAttributes(ctx context.Context, in *api.SetQueueAttributesInput) (*api.SetQueueAttributesOutput, error) {
	if err := s.checkPrincipals(ctx, in.Attributes); err != nil {
		return nil, err
	}
	var redelay *queueKey
	err := s.change(ctx, in.QueueURL, func(tx store.Tx, q *queue) error {
		redelay = nil
		if err := q.row.set(in.Attributes, q.fifo, false); err != nil {
			return err
		}
		q.row.dated(in.Attributes, s.now())
		k := queueKey{q.scope, q.name}
		if q.fifo && settingsOf(q.row.Attributes).delay != q.delay {
			q.row.Delayed, redelay = s.now(), &k
		}
		return s.checkRedrive(tx, k, in.Attributes)
	})
	if err == nil && redelay != nil {
		if err := s.redelay(ctx, *redelay, redelayAtOnce); err != nil { // the next sweep does it
			s.log.Warn("messages do not have their queue's new delay yet", "queue", redelay.name, "error", err)
		}
	}
	return &api.SetQueueAttributesOutput{}, err
}

// GetQueueAttributes answers the attributes that are asked for.
func (s *Service) GetQueueAttributes(ctx context.Context, in *api.GetQueueAttributesInput) (*api.GetQueueAttributesOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	wanted, err := wantedAttributes(in.AttributeNames)
	if err != nil || len(wanted) == 0 {
		return &api.GetQueueAttributesOutput{}, err
	}
	out := &api.GetQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range wanted {
		if v := q.attribute(name); v != "" {
			out.Attributes[name] = v
		}
	}
	if !countsWanted(wanted) {
		return out, nil
	}
	d, err := s.depth(ctx, q)
	for name, n := range map[string]int64{attrVisible: d.Due, attrInFlight: d.Claimed, attrDelayed: d.Delayed} {
		for _, w := range wanted {
			if w == name {
				out.Attributes[name] = strconv.FormatInt(n, 10)
			}
		}
	}
	return out, err
}

// depth counts the queue's messages. A count that takes long holds for ten times as long.
func (s *Service) depth(ctx context.Context, q *queue) (store.Depth, error) {
	if d, ok := q.room.depth(s.now()); ok {
		return d, nil
	}
	var d store.Depth
	start := time.Now()
	err := s.messages.View(ctx, func(tx store.Tx) (err error) {
		d, err = tx.Depth(q.messages(), q.scope, s.now())
		return err
	})
	if took := time.Since(start); err == nil && took > slowCount {
		q.room.keepDepth(d, s.now().Add(10*took))
	}
	return d, err
}

// slowCount is how long counting a queue's messages may take before the answer is used again.
const slowCount = 200 * time.Millisecond
