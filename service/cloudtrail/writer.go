package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// How the queue is written.
const (
	linger     = 200 * time.Millisecond // the longest that a record waits for others
	hurryAt    = 4_000                  // so many do not wait
	maxQueue   = 20_000                 // in memory; beyond, Record waits
	maxBytes   = 64 << 20               // of them
	maxAtOnce  = 5_000                  // of one transaction
	maxBuffer  = 64 << 10               // of a line, to be used for the next
	retryAfter = 500 * time.Millisecond // of a write that failed

	sweepEvery = time.Hour
)

// enqueue adds the entries of a call.
func (s *Service) enqueue(ctx context.Context, call *aws.Call, entries []entry) {
	s.mu.Lock()
	for s.waiting >= maxQueue || s.bytes >= maxBytes {
		s.mu.Unlock()
		if !s.makeRoom(ctx) {
			s.mu.Lock()
			break
		}
		s.mu.Lock()
	}
	if !call.Op.ReadOnly && len(s.intents) > 0 {
		if i := s.intents[intentID{call.RequestID, call.Op, call.Account}]; i != nil && !i.recorded {
			i.recorded, entries[0].intent = true, i
		}
	}
	for _, e := range entries {
		e.cost = e.size()
		s.queue, s.waiting, s.bytes = append(s.queue, e), s.waiting+1, s.bytes+e.cost
	}
	n, ended := len(s.queue), s.ended
	s.mu.Unlock()
	if ended {
		if err := s.flush(context.WithoutCancel(ctx)); err != nil {
			s.log.Error("audit trail: write", "error", err)
		}
		return
	}
	signal(s.wake)
	if n >= hurryAt {
		signal(s.hurry)
	}
}

// makeRoom writes what is in the queue. It answers false if that did not succeed before ctx ended.
func (s *Service) makeRoom(ctx context.Context) bool {
	err := s.flush(context.WithoutCancel(ctx))
	if err == nil {
		return true
	}
	s.log.Error("audit trail: write; calls wait until it succeeds", "error", err)
	if errors.Is(err, store.ErrClosed) {
		return false
	}
	select {
	case <-time.After(retryAfter):
		return true
	case <-ctx.Done():
		return false
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run makes records of the intents that a crash left over, then writes what is recorded until ctx ends, and what is left
// then. It must end before the store is closed. Calls recorded after it are written by who records them.
func (s *Service) Run(ctx context.Context) error {
	if err := s.recover(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweep.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("audit trail: remove what expired", "error", err)
			}
			sweep.Reset(sweepEvery)
		case <-s.wake:
			s.gather(ctx)
			if err := s.flush(context.WithoutCancel(ctx)); err != nil {
				s.log.Error("audit trail: write; it will be tried again", "error", err)
				sleep(ctx, retryAfter)
				signal(s.wake)
			}
		}
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	if err := s.flush(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// gather waits for more records to write with the first one.
func (s *Service) gather(ctx context.Context) {
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.hurry:
	case <-ctx.Done():
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// flush writes everything that was recorded before it was called.
func (s *Service) flush(ctx context.Context) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.drain(ctx); err != nil { // what an earlier one could not write
		return err
	}
	s.mu.Lock()
	s.unwritten, s.queue = s.queue, nil
	s.mu.Unlock()
	return s.drain(ctx)
}

// drain writes what was taken from the queue. It is called with flushing held.
func (s *Service) drain(ctx context.Context) error {
	for len(s.unwritten) > 0 {
		n := min(len(s.unwritten), maxAtOnce)
		if err := s.write(ctx, s.unwritten[:n]); err != nil {
			return err
		}
		s.mu.Lock()
		for _, e := range s.unwritten[:n] {
			s.waiting, s.bytes = s.waiting-1, s.bytes-e.cost
		}
		s.mu.Unlock()
		s.unwritten = s.unwritten[n:]
	}
	s.unwritten = nil
	return nil
}

// write appends entries and removes their intents, in one transaction. It is called with flushing held.
func (s *Service) write(ctx context.Context, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	batch := newBatch()
	var buf []byte
	for i := range entries {
		e := &entries[i]
		var id string
		var who identity
		if e.line == nil {
			who = s.identity(e.principal)
			if e.intent != nil {
				id = e.intent.eventID
			} else {
				id = uuid.NewString()
			}
		}
		text := e.render(buf[:0], id, who)
		if err := batch.add(logID{e.recipient, kindOf(e.data)}, text, e.at); err != nil {
			return err
		}
		if e.line == nil && cap(text) <= maxBuffer {
			buf = text
		}
	}
	if err := batch.close(); err != nil {
		return err
	}
	return s.raw.Update(ctx, func(tx store.Tx) error {
		for _, l := range batch.order {
			if err := s.append(tx, l, batch.logs[l].chunks); err != nil {
				return fmt.Errorf("append to the trail of account %s: %w", l.account, err)
			}
		}
		for i := range entries {
			in := entries[i].intent
			if in == nil {
				continue
			}
			if err := tx.Delete(intentTable, in.scope, in.eventID, store.Cond{}); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}
