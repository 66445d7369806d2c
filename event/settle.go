package event

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/enfold-run/enfold/store"
)

// Tries that end soon after each other are settled together: a transaction each would keep the disk busy, and who emits waits
// for the disk. One that ends after a pause is settled at once.
const (
	settleBusy   = 5 * time.Millisecond // since the last transaction
	settleLinger = 2 * time.Millisecond
	settleMost   = 64
)

// settles gathers what is settled together.
type settles struct {
	mu    sync.Mutex
	batch *batch // that takes more; nil for none
	last  time.Time
}

// batch is what one transaction settles.
type batch struct {
	all  []*ending
	done chan struct{} // closed when err is set
	err  error
}

// ending is what becomes of a delivery after a try.
type ending struct {
	lane    *lane
	attempt *attempt
	next    *Delivery // what is tried again; nil if nothing is
	outcome Outcome
	emitted []*Delivery
	lost    bool // the claim did not hold: another try is under way, and will settle it
}

// conclude removes the delivery, or puts it back for later.
func (l *lane) conclude(ctx context.Context, a *attempt) {
	e := &ending{lane: l, attempt: a}
	e.next, e.outcome = a.delivery.next(a.err, time.Now())
	e.outcome.Result = a.result
	ordered := a.delivery.Group != "" // what is behind it waits for this
	if ordered || l.relay.settleTogether(ctx, e) != nil {
		e.lost = !l.settle(ctx, e.settle)
	}
	if e.lost {
		return
	}
	l.relay.metrics.tried(a.delivery.Kind, e.next != nil, e.outcome)
	l.relay.deps.Outbox.Wake(e.emitted...)
	if e.next != nil || ordered { // the next of its group may have been waiting for this one
		l.relay.wake(l.id)
	}
}

// settle is the part of a transaction that ends the claim. It answers store.ErrLease, having changed nothing, if that is lost.
func (e *ending) settle(tx store.Tx) (err error) {
	l, receipt, out := e.lane, e.attempt.claimed.Receipt, e.lane.relay.deps.Outbox
	e.emitted = nil
	if e.next != nil && e.next.Group != "" { // it keeps its place before those behind it
		return tx.Extend(l.id.queue, l.id.scope, receipt, e.next.NotYet)
	}
	if err := tx.Ack(l.id.queue, l.id.scope, receipt); err != nil {
		return err
	}
	if e.next != nil {
		return out.enqueue(tx, e.next, e.next.NotYet, false)
	}
	if e.emitted, err = e.attempt.handler.Settle(tx, e.attempt.delivery, e.outcome); err != nil {
		return err
	}
	return out.Emit(tx, e.emitted...)
}

// settleTogether settles with others that end now, in a transaction that the first of them makes. After an error nothing of it is
// done, and each has to be settled by itself.
func (r *Relay) settleTogether(ctx context.Context, e *ending) error {
	s := &r.settles
	s.mu.Lock()
	b := s.batch
	if b != nil {
		b.all = append(b.all, e)
		if len(b.all) >= settleMost {
			s.batch = nil
		}
		s.mu.Unlock()
		<-b.done
		return b.err
	}
	b = &batch{all: []*ending{e}, done: make(chan struct{})}
	s.batch = b
	busy := time.Since(s.last) < settleBusy
	s.mu.Unlock()
	if busy {
		time.Sleep(settleLinger)
	}
	s.mu.Lock()
	if s.batch == b {
		s.batch = nil
	}
	s.last = time.Now()
	s.mu.Unlock()
	defer close(b.done)
	b.err = errPanicked // unless Update returns
	b.err = r.deps.Store.Update(context.WithoutCancel(ctx), b.settle)
	return b.err
}

var errPanicked = errors.New("event: a handler panicked while it settled")

func (b *batch) settle(tx store.Tx) error {
	for _, e := range b.all {
		err := e.settle(tx)
		if e.lost = errors.Is(err, store.ErrLease); err != nil && !e.lost {
			return err
		}
	}
	return nil
}

// settle runs a transaction that ends a claim, again and again if the store has no room, for as long as the claim may hold.
func (l *lane) settle(ctx context.Context, fn func(store.Tx) error) bool {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := l.relay.deps.Store.Update(context.WithoutCancel(ctx), fn)
		switch {
		case err == nil:
			return true
		case errors.Is(err, store.ErrLease):
			return false // it took too long: another try is under way, and will settle it
		}
		l.relay.deps.Log.Error("settle event", "lane", l.kind(), "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		if wait > lease/4 {
			return false // the lease ends, and it is tried again
		}
	}
}
