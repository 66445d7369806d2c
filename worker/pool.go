package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

// ErrDraining is the answer to Run after Drain began.
var ErrDraining = errors.New("worker: the pool is shutting down")

// Credentials are the execution role's, for one sandbox.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Deps are what a Pool stands on.
type Deps struct {
	Driver   sandbox.Driver
	Runtimes *runtimes.Set
	Logger   Logger
	// Credentials mints those that a new sandbox gets.
	Credentials func(f *Function) (Credentials, error)
	Log         *slog.Logger
	// Idle is how long a sandbox waits for its next invocation before it is reaped. Ten minutes if zero.
	Idle time.Duration
	// MaxAge is how long a sandbox lives, busy or not. Six hours if zero, well below its credentials' twelve.
	MaxAge time.Duration
	// MaxSandboxes is how many may exist at once; beyond it the longest idle one makes room. 1,000 if zero.
	MaxSandboxes int
}

// Stats is what a Pool holds at a moment.
type Stats struct {
	Busy, Idle int
	Cold, Warm int64 // invocations so far
}

// Pool runs invocations in sandboxes. Its methods are safe for concurrent use.
type Pool struct {
	deps Deps

	mu       sync.Mutex
	groups   map[string]*group // by Function.Key
	total    int               // sandboxes, being created ones included
	busy     int
	cold     int64
	warm     int64
	draining bool
	drained  *sync.Cond // signalled when busy falls
	stop     chan struct{}
	done     sync.WaitGroup // the reaper, and sandboxes being destroyed
}

// group is the sandboxes of one Function.
type group struct {
	idle    []*environment // a stack: the most recently used one is last
	busy    int
	retired bool
}

var _ Runner = (*Pool)(nil)

// New makes a Pool and starts its reaper. Drain ends it.
func New(d Deps) *Pool {
	if d.Idle == 0 {
		d.Idle = 10 * time.Minute
	}
	if d.MaxAge == 0 {
		d.MaxAge = 6 * time.Hour
	}
	if d.MaxSandboxes == 0 {
		d.MaxSandboxes = 1000
	}
	p := &Pool{deps: d, groups: map[string]*group{}, stop: make(chan struct{})}
	p.drained = sync.NewCond(&p.mu)
	p.done.Go(p.reap)
	return p
}

// Run implements Runner.
func (p *Pool) Run(ctx context.Context, f *Function, r *Request) (*Response, error) {
	e, err := p.acquire(f)
	if err != nil {
		return nil, err
	}
	if e == nil {
		if e, err = p.create(ctx, f); err != nil {
			p.gone(f)
			return nil, err
		}
	}
	resp := e.invoke(ctx, r)
	p.release(e)
	return resp, nil
}

// acquire takes a warm sandbox, or reserves room for a new one and answers nil.
func (p *Pool) acquire(f *Function) (*environment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return nil, ErrDraining
	}
	g := p.groups[f.Key]
	if g == nil {
		g = &group{}
		p.groups[f.Key] = g
	}
	g.busy++
	p.busy++
	if n := len(g.idle); n > 0 {
		e := g.idle[n-1]
		g.idle[n-1] = nil
		g.idle = g.idle[:n-1]
		p.warm++
		return e, nil
	}
	p.cold++
	p.total++
	if p.total > p.deps.MaxSandboxes {
		p.evict()
	}
	return nil, nil
}

// evict destroys the sandbox that has been idle longest. The caller holds p.mu.
func (p *Pool) evict() {
	var oldest *group
	for _, g := range p.groups {
		if len(g.idle) > 0 && (oldest == nil || g.idle[0].used.Before(oldest.idle[0].used)) {
			oldest = g
		}
	}
	if oldest != nil {
		e := oldest.idle[0]
		oldest.idle = slices.Delete(oldest.idle, 0, 1)
		p.destroy(e)
	}
}

// release puts a sandbox back, or destroys it if nobody may use it again.
func (p *Pool) release(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.left(e.function)
	e.used = time.Now()
	if g.retired || p.draining || e.broken || e.used.Sub(e.created) > p.deps.MaxAge {
		p.destroy(e)
		p.forget(e.function.Key, g)
		return
	}
	g.idle = append(g.idle, e)
}

// gone gives back the room of a sandbox that could not be made.
func (p *Pool) gone(f *Function) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	p.forget(f.Key, p.left(f))
}

// left counts one busy sandbox less. The caller holds p.mu.
func (p *Pool) left(f *Function) *group {
	g := p.groups[f.Key]
	g.busy--
	p.busy--
	if p.busy == 0 {
		p.drained.Broadcast()
	}
	return g
}

// forget drops a group that holds nothing. The caller holds p.mu.
func (p *Pool) forget(key string, g *group) {
	if g.busy == 0 && len(g.idle) == 0 {
		delete(p.groups, key)
	}
}

// destroy removes a sandbox in the background. The caller holds p.mu.
func (p *Pool) destroy(e *environment) {
	p.total--
	p.done.Go(e.destroy)
}

// Retire implements Runner.
func (p *Pool) Retire(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[key]
	if g == nil {
		return
	}
	g.retired = true
	for _, e := range g.idle {
		p.destroy(e)
	}
	g.idle = nil
	p.forget(key, g)
}

// Stats counts sandboxes and invocations.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Busy: p.busy, Idle: p.total - p.busy, Cold: p.cold, Warm: p.warm}
}

// Drain refuses new invocations, waits for running ones until ctx ends, and destroys every sandbox. Those still running
// when ctx ends are killed.
func (p *Pool) Drain(ctx context.Context) {
	stopWaiting := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.drained.Broadcast()
	})
	defer stopWaiting()

	p.mu.Lock()
	if !p.draining {
		p.draining = true
		close(p.stop)
	}
	for p.busy > 0 && ctx.Err() == nil {
		p.drained.Wait()
	}
	for key, g := range p.groups {
		for _, e := range g.idle {
			p.destroy(e)
		}
		g.idle = nil
		p.forget(key, g)
	}
	p.mu.Unlock()
	p.done.Wait()
}

// reap destroys sandboxes that have been idle too long.
func (p *Pool) reap() {
	every := max(p.deps.Idle/10, 10*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.reapBefore(now.Add(-p.deps.Idle))
		}
	}
}

func (p *Pool) reapBefore(limit time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, g := range p.groups {
		n := 0
		for n < len(g.idle) && g.idle[n].used.Before(limit) {
			p.destroy(g.idle[n])
			n++
		}
		g.idle = slices.Delete(g.idle, 0, n)
		p.forget(key, g)
	}
}
