package event

import (
	"context"
	"errors"
	"fmt"
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
	refused []error // why what it should have emitted was not: nothing will change that
	lost    bool    // the claim did not hold: another try is under way, and will settle it
}

// conclude removes the delivery, or puts it back for later.
func (l *lane) conclude(ctx context.Context, a *attempt) {
	e := &ending{lane: l, attempt: a}
	e.next, e.outcome = a.delivery.next(a.err, time.Now())
	e.outcome.Result = a.result
	ordered := a.delivery.Group != "" // what is behind it waits for this
	if ordered || l.relay.settleTogether(ctx, e) != nil {
		e.lost = !l.settle(ctx, a.claimed.Receipt, func(tx store.Tx) error { return e.settle(tx, true) })
	}
	if e.lost {
		return
	}
	for _, err := range e.refused {
		l.relay.metrics.lost.WithLabelValues(a.delivery.Kind).Inc()
		l.relay.deps.Log.Error("an event is settled without what it should have emitted", "lane", l.kind(), "id", a.delivery.ID,
			"target", a.delivery.Target, "error", err)
	}
	l.relay.metrics.tried(a.delivery.Kind, e.next != nil, e.outcome)
	l.relay.deps.Outbox.Wake(e.emitted...)
	if e.next != nil || ordered { // the next of its group may have been waiting for this one
		l.relay.wake(l.id)
	}
}

// settle is the part of a transaction that ends the claim. It answers store.ErrLease, having changed nothing, if that is lost.
// Alone in its transaction, it ends the claim also if what it should emit cannot be stored and never will be: to try the
// delivery again would run a function again that has run.
func (e *ending) settle(tx store.Tx, alone bool) error {
	l, receipt, out := e.lane, e.attempt.claimed.Receipt, e.lane.relay.deps.Outbox
	e.emitted, e.refused = nil, nil
	if e.next != nil && e.next.Group != "" { // it keeps its place before those behind it
		return tx.Extend(l.id.queue, l.id.scope, receipt, e.next.NotYet)
	}
	if err := tx.Ack(l.id.queue, l.id.scope, receipt); err != nil {
		return err
	}
	if e.next != nil {
		return out.enqueue(tx, e.next, e.next.NotYet, false)
	}
	all, err := e.ask(tx)
	if err != nil {
		return e.refuse(err, alone)
	}
	for _, d := range all {
		if err := out.Emit(tx, d); err == nil {
			e.emitted = append(e.emitted, d)
		} else if err = e.refuse(err, alone); err != nil {
			return err
		}
	}
	return nil
}

// ask is what the handler emits. Its panic is an error like another.
func (e *ending) ask(tx store.Tx) (all []*Delivery, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Permanent(fmt.Errorf("event: handler of %s panicked while it settled: %v", e.attempt.delivery.Kind, p))
		}
	}()
	return e.attempt.handler.Settle(tx, e.attempt.delivery, e.outcome)
}

// refuse keeps an error that no other try can better, and answers any other. Beside others in a transaction it answers all: what
// was too large may have been the whole of it.
func (e *ending) refuse(err error, alone bool) error {
	var p permanent
	if !alone || !errors.As(err, &p) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, errIncomplete) {
		return err
	}
	e.refused = append(e.refused, err)
	return nil
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

var errPanicked = errors.New("event: the store panicked")

func (b *batch) settle(tx store.Tx) error {
	for _, e := range b.all {
		err := e.settle(tx, false)
		if e.lost = errors.Is(err, store.ErrLease); err != nil && !e.lost {
			return err
		}
	}
	return nil
}

// settle runs a transaction that ends a claim, again and again if the store has no room. It holds the claim meanwhile, so that
// what was delivered is not delivered again because nobody could write that down.
func (l *lane) settle(ctx context.Context, receipt string, fn func(store.Tx) error) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, lease/4) {
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
		// A store that cannot extend the claim cannot give it to another either; the next turn sees whether it has.
		_ = l.relay.deps.Store.Update(ctx, func(tx store.Tx) error {
			return tx.Extend(l.id.queue, l.id.scope, receipt, time.Now().Add(lease))
		})
	}
}
