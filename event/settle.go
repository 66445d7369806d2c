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
	settlePause = 10 * time.Millisecond // between two transactions
	settleMost  = 128                   // so many do not wait
)

// settles gathers what is settled together.
type settles struct {
	mu    sync.Mutex
	all   []*ending
	wake  chan struct{} // there is something
	hurry chan struct{} // and much of it
	over  chan struct{} // closed when nothing comes any more
}

func newSettles() *settles {
	return &settles{wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), over: make(chan struct{})}
}

// add has an ending settled.
func (s *settles) add(e *ending) {
	s.mu.Lock()
	s.all = append(s.all, e)
	n := len(s.all)
	s.mu.Unlock()
	switch n {
	case 1:
		signal(s.wake)
	case settleMost:
		signal(s.hurry)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *settles) take() []*ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// settler settles what ends until nothing comes any more.
func (r *Relay) settler() {
	s, last := r.settles, time.Time{}
	pause := time.NewTimer(settlePause)
	defer pause.Stop()
	for over := false; !over; {
		select {
		case <-s.wake:
			pause.Reset(settlePause - time.Since(last))
			select {
			case <-pause.C:
			case <-s.hurry:
			case <-s.over:
			}
		case <-s.over:
			over = true
		}
		last = time.Now()
		for all := s.take(); len(all) > 0; {
			n := min(len(all), settleMost)
			r.settleTogether(all[:n])
			all = all[n:]
		}
	}
}

// settleTogether settles in one transaction. After an error nothing of it is done, and each is settled by itself.
func (r *Relay) settleTogether(all []*ending) {
	err := r.deps.Store.Update(context.WithoutCancel(r.hurry), func(tx store.Tx) error {
		for _, e := range all {
			e.lost = false
			if err := e.settle(tx, false); err != nil && !e.lost {
				return err
			}
		}
		return nil
	})
	for _, e := range all {
		if err == nil {
			r.concluded(e)
		} else {
			r.late.Go(func() { r.settleAlone(e) })
		}
	}
}

func (r *Relay) settleAlone(e *ending) {
	e.lost = !e.lane.settle(r.hurry, e.attempt.claimed.Receipt, func(tx store.Tx) error { return e.settle(tx, true) })
	r.concluded(e)
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

// conclude says what becomes of the delivery: it is removed, or put back for later.
func (l *lane) conclude(a *attempt) *ending {
	e := &ending{lane: l, attempt: a}
	e.next, e.outcome = a.delivery.next(a.err, time.Now())
	e.outcome.Result = a.result
	return e
}

// concluded tells everybody of what is settled.
func (r *Relay) concluded(e *ending) {
	l, d := e.lane, e.attempt.delivery
	defer l.settled()
	if e.lost {
		return
	}
	for _, err := range e.refused {
		r.metrics.lost.WithLabelValues(d.Kind).Inc()
		r.deps.Log.Error("an event is settled without what it should have emitted", "lane", l.kind, "id", d.ID, "target", d.Target, "error", err)
	}
	r.metrics.tried(d.Kind, e.next != nil, e.outcome)
	r.deps.Outbox.Wake(e.emitted...)
	if e.next != nil || d.Group != "" { // the next of its group may have been waiting for this one
		r.wake(l.id)
	}
}

// settle is the part of a transaction that ends the claim. It answers store.ErrLease, having changed nothing, if that is lost.
// Alone in its transaction, it ends the claim also if what it should emit cannot be stored and never will be: to try the
// delivery again would run a function again that has run.
func (e *ending) settle(tx store.Tx, alone bool) error {
	l, receipt, out := e.lane, e.attempt.claimed.Receipt, e.lane.relay.deps.Outbox
	e.emitted, e.refused = nil, nil
	if e.next != nil && e.next.Group != "" { // it keeps its place before those behind it
		err := tx.Extend(l.id.queue, l.id.scope, receipt, e.next.NotYet)
		e.lost = errors.Is(err, store.ErrLease)
		return err
	}
	if err := tx.Ack(l.id.queue, l.id.scope, receipt); err != nil {
		e.lost = errors.Is(err, store.ErrLease) // of this claim, and not of one that the handler has to do with
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
	if !alone || !IsPermanent(err) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, errIncomplete) {
		return err
	}
	e.refused = append(e.refused, err)
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
		l.relay.deps.Log.Error("settle event", "lane", l.kind, "error", err)
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
