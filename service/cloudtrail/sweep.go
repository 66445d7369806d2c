package cloudtrail

import (
	"context"
	"fmt"
	"time"

	"github.com/enfold-run/enfold/store"
)

// sweepBatch is how many chunks one transaction removes.
const sweepBatch = 500

// sweep removes the chunks whose events have all expired.
func (s *Service) sweep(ctx context.Context) error {
	var list []logName
	err := s.raw.View(ctx, func(tx store.Tx) (err error) {
		list, _, err = getLogs(tx, s.key)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the logs: %w", err)
	}
	for _, n := range list {
		l, keep := logID{n.Account, n.Kind}, s.retention
		if n.Kind == data {
			keep = s.dataRetention
		}
		if keep < 0 {
			continue
		}
		for more := true; more; {
			if more, err = s.trim(ctx, l, s.now().Add(-keep)); err != nil {
				return fmt.Errorf("account %s, %s events: %w", l.account, l.kind, err)
			}
		}
	}
	return nil
}

// trim removes the first chunks of a log that ended before a time. The digest keeps where the chain goes on from.
func (s *Service) trim(ctx context.Context, l logID, before time.Time) (more bool, err error) {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	err = s.raw.Update(ctx, func(tx store.Tx) error {
		more = false
		d, ok, err := getDigest(tx, s.key, l)
		if err != nil || !ok {
			return err
		}
		n := 0
		for rec, err := range tx.Scan(indexTable, l.scope(), store.Range{Prefix: store.Prefix(l.kind), Limit: sweepBatch}) {
			if err != nil {
				return err
			}
			row, err := decodeIndex(rec)
			if err != nil {
				return err
			}
			if !row.last.Before(before) {
				break
			}
			if err := tx.Delete(indexTable, l.scope(), rec.Key, store.Cond{}); err != nil {
				return err
			}
			d.Trimmed, d.TrimmedHash, d.TrimmedSeq = d.Trimmed+1, row.sum[:], row.seq
			n++
		}
		if n == 0 {
			return nil
		}
		more = n == sweepBatch
		if err := tx.TrimLog(l.name(), l.scope(), d.TrimmedSeq); err != nil {
			return err
		}
		return putDigest(tx, s.key, l, d)
	})
	return more, err
}
