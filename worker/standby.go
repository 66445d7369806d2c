package worker

import (
	"context"
	"errors"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

const (
	// standbySize is what a standby is reckoned at, in bytes, of Deps.ReadyMemory.
	standbySize = 64 << 20
	// standbyFor is how long one waits for an invocation.
	standbyFor = time.Hour
)

// A standby is a restored sandbox of a function with SnapStart that nobody has asked for yet. Its runtime waits for the answer to
// restore/next, so that the hooks run, and random numbers begin, when it is taken. There is one for a function that has been restored
// lately, within a bound. Pool.mu guards it.
type standby struct {
	e      *environment // nil while it is being made
	wanted time.Time
}

// standbys is how many there may be.
func (p *Pool) standbyLimit() int {
	budget := p.deps.ReadyMemory
	if budget == 0 {
		budget = readyMemory
	}
	return int(max(budget, 0) / standbySize)
}

// takeStandby is one that waits, or nil. The caller has reserved room for a sandbox, which the standby gives back: it has its own.
func (p *Pool) takeStandby(f *Function) *environment {
	driver := p.wanted(f)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.standbys[f.Key]
	if s == nil || s.e == nil {
		return nil
	}
	delete(p.standbys, f.Key)
	e, now := s.e, time.Now()
	if p.old(e, now) || e.dead() || e.driver != driver {
		p.destroy(e)
		return nil
	}
	p.total--
	e.created = now // as far as anybody can tell
	return e
}

// dead says whether a process that nobody has looked after yet is dead.
func (e *environment) dead() bool {
	select {
	case <-e.claimed.Done():
		return true
	default:
		return false
	}
}

// wantStandby has one made for a function that was restored for an invocation, which may have been retired since, or that was just stored.
func (p *Pool) wantStandby(f *Function, invoked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[f.Key]
	retired := invoked && g == nil || g != nil && g.retired
	if p.draining || retired || p.standbys[f.Key] != nil || p.total >= p.deps.MaxSandboxes || !p.roomForStandby() {
		return
	}
	s := &standby{wanted: time.Now()}
	p.standbys[f.Key] = s
	p.total++
	p.making++
	go p.makeStandby(f, s)
}

// roomForStandby makes room for one more, at the expense of that which was wanted longest ago. The caller holds p.mu.
func (p *Pool) roomForStandby() bool {
	return len(p.standbys) < p.standbyLimit() || p.standbyLimit() > 0 && p.evictStandby()
}

// evictStandby destroys that which was wanted longest ago and says whether there was one. The caller holds p.mu.
func (p *Pool) evictStandby() bool {
	key := ""
	for k, s := range p.standbys {
		if s.e != nil && (key == "" || s.wanted.Before(p.standbys[key].wanted)) {
			key = k
		}
	}
	if key == "" {
		return false
	}
	p.dropStandby(key)
	return true
}

// dropStandby destroys one, or has it destroyed as soon as it is made. The caller holds p.mu.
func (p *Pool) dropStandby(key string) {
	if s := p.standbys[key]; s != nil {
		delete(p.standbys, key)
		if s.e != nil {
			p.destroy(s.e)
		}
	}
}

// dropStandbys drops those for which is says so. The caller holds p.mu.
func (p *Pool) dropStandbys(is func(*standby) bool) {
	for key, s := range p.standbys {
		if is(s) {
			p.dropStandby(key)
		}
	}
}

// makeStandby makes one. Room for it is reserved. The function that was restored right before has the processor first.
func (p *Pool) makeStandby(f *Function, s *standby) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	select {
	case <-ctx.Done():
	case <-time.After(readyQuiet):
	}
	e, err := p.furnish(ctx, &environment{pool: p, function: f, snap: &snap{standby: true}})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
	p.changed.Broadcast()
	if err != nil {
		p.total--
		if p.standbys[f.Key] == s {
			delete(p.standbys, f.Key)
		}
		if ctx.Err() == nil && !errors.Is(err, errNoSnapshot) {
			p.deps.Log.Warn("no sandbox could be restored ahead", "owner", f.Owner, "error", err)
		}
		return
	}
	if p.standbys[f.Key] != s || p.draining {
		p.destroy(e)
		return
	}
	s.e = e
}

// restoreStandby is moveSnap for a standby: restored, or not at all.
func (e *environment) restoreStandby(ctx context.Context, spec sandbox.Spec) error {
	d, _ := e.driver.(sandbox.Snapshotter)
	if d == nil {
		return ErrSnapshot
	}
	return e.restored(ctx, d, withSignal(spec, e.function.Snapshot))
}
