package lambda

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// How a mapping is worked on.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html.
const (
	pollWait       = 20 * time.Second
	firstPollers   = 5
	morePollers    = 5 // a second, while all are busy: 300 a minute
	mostPollers    = 1250
	provisionedFor = 10 // batches at once, that one poller of a ProvisionedPollerConfig is good for
	moreProvided   = 17 // a second, of those: 1,000 a minute
	feedBackOff    = time.Second
	longestBackOff = time.Minute
)

// Sessions gives the principals that poll and deliver in the name of functions' roles.
type Sessions interface {
	Session(ctx context.Context, s store.Scope, role, function string) (*aws.Principal, error)
}

type feederKey struct {
	scope store.Scope
	id    string
}

// feeders runs a feeder for every mapping, and takes mappings to their final states.
type feeders struct {
	mu   sync.Mutex
	todo map[feederKey]bool
	wake chan struct{}
}

func newFeeders() *feeders { return &feeders{todo: map[feederKey]bool{}, wake: make(chan struct{}, 1)} }

// kick says that a mapping was changed.
func (f *feeders) kick(k feederKey) {
	f.mu.Lock()
	f.todo[k] = true
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feeders) take() []feederKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []feederKey
	for k := range f.todo {
		all = append(all, k)
	}
	clear(f.todo)
	return all
}

// Feed polls the sources of all mappings until ctx ends. Batches under way then go on until hurry ends too.
func (s *Service) Feed(ctx, hurry context.Context) error {
	running := map[feederKey]*feeder{}
	var done sync.WaitGroup
	defer done.Wait()
	if err := s.kickAll(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for {
		for _, k := range s.feeders.take() {
			done.Add(1)
			next := s.newFeeder(k, hurry)
			old := running[k]
			running[k] = next
			go func() {
				defer done.Done()
				if old != nil {
					old.stop()
					<-old.done
				}
				next.run(ctx)
			}()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.feeders.wake:
		}
		for k, f := range running {
			select {
			case <-f.done:
				delete(running, k)
			default:
			}
		}
	}
}

func (s *Service) kickAll(ctx context.Context) error {
	return s.deps.Store.View(ctx, func(tx store.Tx) error {
		scopes, err := mappings.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range mappings.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				s.feeders.kick(feederKey{sc, row.Key})
			}
		}
		return nil
	})
}

// feeder works on one mapping as it was when the feeder began; a change of the mapping begins another.
type feeder struct {
	service *Service
	key     feederKey
	hurry   context.Context
	stop    func() // polls no more
	stopped context.Context
	done    chan struct{}

	m      mapping
	source event.Source
	arn    aws.ARN
	match  func(record []byte) bool

	mu    sync.Mutex
	polls int // pollers that run
	limit int
	step  int  // what the limit is raised by next
	busy  bool // somebody wanted another poller than limit allows
	// result is that of the last try; m.Result is the stored one, which belongs to the goroutine that stores it.
	result string
	group  sync.WaitGroup
	jam    *jam
}

func (s *Service) newFeeder(k feederKey, hurry context.Context) *feeder {
	f := &feeder{service: s, key: k, hurry: hurry, done: make(chan struct{}), jam: newJam()}
	f.stopped, f.stop = context.WithCancel(context.Background())
	return f
}

