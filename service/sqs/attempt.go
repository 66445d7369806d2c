package sqs

import (
	"context"
	"sync"
	"time"

	"github.com/enfold-run/enfold/store"
)

const (
	attemptFor       = 5 * time.Minute
	maxAttempts      = 10_000
	maxAttemptsBytes = 64 << 20
)

// attempts remembers what receives with a ReceiveRequestAttemptId got, so that a client whose connection broke gets the same.
type attempts struct {
	mu    sync.Mutex
	all   map[string]attempt
	bytes int
}

type attempt struct {
	at  time.Time
	got []store.Claimed
}

func sizeOf(got []store.Claimed) int {
	n := 0
	for i := range got {
		n += 200 + len(got[i].Body)
	}
	return n
}

// keep remembers an attempt, unless there is no room for it.
func (a *attempts) keep(name string, got []store.Claimed, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := sizeOf(got)
	if len(a.all) >= maxAttempts || a.bytes+n > maxAttemptsBytes {
		for k, old := range a.all {
			if now.Sub(old.at) > attemptFor {
				a.bytes -= sizeOf(old.got)
				delete(a.all, k)
			}
		}
		if len(a.all) >= maxAttempts || a.bytes+n > maxAttemptsBytes {
			return
		}
	}
	if a.all == nil {
		a.all = map[string]attempt{}
	}
	a.bytes += n - sizeOf(a.all[name].got)
	a.all[name] = attempt{now, got}
}

func (a *attempts) get(name string, now time.Time) []store.Claimed {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.all[name]
	if now.Sub(old.at) > attemptFor {
		return nil
	}
	return old.got
}

// attempted is what an earlier receive of the same attempt got and still holds, hidden anew. It is false if there is nothing.
func (s *Service) attempted(ctx context.Context, q *queue, r *receiving) (got []store.Claimed, again bool) {
	if r.attempt == "" {
		return nil, false
	}
	before := s.attempts.get(q.row.ID+"\x00"+r.attempt, s.now())
	if len(before) == 0 {
		return nil, false
	}
	err := s.messages.Update(ctx, func(tx store.Tx) error {
		got = nil
		now := s.now()
		for _, m := range before {
			until, err := tx.Lookup(q.messages(), q.scope, m.Receipt)
			if err != nil || !until.After(now) {
				continue // deleted, or visible again
			}
			if err := tx.Extend(q.messages(), q.scope, m.Receipt, now.Add(r.hidden)); err != nil {
				return err
			}
			got = append(got, m)
		}
		return nil
	})
	return got, err == nil && len(got) > 0
}
