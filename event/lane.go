package event

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/enfold-run/enfold/store"
)

// lane is the queue of one kind and target, while a relay works on it.
type lane struct {
	relay   *Relay
	id      laneID
	kind    string // the lane's Delivery.Kind
	target  string // what Places is asked about: for a target with a very long name, its hash
	handler Handler

	// Under relay.mu.
	pumping bool
	again   bool      // somebody woke it since it last looked
	due     time.Time // when its next delivery is, as far as was seen
	looked  time.Time
	timer   *time.Timer

	poke chan struct{} // of the pump

	mu      sync.Mutex
	running int       // tries under way
	open    int       // begun and not settled yet
	limit   int       // tries it may have under way now; grows
	waiting []job     // claimed, for the next places that are free
	more    bool      // the queue may hold something that can be claimed
	claimed time.Time // when that was last tried
	used    time.Time // when a try last began
	pace    pace
	climb   climb
	room    room
}

// job is a delivery that is claimed.
type job struct {
	claimed  store.Claimed
	delivery *Delivery // nil: it is in the claim's body
}

// keepFor is how long a lane is kept that holds nothing: to make it anew for each delivery would cost more than the delivery.
const keepFor = 2 * time.Second

func newLane(r *Relay, id laneID) *lane {
	_, rest, _ := strings.Cut(id.queue, "\x00")
	kind, target, _ := strings.Cut(rest, "\x00")
	return &lane{relay: r, id: id, kind: kind, target: target, handler: r.deps.Handlers[kind], poke: make(chan struct{}, 1), more: true}
}

// pump claims and begins tries until nothing is due. What is claimed ahead is begun by the tries that end.
func (l *lane) pump(ctx context.Context) {
	patient := time.NewTimer(patience)
	defer patient.Stop()
	defer l.quit(ctx)
	for {
		l.look()
		l.fill(ctx)
		n, idle := l.wants(time.Now())
		switch {
		case ctx.Err() != nil:
			l.rest(time.Time{})
			return
		case n > 0:
			if l.fetch(ctx, n) {
				return
			}
		case idle:
			if l.leave() {
				return
			}
		default:
			l.stand(ctx, patient)
		}
	}
}

// quit is the end of a pump. One that rests has nothing that waits: what does by now came after it, and is the next pump's. To
// give that back would hide it from a pump that has just looked.
func (l *lane) quit(ctx context.Context) {
	if ctx.Err() != nil {
		l.giveBack(l.takeWaiting())
	}
}

// look begins a turn: who wakes the lane from now on wants another.
func (l *lane) look() {
	r := l.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	l.again = false
}

// fetch claims at most n. It reports whether there was nothing and the pump has ended.
func (l *lane) fetch(ctx context.Context, n int) (rests bool) {
	claimed, next, err := l.claim(ctx, n)
	if err != nil && ctx.Err() == nil {
		l.relay.deps.Log.Error("claim events", "lane", l.kind, "error", err)
		next = time.Now().Add(sweepTime)
	}
	l.mu.Lock()
	for _, c := range claimed {
		l.waiting = append(l.waiting, job{claimed: c})
	}
	l.more = l.more || len(claimed) == n
	empty := len(l.waiting) == 0
	l.mu.Unlock()
	return empty && ctx.Err() == nil && l.rest(next)
}

// stand waits until there may be something to do. If no try ends for long, the lane gets more places, and what it has claimed is
// given back: the lease would end before it begins.
func (l *lane) stand(ctx context.Context, patient *time.Timer) {
	before := l.ends()
	patient.Reset(patience)
	select {
	case <-l.poke:
	case <-ctx.Done():
	case <-patient.C:
		if l.ends() == before {
			l.grow()
			l.giveBack(l.takeWaiting())
		}
	}
}

// fill begins what waits, as far as there are places.
func (l *lane) fill(ctx context.Context) {
	l.mu.Lock()
	var jobs []job
	if n := min(l.free(), len(l.waiting)); n > 0 && ctx.Err() == nil {
		jobs = slices.Clone(l.waiting[:n])
		clear(l.waiting[:n]) // payloads: the array may stay for long
		l.waiting = l.waiting[n:]
		l.began(n)
	}
	l.mu.Unlock()
	for _, j := range jobs {
		l.relay.work(ctx, l, j)
	}
}

// offer takes a place for a job, which the caller has to begin, or keeps the job until there is one.
func (l *lane) offer(j job) (begin bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free() > 0 && len(l.waiting) == 0 {
		l.began(1)
		return true
	}
	l.waiting = append(l.waiting, j)
	return false
}

