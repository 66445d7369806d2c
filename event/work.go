package event

import (
	"context"
	"time"
)

// idleFor is how long a worker waits for another job. A new goroutine would have to grow its stack to where a function is run.
const idleFor = time.Second

// task is a job of a lane that has a place for it.
type task struct {
	lane *lane
	job  job
}

// work has a job done by a worker that is idle, or a new one. ctx is of the relay's Run; the caller holds relay.mu or is one of
// its goroutines.
func (r *Relay) work(ctx context.Context, l *lane, j job) {
	select {
	case r.tasks <- task{l, j}:
	default:
		r.going.Go(func() { r.worker(ctx, task{l, j}) })
	}
}

// worker does jobs until there has been none for a while.
func (r *Relay) worker(ctx context.Context, t task) {
	idle := time.NewTimer(idleFor)
	defer idle.Stop()
	for {
		t.lane.run(ctx, t.job)
		idle.Reset(idleFor)
		select {
		case t = <-r.tasks:
		case <-idle.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// run makes a try, and then those that wait for its place. The place is free when the try has ended: what follows waits for the
// disk alone.
func (l *lane) run(ctx context.Context, j job) {
	for more := true; more; {
		var a *attempt
		stop := l.keep(j.claimed) // a place of the relay may be free only after the lease
		select {
		case l.relay.places <- struct{}{}:
			a = l.try(l.relay.hurry, j, stop)
			<-l.relay.places
		case <-ctx.Done():
			stop()
			l.giveBack([]job{j})
		}
		if a != nil && isBusy(a.err) {
			l.crowded()
			l.postpone(ctx, a.claimed, 0)
			l.settled()
			l.relay.wake(l.id) // its pump may rest: it has not seen this in the queue
			return
		}
		j, more = l.ended(ctx)
		switch {
		case a == nil:
			l.settled()
		case a.delivery.Group == "":
			l.relay.settles.add(l.conclude(a))
		default: // what is behind it waits for this
			if more {
				l.relay.work(ctx, l, j)
			}
			l.relay.settleAlone(l.conclude(a))
			return
		}
	}
}
