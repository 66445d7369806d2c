package event

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/enfold-run/enfold/store"
)

// lane is the queue of one kind and target, while a relay works on it.
type lane struct {
	relay *Relay
	id    laneID

	// Under relay.mu.
	pumping bool
	again   bool      // somebody woke it since it last looked
	due     time.Time // when its next delivery is, as far as was seen
	looked  time.Time
	timer   *time.Timer
	poke    chan struct{} // while it pumps

	// Of the pump alone, but for what is under mu.
	mu       sync.Mutex
	running  int             // tries under way
	open     int             // claimed and not settled yet, those under way included
	limit    int             // places it may use now; grows
	finished int             // tries that ended since the last claim
	claimed  time.Time       // when that was
	used     time.Time       // when a try last began
	handed   []store.Claimed // claimed as they were emitted, while there was no place any more
}

// keepFor is how long a lane is kept that holds nothing: to make it anew for each delivery would cost more than the delivery.
const keepFor = 2 * time.Second

// nudge tells the pump that something changed. The caller holds relay.mu.
func (l *lane) nudge() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// kind is the lane's Delivery.Kind.
func (l *lane) kind() string {
	_, rest, _ := strings.Cut(l.id.queue, "\x00")
	kind, _, _ := strings.Cut(rest, "\x00")
	return kind
}

// pump claims and starts tries until nothing is due.
func (l *lane) pump(ctx context.Context) {
	r := l.relay
	r.mu.Lock()
	if l.poke == nil {
		l.poke = make(chan struct{}, 1)
	}
	poke := l.poke
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	r.mu.Unlock()
	var ahead []store.Claimed // claimed, not begun
	defer func() { l.giveBack(append(ahead, l.takeHanded()...)) }()
	for {
		r.mu.Lock()
		l.again = false
		r.mu.Unlock()
		free := l.free()
		if free == 0 {
			select {
			case <-poke:
			case <-time.After(patience):
				l.grow()
				l.giveBack(append(ahead, l.takeHanded()...)) // its lease would end before it begins
				ahead = nil
			case <-ctx.Done():
				l.rest(time.Time{})
				return
			}
			continue
		}
		var next time.Time
		ahead = append(ahead, l.takeHanded()...)
		if len(ahead) == 0 {
			var err error
			if ahead, next, err = l.claim(ctx, free+l.prefetch()); err != nil && ctx.Err() == nil {
				r.deps.Log.Error("claim events", "lane", l.kind(), "error", err)
				next = time.Now().Add(sweepTime)
			}
		}
		if ctx.Err() != nil {
			l.rest(time.Time{})
			return
		}
		if len(ahead) == 0 && l.rest(next) {
			return
		}
		n := l.take(len(ahead))
		for _, c := range ahead[:n] {
			l.start(ctx, c)
		}
		ahead = ahead[n:]
	}
}

// Prefetching: a lane whose tries are short claims more than it has places for, so that a claim, which is a transaction, is
// not made for a handful. When its tries turn out to take long, it gives back what has not begun.
const (
	mostAhead   = 64
	aheadFor    = 500 * time.Millisecond
	mostSettles = 256 // of a lane, waiting for the disk at once
)

// prefetch is how many deliveries to claim for later.
func (l *lane) prefetch() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	n := 0
	if took := now.Sub(l.claimed); took > 0 && took < aheadFor {
		n = int(min(float64(l.finished)*float64(aheadFor)/float64(took), mostAhead))
	}
	l.finished, l.claimed = 0, now
	return n
}

// free is how many tries may begin.
func (l *lane) free() int {
	h := l.relay.deps.Handlers[l.kind()]
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.freeFor(h)
}

// take takes places for at most n tries, which are to be started.
func (l *lane) take(n int) int {
	h := l.relay.deps.Handlers[l.kind()]
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, l.freeFor(h))
	l.running += n
	l.open += n
	l.used = time.Now()
	return n
}