// takeWaiting is what was claimed and not begun.
func (l *lane) takeWaiting() []job {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.waiting
	l.waiting = nil
	l.more = l.more || len(jobs) > 0
	return jobs
}

// hasRoom says that a delivery that is emitted now would soon begin. Others that are in the queue come first.
func (l *lane) hasRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 && l.free() > 0 {
		return true
	}
	return !l.more && len(l.waiting) < l.pace.ahead(time.Now())
}

// wants is how many deliveries to claim now: for the places that are free, and some ahead. If there are none to claim, idle says
// that nothing waits either.
func (l *lane) wants(now time.Time) (n int, idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.more && now.Sub(l.claimed) < sweepTime {
		return 0, len(l.waiting) == 0
	}
	free, ahead := l.free(), l.pace.ahead(now)
	if len(l.waiting) < free || len(l.waiting) < ahead/2 {
		return free + ahead - len(l.waiting), false
	}
	return 0, false
}

// free is how many tries may begin. The caller holds mu.
func (l *lane) free() int {
	if l.handler == nil {
		return perProcessor
	}
	l.limit = min(max(l.limit, perProcessor*runtime.GOMAXPROCS(0)), max(l.handler.Places(l.target), 1))
	if l.open >= l.limit+mostSettles {
		return 0
	}
	return l.room.free(time.Now(), l.limit, l.running)
}

// began counts n tries. The caller holds mu.
func (l *lane) began(n int) {
	l.running += n
	l.open += n
	l.used = time.Now()
}

// crowded frees the place of a try that found no room at its target. What waits for a place is given back: it may take long.
func (l *lane) crowded() {
	l.mu.Lock()
	l.running--
	if hold := l.room.full(time.Now(), l.running); hold > 0 {
		time.AfterFunc(hold, func() { l.relay.wake(l.id) })
	}
	l.pace, l.more = pace{total: l.pace.total + 1}, true
	l.mu.Unlock()
	l.giveBack(l.takeWaiting())
}

// ended frees a place, or keeps it for the job that comes next.
func (l *lane) ended(ctx context.Context) (next job, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace.end(now)
	l.room.found(now, l.limit)
	l.limit += l.climb.end(now, l.limit, l.running >= l.limit && (l.more || len(l.waiting) > 0))
	l.running--
	if len(l.waiting) > 0 && l.free() > 0 && ctx.Err() == nil {
		next, ok = l.waiting[0], true
		l.waiting[0] = job{}
		l.waiting = l.waiting[1:]
		l.began(1)
	}
	if l.more && len(l.waiting) <= l.pace.ahead(now)/2 || len(l.waiting) > 0 && l.free() > 0 {
		signal(l.poke) // the pump
	}
	return next, ok
}

// settled counts a delivery as settled.
func (l *lane) settled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.running < l.limit && (l.more || len(l.waiting) > 0) {
		signal(l.poke) // the pump
	}
}

func (l *lane) ends() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pace.total
}

// grow gives the lane more places: none of its tries has ended for long, so they wait for something else than a processor.
func (l *lane) grow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more || len(l.waiting) > 0 {
		l.limit += max(l.limit/4, 1)
	}
	l.pace = pace{total: l.pace.total}
}

// claim takes what is due, or answers when something will be. A lane that holds nothing for a while is forgotten.
func (l *lane) claim(ctx context.Context, most int) (claimed []store.Claimed, next time.Time, err error) {
	l.mu.Lock()
	l.more, l.claimed = false, time.Now() // who wakes it while it looks has it look again
	l.mu.Unlock()
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
func (l *lane) giveBack(jobs []job) {
	if len(jobs) == 0 {
		return
	}
	_ = l.relay.deps.Store.Update(context.Background(), func(tx store.Tx) error {
		for _, j := range jobs {
			if err := tx.Extend(l.id.queue, l.id.scope, j.claimed.Receipt, time.Now()); err != nil && !errors.Is(err, store.ErrLease) {
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
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.pumping, l.due, l.looked = false, next, time.Now()
	if stopped || next.IsZero() {
		delete(r.lanes, l.id) // what it has under way settles without it
	} else {
		l.timer = time.AfterFunc(time.Until(next), func() { r.wake(l.id) })
	}
	return true
}

// leave ends the pump of a lane whose queue was looked at a moment ago, unless somebody woke it meanwhile. When its next delivery
// is due was not asked: that is known from an earlier look, or is seen by the next sweep.
func (l *lane) leave() bool {
	r := l.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.again {
		return false
	}
	l.pumping = false
	return true
}
