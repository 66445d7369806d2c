package kms

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/store"
)

// sweepEvery is how often keys are looked at that are to be deleted or to rotate. Both are a matter of days.
const sweepEvery = 10 * time.Minute

// Run erases keys whose waiting period is over and rotates those whose time has come, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("sweep KMS keys", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *Service) sweep(ctx context.Context) error {
	return errors.Join(s.each(ctx, expiring, s.expire), s.each(ctx, rotating, s.rotateDue))
}

// each runs do on every key that a table names, in a transaction of its own.
func (s *Service) each(ctx context.Context, list store.Table[struct{}], do func(context.Context, store.Tx, ref) error) error {
	var all []ref
	err := s.db.View(ctx, func(tx store.Tx) error {
		all = nil
		scopes, err := list.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			ids, err := collectKeys(list.Scan(tx, sc, store.Range{}))
			if err != nil {
				return err
			}
			for _, id := range ids {
				all = append(all, ref{sc, id})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	for _, r := range all {
		if err := s.sweepOne(ctx, r, do); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// errNothing ends a transaction that would change nothing.
var errNothing = errors.New("nothing to do")

func (s *Service) sweepOne(ctx context.Context, r ref, do func(context.Context, store.Tx, ref) error) error {
	err := s.db.Update(ctx, func(tx store.Tx) error { return do(ctx, tx, r) })
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// expire erases a key whose waiting period is over.
func (s *Service) expire(_ context.Context, tx store.Tx, r ref) error {
	row, err := keys.Get(tx, r.scope, r.id)
	if err != nil {
		return err
	}
	k := &key{r, row.Value}
	if k.State != api.KeyStatePendingDeletion || s.now().Before(k.DeleteAt) {
		return errNothing
	}
	return k.erase(tx)
}

// rotateDue gives a key new material if it is time. A key that is disabled waits until it is enabled.
func (s *Service) rotateDue(ctx context.Context, tx store.Tx, r ref) error {
	k, err := getKey(tx, r, s.now())
	if err != nil {
		return err
	}
	if k == nil || k.State != api.KeyStateEnabled || !k.Rotation.Enabled || s.now().Before(k.Rotation.Next) {
		return errNothing
	}
	if err := s.rotate(ctx, k, api.RotationTypeAutomatic); err != nil {
		return err
	}
	k.Rotation.Next = s.clock().AddDate(0, 0, k.Rotation.PeriodDays)
	return k.put(tx)
}