// run takes the mapping to its final state and polls until it is stopped.
func (f *feeder) run(ctx context.Context) {
	defer close(f.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.stopped, cancel)()
	for wait := feedBackOff; ; wait = min(2*wait, longestBackOff) {
		ok, err := f.settle(ctx)
		if err == nil && !ok {
			return
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		f.service.deps.Log.Error("event source mapping", "id", f.key.id, "error", err)
		if !pause(ctx, wait) {
			return
		}
	}
	f.poll(ctx)
}

// settle writes the mapping's final state and says whether it is to be polled.
func (f *feeder) settle(ctx context.Context) (bool, error) {
	found := false
	err := f.service.deps.Store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
		found = false
		row, err := mappings.Get(tx, f.key.scope, f.key.id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		m := row.Value
		if m.Deleting {
			return mappings.Delete(tx, f.key.scope, f.key.id)
		}
		found = m.Enabled
		if !m.settled() {
			m.State = mappingDisabled
			if m.Enabled {
				m.State = mappingEnabled
			}
			if _, err := mappings.Put(tx, f.key.scope, f.key.id, m); err != nil {
				return err
			}
		}
		f.m, f.result = m, m.Result
		return nil
	})
	if err != nil || !found {
		return false, err
	}
	if f.source, f.arn, err = f.service.source(&f.m.Source); err != nil {
		return false, err
	}
	f.match, err = compileFilters(f.m.Filters)
	return err == nil, err
}

// scaling is how many batches a mapping has under way at once.
type scaling struct {
	stay        int // pollers that never end
	first, most int // batches
	more        int // a second, while all are busy
}

func (m *mapping) scaling() scaling {
	switch {
	case m.Concurrency != nil:
		return scaling{1, min(firstPollers, *m.Concurrency), *m.Concurrency, morePollers}
	case m.MinPollers != nil && m.MaxPollers != nil:
		return scaling{*m.MinPollers, *m.MinPollers * provisionedFor, *m.MaxPollers * provisionedFor, moreProvided}
	}
	return scaling{1, firstPollers, mostPollers, morePollers}
}

// poll runs as many pollers as there is work for.
func (f *feeder) poll(ctx context.Context) {
	sc := f.m.scaling()
	f.limit, f.step = sc.first, sc.more
	for range sc.stay {
		f.more(ctx, true)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.group.Wait()
			return
		case <-tick.C:
			f.grow(sc)
			f.store(ctx)
		}
	}
}

// grow raises the limit if it was in the way, and lowers it again when there is little to do or batches are throttled. After that
// it feels its way: it raises the limit by one, then by more.
func (f *feeder) grow(sc scaling) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.jam.recent():
		f.limit, f.step = max(f.limit/2, 1), 1
	case f.busy:
		f.limit, f.step = min(f.limit+f.step, sc.most), min(2*f.step, sc.more)
	case f.polls < f.limit/2:
		f.limit = max(f.limit-sc.more, sc.first)
	}
	f.busy = false
}

// more starts a poller, if there may be another. One that stays never ends for want of work.
func (f *feeder) more(ctx context.Context, stays bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.jam.any() {
		return
	}
	if f.polls >= f.limit {
		f.busy = true
		return
	}
	f.polls++
	f.group.Go(func() {
		f.work(ctx, stays)
		f.mu.Lock()
		f.polls--
		f.mu.Unlock()
	})
}

// goesOn says whether a poller polls again. One that stays waits until it may; the others end when batches are throttled or the
// limit was lowered below them.
func (f *feeder) goesOn(ctx context.Context, stays bool) bool {
	if stays {
		return f.jam.clear(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return ctx.Err() == nil && f.polls <= f.limit && !f.jam.any()
}

// work polls and runs batches, one at a time.
func (f *feeder) work(ctx context.Context, stays bool) {
	wait := feedBackOff
	for f.goesOn(ctx, stays) {
		b, err := f.gather(ctx, stays)
		none := err == nil && len(b.records) == 0
		if err == nil && !none {
			if len(b.records) >= min(f.m.Batch, noWindow) {
				f.more(ctx, false) // there may be more where that came from
			}
			err = f.feed(ctx, b)
		}
		if err != nil {
			f.say(problem(err))
		} else if none {
			f.say(resultNothing)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			f.service.deps.Log.Warn("event source mapping", "id", f.key.id, "source", f.m.Source, "function", f.m.Function, "error", err)
			if !stays || !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, longestBackOff)
		case none && !stays:
			return
		default:
			wait = feedBackOff
		}
	}
}

// pause waits, or answers false if ctx ends first.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