// freeFor is free. The caller holds mu.
func (l *lane) freeFor(h Handler) int {
	if h == nil {
		return perProcessor
	}
	l.limit = min(max(l.limit, perProcessor*runtime.GOMAXPROCS(0)), max(h.Places(l.target()), 1))
	if l.open >= l.limit+mostSettles {
		return 0
	}
	return max(l.limit-l.running, 0)
}

// target is what Places is asked about: for a target with a very long name, its hash.
func (l *lane) target() string {
	_, rest, _ := strings.Cut(l.id.queue, "\x00")
	_, target, _ := strings.Cut(rest, "\x00")
	return target
}

// hand leaves what is claimed to the pump.
func (l *lane) hand(c store.Claimed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed = append(l.handed, c)
}

// takeHanded is what was handed to the pump.
func (l *lane) takeHanded() []store.Claimed {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.handed
	l.handed = nil
	return all
}

// claim takes what is due, or answers when something will be. A lane that holds nothing for a while is forgotten.
func (l *lane) claim(ctx context.Context, most int) (claimed []store.Claimed, next time.Time, err error) {
	err = l.relay.deps.Store.Update(ctx, func(tx store.Tx) (err error) {
		next = time.Time{}
		if claimed, err = tx.Claim(l.id.queue, l.id.scope, most, time.Now(), lease); err != nil || len(claimed) > 0 {
			return err
		}
		next, err = l.forget(tx)
		return err
	})
	return claimed, next, err
}

// forget removes the lane's row if it holds nothing for a while, and answers when to look again if not.
func (l *lane) forget(tx store.Tx) (next time.Time, err error) {
	if next, err = tx.NextDue(l.id.queue, l.id.scope); err != nil || !next.IsZero() {
		return next, err
	}
	l.mu.Lock()
	idle := l.used.Add(keepFor)
	l.mu.Unlock()
	if idle.After(time.Now()) {
		return idle, nil
	}
	if err = lanes.Delete(tx, l.id.scope, l.id.queue); errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return next, err
}

// giveBack makes claimed deliveries due again, as well as it can: their lease ends anyway.
func (l *lane) giveBack(claimed []store.Claimed) {
	if len(claimed) == 0 {
		return
	}
	_ = l.relay.deps.Store.Update(context.Background(), func(tx store.Tx) error {
		for _, c := range claimed {
			if err := tx.Extend(l.id.queue, l.id.scope, c.Receipt, time.Now()); err != nil && !errors.Is(err, store.ErrLease) {
				return err
			}
		}
		return nil
	})
}

// rest ends the pump until next, or for good if that is zero, unless somebody woke the lane meanwhile.
func (l *lane) rest(next time.Time) bool {
	r := l.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	stopped := r.ctx == nil || r.ctx.Err() != nil
	if l.again && !stopped {
		return false
	}
	l.pumping, l.due, l.looked = false, next, time.Now()
	if stopped || next.IsZero() {
		delete(r.lanes, l.id) // what it has under way settles without it
	} else {
		l.timer = time.AfterFunc(time.Until(next), func() { r.wake(l.id) })
	}
	return true
}

// start runs a try that has a place beside the pump, as soon as the relay has room for it. The place is free again when the try
// has ended: what follows waits for the disk alone.
func (l *lane) start(ctx context.Context, c store.Claimed) {
	l.relay.going.Go(func() {
		var a *attempt
		select {
		case l.relay.places <- struct{}{}:
			a = l.try(l.relay.hurry, c)
			<-l.relay.places
		case <-ctx.Done():
			l.giveBack([]store.Claimed{c})
		}
		l.ended()
		if a != nil {
			l.conclude(l.relay.hurry, a)
		}
		l.settled()
	})
}

// ended frees a place.
func (l *lane) ended() {
	l.mu.Lock()
	l.running--
	l.finished++
	l.mu.Unlock()
	l.tellPump()
}

// settled counts a delivery as settled.
func (l *lane) settled() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.tellPump()
}

func (l *lane) tellPump() {
	r := l.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.pumping {
		l.again = true
		l.nudge()
	}
}

// grow gives the lane more places. Its tries take long, so they wait for something else than a processor; if they were short,
// more of them would only stand in each other's way.
func (l *lane) grow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit += max(l.limit/4, 1)
}
