package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

var (
	// ErrDraining is the answer to Run after Drain began, or if Drain has killed the sandbox.
	ErrDraining = errors.New("worker: the pool is shutting down")
	// ErrFull is the answer to Run if there are Deps.MaxSandboxes and all of them are busy.
	ErrFull = errors.New("worker: as many sandboxes are busy as there may be")
	// ErrScaling is the answer to Run if the function would get new sandboxes faster than Deps.ScalingRate says.
	ErrScaling = errors.New("worker: the function grows too fast")
)

// Deps are what a Pool stands on.
type Deps struct {
	Driver sandbox.Driver
	// DriverFor is the driver for a function: Driver, or one that isolates it better. It is called for every invocation. Nil if all
	// functions have Driver.
	DriverFor func(f *Function) (sandbox.Driver, error)
	// CanStore says why DriverFor has no sandbox.Snapshotter for a function with SnapStart, in words for callers that say what to do; nil
	// if it has. It is called when there is none. Nil if there is nothing to say but that.
	CanStore func() error
	Runtimes *runtimes.Set
	Logger   Logger
	// Credentials mints those of the function's role for a new sandbox. Its error wraps ErrRole if the role is to blame.
	Credentials func(ctx context.Context, f *Function) (Credentials, error)
	// API serves the AWS API to the function at l, which is inside its sandbox's network, from now on and until stop is called.
	// The sandbox is gone by then and l closed; stop ends the connections and returns when nothing of it runs any more. l has
	// at most 128 connections at once, and fewer if MaxConns is used up. Nil if functions have no AWS API.
	API func(l net.Listener, f *Function) (stop func())
	// Endpoint is the URL of the AWS API for functions that are in the server's own network, under the process driver. Empty
	// if they have none.
	Endpoint string
	Log      *slog.Logger
	// Idle is how long a sandbox waits for its next invocation before it is reaped. Ten minutes if zero.
	Idle time.Duration
	// MaxAge is how long a sandbox lives, busy or not. Six hours if zero.
	MaxAge time.Duration
	// MaxSandboxes is how many may exist at once; beyond it the longest idle one makes room, or Run fails with ErrFull. 1,000
	// if zero.
	MaxSandboxes int
	// MaxConns is how many connections all sandboxes may hold together, to their Runtime APIs and to the AWS API, beyond 4 that
	// each may have of either: each is an open file of this process. More wait in the kernel until one is closed. No such limit if zero.
	MaxConns int
	// ScalingRate is how many sandboxes a function may get for its invocations in ten seconds; beyond it Run fails with
	// ErrScaling. 1,000 if zero.
	ScalingRate int
	// ReadyMemory is how many bytes the sandboxes may use together that wait for a function with their language runtime booted: 256
	// MiB if zero. No runtime boots ahead if it is negative, or if the Driver is not a sandbox.Warmer.
	ReadyMemory int64
}

// Stats is what a Pool holds at a moment.
type Stats struct {
	Busy, Idle int
	Cold, Warm int64 // invocations so far
	// Ready sandboxes wait for a function with their runtime booted. Claimed is how many of the Cold invocations got one.
	Ready       int
	ReadyMemory int64 // bytes
	Claimed     int64
	// Conns is how many connections of sandboxes count against MaxConns: those beyond the first 4 to each API.
	Conns, MaxConns int
}

// Pool runs invocations in sandboxes. Its methods are safe for concurrent use.
type Pool struct {
	deps         Deps
	initLimit    time.Duration // of an Init phase
	restoreLimit time.Duration
	conns        *runtimeapi.Budget // of all sandboxes, nil if it has no end

	mu       sync.Mutex
	changed  *sync.Cond                // signalled when what Drain waits for falls to zero
	groups   map[string]*group         // by Function.Key
	all      map[*environment]struct{} // those that are not being destroyed
	total    int                       // len(all) and those that are being created
	busy     int
	crowd    crowd
	cores    *cores
	leaving  int // being destroyed
	cold     int64
	warm     int64
	draining bool
	killed   bool // Drain waits no longer

	provisions map[string]*provision // by Function.Key
	making     int                   // provisioned ones that are being made
	slots      int                   // how many of them keep others waiting
	standbys   map[string]*standby   // by Function.Key
	storing    map[string]bool       // directories of snapshots that are being made
	scaling    *scaling
	refused    refusals

	stop    chan struct{}
	reaper  sync.WaitGroup
	ready   *ready
	freezer *freezer
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
	p := &Pool{
		deps: d, initLimit: initLimit, restoreLimit: restoreLimit, groups: map[string]*group{}, all: map[*environment]struct{}{}, stop: make(chan struct{}),
		provisions: map[string]*provision{}, storing: map[string]bool{}, standbys: map[string]*standby{}, scaling: newScaling(d.ScalingRate),
		crowd: crowd{since: time.Now()}, cores: newCores(),
	}
	if d.MaxConns > 0 {
		p.conns = runtimeapi.NewBudget(d.MaxConns)
	}
	p.changed = sync.NewCond(&p.mu)
	p.ready, p.freezer = newReady(d), newFreezer(d)
	p.reaper.Go(func() { p.freezer.run(p.stop) })
	p.reaper.Go(p.watchMemory)
	p.reaper.Go(p.reap)
	return p
}

