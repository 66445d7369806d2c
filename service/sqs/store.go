package sqs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// The tables of this service, in the scope of account and Region.
var (
	rows       = store.Table[queueRow]{Name: "sqs.queue"}    // queue name
	tombstones = store.Table[time.Time]{Name: "sqs.deleted"} // queue name: when it was deleted
	tasks      = store.Table[taskRow]{Name: "sqs.move-task"} // source queue name, task id
)

// queueRow is a queue.
type queueRow struct {
	ID         string // names its messages in the store; a queue made anew under the same name has another
	Attributes map[string]string
	Tags       map[string]string `json:",omitempty"`
	Created    time.Time
	Modified   time.Time
	PolicySet  time.Time `json:",omitzero"` // when the policy was given as a whole; permissions for accounts do not count
	Purged     time.Time `json:",omitzero"`
	// Delayed is when the delay of a FIFO queue was set anew, until the messages that were waiting have it.
	Delayed time.Time `json:",omitzero"`
}

// queue is a row as operations use it. It does not change, but for stale.
type queue struct {
	scope store.Scope
	name  string
	row   queueRow
	settings
	policy *policy.ResourceGrants // nil for none
	room   *room
	// stale says that a transaction changed the row, or is about to. Who runs in a later one reads it again.
	stale atomic.Bool
}

// messages is the name of the queue's messages in the store.
func (q *queue) messages() string { return "sqs/" + q.row.ID }

func (q *queue) arn() string { return queueARN(q.scope, q.name) }

func queueARN(sc store.Scope, name string) string {
	return aws.NewARN("sqs", sc.Region, sc.Account, name).String()
}

var errNoQueue = api.ErrQueueDoesNotExist.New("The specified queue does not exist.")

// maxCachedQueues bounds the cache; a queue takes about 2 KB there, and its policy.
const maxCachedQueues = 20_000

type queueKey struct {
	scope store.Scope
	name  string
}

// queueCache keeps queues that were read.
type queueCache struct {
	mu  sync.RWMutex
	all map[queueKey]*queue
}

func (c *queueCache) get(k queueKey) *queue {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.all[k]
}

// put keeps a queue unless still says that a change came in between. A queue that is not kept counts as stale.
func (c *queueCache) put(k queueKey, q *queue, still func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !still() {
		q.stale.Store(true)
		return
	}
	if c.all == nil || len(c.all) >= maxCachedQueues {
		for _, old := range c.all {
			old.stale.Store(true) // who still uses it is not told of changes any more
		}
		c.all = map[queueKey]*queue{}
	}
	if old := c.all[k]; old != nil {
		old.stale.Store(true)
	}
	c.all[k] = q
}

func (c *queueCache) drop(k queueKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.all[k]; old != nil {
		old.stale.Store(true)
		delete(c.all, k)
	}
}

// find answers a queue, or QueueDoesNotExist.
func (s *Service) find(ctx context.Context, sc store.Scope, name string) (*queue, error) {
	k := queueKey{sc, name}
	if q := s.queues.get(k); q != nil && !q.stale.Load() {
		return q, nil
	}
	before := s.changes.Load()
	var q *queue
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		q, err = s.read(tx, sc, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.queues.put(k, q, func() bool { return s.changes.Load() == before })
	return q, nil
}

// read reads a queue in a transaction.
func (s *Service) read(tx store.Tx, sc store.Scope, name string) (*queue, error) {
	row, err := rows.Get(tx, sc, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoQueue
	}
	if err != nil {
		return nil, err
	}
	return s.newQueue(sc, name, row.Value)
}

func (s *Service) newQueue(sc store.Scope, name string, row queueRow) (*queue, error) {
	q := &queue{scope: sc, name: name, row: row, settings: settingsOf(row.Attributes), room: s.rooms.of(row.ID)}
	return q, q.compile()
}

// current is q as a transaction that writes sees it: the same, unless it was changed or deleted since it was found.
func (s *Service) current(tx store.Tx, q *queue) (*queue, error) {
	if !q.stale.Load() {
		return q, nil
	}
	now, err := s.read(tx, q.scope, q.name)
	if err != nil {
		return nil, err
	}
	if now.row.ID != q.row.ID {
		return nil, errNoQueue
	}
	return now, nil
}

// change runs fn on the row of a queue in a transaction and stores what became of it. fn may run twice.
func (s *Service) change(ctx context.Context, url *string, fn func(tx store.Tx, q *queue) error) error {
	k, err := s.keyOf(ctx, url)
	if err != nil {
		return err
	}
	defer s.queues.drop(k)
	return s.db.Update(ctx, func(tx store.Tx) error {
		s.touch(k)
		q, err := s.read(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		if err := fn(tx, q); err != nil {
			return err
		}
		_, err = rows.Put(tx, k.scope, k.name, q.row)
		return err
	})
}

// touch says, inside the transaction that changes a queue, that what is known of it is old.
func (s *Service) touch(k queueKey) {
	s.changes.Add(1)
	if q := s.queues.get(k); q != nil {
		q.stale.Store(true)
	}
}

// keyOf is the queue that a QueueUrl names.
func (s *Service) keyOf(ctx context.Context, url *string) (queueKey, error) {
	call := aws.CallFrom(ctx)
	account, name, err := api.ParseQueueURL(value(url))
	return queueKey{store.Scope{Account: account, Region: call.Region}, name}, err
}

// named is the queue that a QueueUrl names.
func (s *Service) named(ctx context.Context, url *string) (*queue, error) {
	k, err := s.keyOf(ctx, url)
	if err != nil {
		return nil, err
	}
	return s.find(ctx, k.scope, k.name)
}
