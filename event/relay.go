package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/store"
)

const (
	lease     = 20 * time.Second // of a claim, renewed while the try goes on: how long what a killed server had under way waits
	renewal   = lease / 3
	sweepTime = time.Second            // between looks for lanes that nobody woke: another relay's emits, or a lost hint
	atOnce    = 4000                   // tries under way, of all lanes
	patience  = 100 * time.Millisecond // without an end of any try, after which a lane gets more places

	// perProcessor times the processors are the places of a lane that is only beginning. Twice as many run no more events in the
	// same time, and who emits meanwhile waits longer; half as many leave processors idle between a try and the next.
	perProcessor = 2
)

// Deps are what a Relay stands on.
type Deps struct {
	Store    store.Store
	Outbox   *Outbox
	Handlers map[string]Handler // by Delivery.Kind
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Relay delivers what the outbox holds. Several may work on one store.
type Relay struct {
	deps    Deps
	metrics *metrics
	places  chan struct{} // taken by every try under way
	tasks   chan task     // for workers that are idle
	settles *settles

	mu    sync.Mutex
	lanes map[laneID]*lane
	ctx   context.Context // of Run; nil before and after
	hurry context.Context // of Run; of the tries
	going sync.WaitGroup
	late  sync.WaitGroup // what could not be settled with others
}

// NewRelay makes a relay, which the outbox wakes from now on. Nothing is delivered before Run.
func NewRelay(d Deps) *Relay {
	r := &Relay{
		deps: d, metrics: newMetrics(d.Metrics, d.Store), places: make(chan struct{}, atOnce), tasks: make(chan task),
		settles: newSettles(), lanes: map[laneID]*lane{},
	}
	d.Outbox.relay = r
	return r
}

// Run delivers until ctx ends; then no try is begun any more. Those under way go on until hurry ends too: they are cut short
// then, and what they claimed is due again at once.
func (r *Relay) Run(ctx, hurry context.Context) error {
	r.mu.Lock()
	r.ctx, r.hurry = ctx, hurry
	r.mu.Unlock()
	var settling sync.WaitGroup
	settling.Go(r.settler)
	defer func() {
		r.going.Wait()
		close(r.settles.over)
		settling.Wait()
		r.late.Wait()
	}()
	for {
		begun := time.Now()
		if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
			r.deps.Log.Error("look for events", "error", err)
		}
		select {
		case <-ctx.Done():
			r.mu.Lock()
			r.ctx = nil
			r.mu.Unlock()
			return nil
		case <-time.After(max(sweepTime, 20*time.Since(begun))): // ten thousand lanes take their time
		}
	}
}

// sweep wakes every lane that has something due and is not awake.
func (r *Relay) sweep(ctx context.Context) error {
	var found []laneID
	err := r.deps.Store.View(ctx, func(tx store.Tx) error {
		found = nil
		scopes, err := lanes.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range lanes.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				found = append(found, laneID{sc, row.Key})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list lanes: %w", err)
	}
	now := time.Now()
	for _, id := range found {
		if !r.sleeps(id, now) {
			r.wake(id)
		}
	}
	return nil
}

// sleeps says that the lane is known to have nothing due yet.
func (r *Relay) sleeps(id laneID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[id]
	return l != nil && (l.pumping || now.Before(l.due) && now.Before(l.looked.Add(recheck)))
}

// recheck is how long a relay believes that nothing of a lane is due earlier than it last saw.
const recheck = 10 * time.Second

// wake makes a lane look at its queue.
func (r *Relay) wake(id laneID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil || r.ctx.Err() != nil {
		return
	}
	l := r.lane(id)
	l.mu.Lock()
	l.more = true
	l.mu.Unlock()
	r.pump(l)
}

// hasRoom says that a delivery that is emitted now would soon begin, as far as can be said without keeping a place for it.
func (r *Relay) hasRoom(id laneID, kind string) bool {
	r.mu.Lock()
	running, l := r.ctx != nil && r.ctx.Err() == nil, r.lanes[id]
	r.mu.Unlock()
	if !running || r.deps.Handlers[kind] == nil {
		return false
	}
	return l == nil || l.hasRoom()
}

// begin tries a delivery that is claimed, at once or as soon as its lane has a place.
func (r *Relay) begin(id laneID, j job) {
	r.mu.Lock()
	if r.ctx == nil || r.ctx.Err() != nil {
		r.mu.Unlock()
		(&lane{relay: r, id: id}).giveBack([]job{j})
		return
	}
	defer r.mu.Unlock()
	l := r.lane(id)
	if l.offer(j) {
		r.work(r.ctx, l, j)
	} else {
		r.pump(l)
	}
}

// lane is the lane of that name. The caller holds mu.
func (r *Relay) lane(id laneID) *lane {
	l := r.lanes[id]
	if l == nil {
		l = newLane(r, id)
		r.lanes[id] = l
	}
	return l
}

// pump makes a lane look for what it has to do. The caller holds mu, and the relay runs.
func (r *Relay) pump(l *lane) {
	l.again = true
	if l.pumping { // it sees that something changed when a try ends, if it does not before
		return
	}
	l.pumping = true
	ctx := r.ctx
	r.going.Go(func() { l.pump(ctx) })
}

// handler answers the handler of a kind.
func (r *Relay) handler(kind string) (Handler, error) {
	if h := r.deps.Handlers[kind]; h != nil {
		return h, nil
	}
	return nil, errors.New("event: no handler for " + kind)
}