// Run implements Runner.
func (p *Pool) Run(ctx context.Context, f *Function, r *Request) (*Response, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err // no sandbox dies for somebody who is gone
		}
		e, err := p.acquire(f)
		if err != nil {
			return nil, err
		}
		warm := e != nil
		if !warm {
			if e, err = p.create(ctx, f, nil); err != nil {
				p.gone(f)
				return nil, err
			}
			p.born(e)
		}
		resp, err := e.thawed(ctx, r)
		if err != nil {
			e.broken = true
		}
		p.release(e)
		if !warm && resp != nil && resp.Restore > 0 {
			p.wantStandby(f, true)
		}
		if warm && errors.Is(err, errLost) {
			continue // it went away while it was idle: the next one, or a new one
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", f.Owner, err)
		}
		resp.Provisioned = e.of != nil
		return resp, nil
	}
}

// acquire takes a warm sandbox, or reserves room for a new one and answers nil.
func (p *Pool) acquire(f *Function) (*environment, error) {
	driver := p.wanted(f)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return nil, ErrDraining
	}
	if e := p.takeProvisioned(f, driver); e != nil {
		return e, nil
	}
	g := p.groups[f.Key]
	if g != nil {
		for n := len(g.idle); n > 0; n = len(g.idle) {
			e := g.idle[n-1]
			g.idle[n-1] = nil
			g.idle = g.idle[:n-1]
			if p.old(e, time.Now()) || e.driver != driver {
				p.destroy(e)
				continue
			}
			g.busy++
			p.occupy()
			p.warm++
			return e, nil
		}
	}
	if p.total >= p.deps.MaxSandboxes && !p.evict() {
		return nil, ErrFull
	}
	if !p.scaling.take(f, time.Now()) {
		return nil, ErrScaling
	}
	if g = p.groups[f.Key]; g == nil { // evict may have forgotten it
		g = &group{}
		p.groups[f.Key] = g
	}
	g.busy++
	p.occupy()
	p.cold++
	p.total++
	return nil, nil
}

// occupy counts one more that is busy. The caller holds p.mu.
func (p *Pool) occupy() {
	p.busy++
	p.crowd.note(p.busy)
}

// old says that a sandbox may not be used again.
func (p *Pool) old(e *environment, now time.Time) bool {
	return now.Sub(e.created) > p.deps.MaxAge || e.identity.stale(now)
}

// evict destroys the sandbox that has been idle longest and says whether there was one. The caller holds p.mu.
func (p *Pool) evict() bool {
	var oldest *group
	var key string
	for k, g := range p.groups {
		if len(g.idle) > 0 && (oldest == nil || g.idle[0].used.Before(oldest.idle[0].used)) {
			oldest, key = g, k
		}
	}
	if oldest == nil {
		return p.evictStandby()
	}
	e := oldest.idle[0]
	oldest.idle = slices.Delete(oldest.idle, 0, 1)
	p.destroy(e)
	p.forget(key, oldest)
	return true
}

// born counts a new sandbox.
func (p *Pool) born(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[e] = struct{}{}
	if p.killed {
		e.kill(ErrDraining)
	}
}

// release puts a sandbox back, or destroys it if nobody may use it again.
func (p *Pool) release(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.left(e.function)
	e.used = time.Now()
	if e.of != nil {
		p.putProvisioned(e, g)
		return
	}
	if g.retired || p.draining || e.broken || p.old(e, e.used) {
		p.destroy(e)
		p.forget(e.function.Key, g)
		return
	}
	g.idle = append(g.idle, e)
	p.freezer.rest(e)
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
	p.changed.Broadcast()
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
	delete(p.all, e)
	p.total--
	p.leaving++
	go func() {
		e.destroy()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leaving--
		p.changed.Broadcast()
	}()
}

// Retire implements Runner.
func (p *Pool) Retire(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unprovision(key)
	p.dropStandby(key)
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
	s := Stats{Busy: p.busy, Idle: p.total - p.busy, Cold: p.cold, Warm: p.warm}
	s.Ready, s.ReadyMemory, s.Claimed = p.ready.count()
	s.Conns, s.MaxConns = p.conns.Use()
	return s
}

// Drain refuses new invocations, waits for running ones until ctx ends, and destroys every sandbox. Those still running
// when ctx ends are killed, and their Run fails with ErrDraining. A Request.Stream that neither takes nor fails holds it up.
func (p *Pool) Drain(ctx context.Context) {
	p.mu.Lock()
	if !p.draining {
		p.draining = true
		close(p.stop)
	}
	for key := range p.provisions {
		p.unprovision(key)
	}
	p.dropStandbys(func(*standby) bool { return true })
	for key, g := range p.groups {
		for _, e := range g.idle {
			p.destroy(e)
		}
		g.idle = nil
		p.forget(key, g)
	}
	stopWaiting := context.AfterFunc(ctx, p.kill)
	for p.busy > 0 || p.leaving > 0 || p.making > 0 {
		p.changed.Wait()
	}
	p.mu.Unlock()
	stopWaiting()
	p.ready.close()
	p.reaper.Wait()
}

// kill ends what runs.
func (p *Pool) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	for e := range p.all {
		e.kill(ErrDraining)
	}
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
	now := time.Now()
	p.renew(now)
	p.dropStandbys(func(s *standby) bool {
		return s.e != nil && (now.Sub(s.wanted) > standbyFor || p.old(s.e, now) || s.e.dead())
	})
	p.scaling.forget(now)
	for key, g := range p.groups {
		g.idle = slices.DeleteFunc(g.idle, func(e *environment) bool {
			over := e.used.Before(limit) || p.old(e, now)
			if over {
				p.destroy(e)
			}
			return over
		})
		p.forget(key, g)
	}
}
