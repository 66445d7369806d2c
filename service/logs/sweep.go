package logs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/enfold-run/enfold/store"
)

// sweepEvery is how often retention is enforced and bytes are counted. AWS takes up to 72 hours over expired events.
const sweepEvery = 10 * time.Minute

// sweepBatch is how many streams one transaction of the sweeper takes.
const sweepBatch = 256

// Run sweeps until ctx ends: it empties the trash as soon as there is some and enforces retention.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for all := true; ; {
		err := s.emptyTrash(ctx)
		if all {
			err = errors.Join(err, s.sweepGroups(ctx))
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.log.Error("sweep logs", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
			all = false
		case <-t.C:
			all = true
		}
	}
}

// wake makes the sweeper empty the trash now.
func (s *Service) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// emptyTrash deletes what deleted groups and streams left. Repeating a step that a crash cut off does no harm.
func (s *Service) emptyTrash(ctx context.Context) error {
	scopes, err := s.scopes(ctx, trash.Scopes)
	if err != nil {
		return err
	}
	for _, sc := range scopes {
		var keys []string
		err := s.db.View(ctx, func(tx store.Tx) error {
			keys = nil
			for row, err := range trash.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				keys = append(keys, row.Key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := s.emptyOne(ctx, sc, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) emptyOne(ctx context.Context, sc store.Scope, key string) error {
	kind, id, _ := strings.Cut(key, "\x00")
	switch kind {
	case trashGroup:
		if err := s.deleteStreams(ctx, sc, id); err != nil {
			return err
		}
	case trashStream:
		if err := s.db.Logs().Delete(ctx, id, sc); err != nil {
			return err
		}
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		if err := trash.Delete(tx, sc, key); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
}

// deleteStreams deletes the events and then the rows of a deleted group's streams.
func (s *Service) deleteStreams(ctx context.Context, sc store.Scope, group string) error {
	for {
		rows, err := s.streamRows(ctx, sc, group, "")
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if err := s.db.Logs().Delete(ctx, logName(row.Value.ID), sc); err != nil {
				return err
			}
		}
		err = s.db.Update(ctx, func(tx store.Tx) error {
			for _, row := range rows {
				if err := streams.Delete(tx, sc, row.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// streamRows are the next rows of a group's streams.
func (s *Service) streamRows(ctx context.Context, sc store.Scope, group, after string) (rows []store.Row[streamRow], err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		rows = nil
		for row, err := range streams.Scan(tx, sc, store.Range{Prefix: store.Prefix(group), After: after, Limit: sweepBatch}) {
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// sweepGroups enforces the retention of every group and counts its bytes.
func (s *Service) sweepGroups(ctx context.Context) error {
	scopes, err := s.scopes(ctx, groups.Scopes)
	if err != nil {
		return err
	}
	for _, sc := range scopes {
		var rows []store.Row[groupRow]
		err := s.db.View(ctx, func(tx store.Tx) error {
			rows = nil
			for row, err := range groups.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				rows = append(rows, row)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := s.sweepGroup(ctx, groupKey{sc, row.Key}, row.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) scopes(ctx context.Context, of func(store.Tx) ([]store.Scope, error)) (list []store.Scope, err error) {
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		list, err = of(tx)
		return err
	})
	return list, err
}

func (s *Service) sweepGroup(ctx context.Context, k groupKey, group groupRow) error {
	bytes, after := int64(0), ""
	for {
		rows, err := s.streamRows(ctx, k.scope, group.ID, after)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.Key
			n, err := s.sweepStream(ctx, k, group, row)
			if err != nil {
				return err
			}
			bytes += n
		}
		if len(rows) < sweepBatch {
			break
		}
	}
	if bytes == group.StoredBytes {
		return nil
	}
	return s.db.Update(ctx, func(tx store.Tx) error {
		row, err := groups.Get(tx, k.scope, k.name)
		if errors.Is(err, store.ErrNotFound) || err == nil && row.Value.ID != group.ID {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		row.Value.StoredBytes = bytes
		_, err = groups.Put(tx, k.scope, k.name, row.Value)
		return err
	})
}

// sweepStream deletes a stream's expired events and answers how many bytes are left.
func (s *Service) sweepStream(ctx context.Context, k groupKey, group groupRow, row store.Row[streamRow]) (int64, error) {
	first, last, ok, err := s.edges(ctx, k.scope, row.Value.ID)
	if err != nil || !ok {
		return 0, err
	}
	if cutoff := s.expiry(group.Retention); group.Retention > 0 && (first.events[0].at < cutoff || last.after().late > 0) {
		if err := s.db.Logs().DeleteBefore(ctx, logName(row.Value.ID), k.scope, time.UnixMilli(cutoff)); err != nil {
			return 0, err
		}
		s.streams.forget(k, streamName(row.Key))
		if first, last, ok, err = s.edges(ctx, k.scope, row.Value.ID); err != nil || !ok {
			return 0, err
		}
	}
	return last.after().bytes - first.before.bytes, nil
}

// edges are the first and the last chunk of a stream's log; not ok if it is empty.
func (s *Service) edges(ctx context.Context, sc store.Scope, id uint64) (first, last chunk, ok bool, err error) {
	if first, ok, err = s.edge(ctx, sc, id, false); err != nil || !ok {
		return first, last, false, err
	}
	last, ok, err = s.edge(ctx, sc, id, true)
	return first, last, ok && len(first.events) > 0, err
}
