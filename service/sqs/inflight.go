package sqs

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

// How many messages may be in flight, and how often that is counted when it seems to be too many.
const (
	maxInFlight     = 120_000
	maxInFlightFIFO = 20_000
	recountEvery    = time.Second
)

// checkInFlight refuses when too many messages are in flight.
func (s *Service) checkInFlight(ctx context.Context, q *queue) error {
	limit := int64(maxInFlight)
	if q.fifo {
		limit = maxInFlightFIFO
	}
	return s.checkInFlightOf(ctx, q, limit)
}

func (s *Service) checkInFlightOf(ctx context.Context, q *queue, limit int64) error {
	r := q.room
	if r.known.Load() && r.held.Load() < limit {
		return nil
	}
	r.mu.Lock()
	recent := r.known.Load() && s.now().Sub(r.counted) < recountEvery
	if !recent {
		r.counted = s.now()
	}
	r.mu.Unlock()
	if !recent {
		var n int
		err := s.messages.View(ctx, func(tx store.Tx) (err error) {
			n, err = tx.CountClaimed(q.messages(), q.scope, int(limit), s.now())
			return err
		})
		if err != nil {
			return err
		}
		r.held.Store(int64(n))
		r.known.Store(true)
	}
	if r.held.Load() >= limit {
		return api.ErrOverLimit.Withf("Too many messages are in flight: at most %d.", limit)
	}
	return nil
}
