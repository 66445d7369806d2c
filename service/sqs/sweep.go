package sqs

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

const (
	sweepEvery = time.Minute
	sweepBatch = 500 // messages of one transaction
)

// sweep gives messages the delay that was set anew, removes those whose retention is over, and what is left of deleted queues.
func (s *Service) sweep(ctx context.Context) error {
	var all []queueKey
	err := s.db.View(ctx, func(tx store.Tx) error {
		scopes, err := rows.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for rec, err := range rows.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				all = append(all, queueKey{sc, rec.Key})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range all {
		if err := s.redelay(ctx, k, 0); err != nil && !errors.Is(err, api.ErrQueueDoesNotExist) {
			return err
		}
		if err := s.sweepQueue(ctx, k); err != nil {
			return err
		}
	}
	return s.sweepTombstones(ctx)
}

func (s *Service) sweepQueue(ctx context.Context, k queueKey) error {
	q, err := s.find(ctx, k.scope, k.name)
	if errors.Is(err, api.ErrQueueDoesNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before := s.now().Add(-time.Duration(q.retention) * time.Second)
	var oldest time.Time
	err = s.messages.View(ctx, func(tx store.Tx) (err error) {
		oldest, err = tx.Oldest(q.messages(), q.scope)
		return err
	})
	if err != nil || oldest.IsZero() || !oldest.Before(before) {
		return err
	}
	for n := sweepBatch; n == sweepBatch; {
		err := s.messages.Update(ctx, func(tx store.Tx) (err error) {
			n, err = tx.Expire(q.messages(), q.scope, sweepBatch, s.now(), before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) sweepTombstones(ctx context.Context) error {
	old := map[store.Scope][]string{}
	err := s.db.View(ctx, func(tx store.Tx) error {
		scopes, err := tombstones.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for rec, err := range tombstones.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				if !s.now().Before(rec.Value.Add(deletedFor)) {
					old[sc] = append(old[sc], rec.Key)
				}
			}
		}
		return nil
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		for sc, names := range old {
			for _, name := range names {
				if err := tombstones.Delete(tx, sc, name); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
		}
		return nil
	})
}
