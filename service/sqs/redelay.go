package sqs

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

const (
	redelayBatch  = 500 // messages of one transaction
	redelayAtOnce = 20  // transactions that SetQueueAttributes waits for; a sweep does the rest
)

// redelay gives the messages that wait in a FIFO queue the delay that it has by now, in so many transactions at most; 0 for all that
// it takes. Those that are older than any delay are none of them. Doing it again changes nothing, and so it begins anew after a restart.
func (s *Service) redelay(ctx context.Context, k queueKey, most int) error {
	q, err := s.find(ctx, k.scope, k.name)
	if errors.Is(err, api.ErrQueueDoesNotExist) {
		return nil
	}
	if err != nil || q.row.Delayed.IsZero() {
		return err
	}
	r := store.Redelay{Since: q.row.Delayed.Add(-maxDelay*time.Second - time.Minute), Max: redelayBatch}
	for n := 0; most == 0 || n < most; n++ {
		var next string
		err := s.messages.Update(ctx, func(tx store.Tx) error {
			q, err := s.current(tx, q)
			if err != nil {
				return err
			}
			r.Delay, r.Now = time.Duration(q.delay)*time.Second, s.now()
			next, err = tx.Redelay(q.messages(), q.scope, r)
			return err
		})
		if err != nil {
			return err
		}
		q.room.notify(maxWaiting) // who waits for the next one looks when that is due
		if r.After = next; next == "" {
			return s.redelayed(ctx, k, q.row)
		}
	}
	return nil
}

// redelayed notes that the messages have the delay that a queue had, unless it has another by now.
func (s *Service) redelayed(ctx context.Context, k queueKey, was queueRow) error {
	defer s.queues.drop(k)
	return s.messages.Update(ctx, func(tx store.Tx) error {
		s.touch(k)
		q, err := s.read(tx, k.scope, k.name)
		if errors.Is(err, api.ErrQueueDoesNotExist) {
			return nil
		}
		if err != nil || q.row.ID != was.ID || !q.row.Delayed.Equal(was.Delayed) {
			return err
		}
		q.row.Delayed = time.Time{}
		_, err = rows.Put(tx, k.scope, k.name, q.row)
		return err
	})
}
