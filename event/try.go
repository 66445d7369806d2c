package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/enfold-run/enfold/store"
)

// try makes one try of a claimed delivery, whose lease is kept until stop. It answers nil if there is nothing to conclude from it.
func (l *lane) try(ctx context.Context, j job, stop func()) *attempt {
	c, d, err := j.claimed, j.delivery, error(nil)
	if d == nil {
		d, err = l.relay.deps.Outbox.open(l.id, c.Body)
	}
	if err != nil {
		// Nobody can ever read it; it stays where it is, out of the way, for whoever has the key.
		l.relay.deps.Log.Error("read event", "lane", l.kind, "id", c.ID, "error", err)
		stop()
		l.postpone(ctx, c, 24*time.Hour)
		return nil
	}
	h, err := l.relay.handler(d.Kind)
	if err != nil {
		l.relay.deps.Log.Error("deliver event", "id", d.ID, "error", err)
		stop()
		l.postpone(ctx, c, time.Hour)
		return nil
	}
	var result any
	if d.Group != "" {
		d.Tries = c.Tries - 1 // what is in order stays in the queue between its tries
	}
	if d.expired(time.Now()) {
		err = errTooOld
	} else {
		err = l.deliver(context.WithValue(ctx, noteKey{}, &result), h, d)
	}
	stop()
	if err != nil && ctx.Err() != nil {
		l.giveBack([]job{j})
		return nil
	}
	return &attempt{claimed: c, delivery: d, handler: h, err: err, result: result}
}

// postpone has a claimed delivery due again after wait.
func (l *lane) postpone(ctx context.Context, c store.Claimed, wait time.Duration) {
	l.settle(ctx, c.Receipt, func(tx store.Tx) error {
		return tx.Extend(l.id.queue, l.id.scope, c.Receipt, time.Now().Add(wait))
	})
}

// errTooOld is the outcome of a delivery that grew too old between two tries.
var errTooOld = errors.New("event: the event is too old")

// attempt is a try that was made.
type attempt struct {
	claimed  store.Claimed
	delivery *Delivery
	handler  Handler
	err      error
	result   any
}

// deliver calls the handler. A panic is an error like another.
func (l *lane) deliver(ctx context.Context, h Handler, d *Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("event: handler of %s panicked: %v", d.Kind, p)
			l.relay.deps.Log.Error("deliver event", "id", d.ID, "error", err)
		}
	}()
	return h.Deliver(ctx, d)
}

// keep renews the lease until stop is called.
func (l *lane) keep(c store.Claimed) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	timer := time.AfterFunc(renewal, func() {
		defer close(done)
		for {
			err := l.relay.deps.Store.Update(ctx, func(tx store.Tx) error {
				return tx.Extend(l.id.queue, l.id.scope, c.Receipt, time.Now().Add(lease))
			})
			if errors.Is(err, store.ErrLease) || ctx.Err() != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(renewal):
			}
		}
	})
	return func() {
		cancel()
		if !timer.Stop() {
			<-done
		}
	}
}

// expired says that the delivery has become too old to be tried.
func (d *Delivery) expired(now time.Time) bool {
	return d.Retry.Age > 0 && now.Sub(d.Emitted) >= d.Retry.Age
}

// next is the delivery as it is tried again, or nil with how it ended.
func (d *Delivery) next(err error, now time.Time) (*Delivery, Outcome) {
	o := Outcome{Err: err, At: now}
	var wait later
	switch {
	case err == nil:
		return nil, o
	case IsPermanent(err):
		o.Cause = Refused
		return nil, o
	case errors.Is(err, errTooOld):
		o.Cause = TooOld
		return nil, o
	}
	n := *d
	var after time.Duration
	if errors.As(err, &wait) {
		n.Waits++
		if after = wait.wait; after == 0 {
			after = Retry{Longest: d.Retry.Longest, Jitter: d.Retry.Jitter}.after(n.Waits)
		}
	} else {
		n.Tries++
		if d.Retry.Tries > 0 && n.Tries >= d.Retry.Tries {
			o.Cause = Exhausted
			return nil, o
		}
		n.Waits = 0
		after = d.Retry.after(n.Tries)
	}
	if n.NotYet = now.Add(after); d.expired(n.NotYet) {
		// AWS gives an event up when it is too old, not before: what would be tried too late ends then.
		n.NotYet = d.Emitted.Add(d.Retry.Age)
		if !n.NotYet.After(now) {
			o.Cause = TooOld
			return nil, o
		}
	}
	return &n, o
}
