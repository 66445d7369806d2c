package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// ErrInit is wrapped by the error of Provisioned if the function is to blame: its Init phase failed or took too long.
var ErrInit = errors.New("worker: the function's Init phase failed")

const (
	// The AWS_LAMBDA_INITIALIZATION_TYPE of sandboxes that are made for an invocation, and of provisioned ones.
	onDemandInit, provisionedInit = "on-demand", "provisioned-concurrency"
	// provisionedLimit is how long their Init phase may take at least; the function's timeout, if that is longer.
	provisionedLimit = 130 * time.Second
	// A Function whose provisioned sandboxes fail waits before the next try, twice as long every time.
	firstPause, longestPause = time.Second, 5 * time.Minute
	// settled is how long a provisioned sandbox must have lived for its death to be no failure.
	settled = time.Minute
	// slotTime is for how long one that is being made keeps others waiting: an Init phase that hangs takes no processor, and must not
	// hold up those of other functions.
	slotTime = time.Second
	// renewAhead is how long before a provisioned sandbox becomes too old another one is made in its stead.
	renewAhead = 2 * time.Minute
)

// A provision is what Provision asked for of one Function, and what there is. Pool.mu guards it.
type provision struct {
	f      *Function
	want   int
	ready  []*environment // a stack, like group.idle
	busy   map[*environment]bool
	making int
	err    error         // why the last one could not be made; nil if it could
	pause  time.Duration // before the next try; 0 if all is well
	timer  *time.Timer   // while it pauses
}

// allocated is how many have their Init phase behind them.
func (pr *provision) allocated() int { return len(pr.ready) + len(pr.busy) }

// Provision implements Runner.
func (p *Pool) Provision(f *Function, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= 0 {
		p.unprovision(f.Key)
		return
	}
	if p.draining {
		return
	}
	pr := p.provisions[f.Key]
	if pr == nil {
		pr = &provision{f: f, busy: map[*environment]bool{}}
		p.provisions[f.Key] = pr
	}
	pr.want, pr.err = n, nil
	pr.resume()
	p.trim(pr)
	p.topUp()
}

// Provisioned implements Runner.
func (p *Pool) Provisioned(key string) (allocated int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.provisions[key]
	if pr == nil {
		return 0, nil
	}
	return pr.allocated(), pr.err
}

// unprovision lets go of a Function's provisioned sandboxes; busy ones when they are done. The caller holds p.mu.
func (p *Pool) unprovision(key string) {
	pr := p.provisions[key]
	if pr == nil {
		return
	}
	delete(p.provisions, key)
	pr.resume()
	pr.want = 0
	p.trim(pr)
}

// trim destroys the ready ones that are too many, those first that age. The caller holds p.mu.
func (p *Pool) trim(pr *provision) {
	now := time.Now()
	for len(pr.ready) > 0 && pr.allocated() > pr.want {
		i := max(0, slices.IndexFunc(pr.ready, func(e *environment) bool { return p.aging(e, now) }))
		p.destroy(pr.ready[i])
		pr.ready = slices.Delete(pr.ready, i, i+1)
	}
}

// aging says that a sandbox will soon be too old, and is to be replaced before it is. One that was born old is not.
func (p *Pool) aging(e *environment, now time.Time) bool {
	ahead := min(renewAhead, p.deps.MaxAge/10)
	return p.old(e, now.Add(ahead)) && now.Sub(e.created) > ahead
}

// missing is how many are to be made: those that age count as gone. The caller holds p.mu.
func (p *Pool) missing(pr *provision) int {
	now, missing := time.Now(), pr.want-pr.making
	for _, e := range pr.ready {
		if !p.aging(e, now) {
			missing--
		}
	}
	for e := range pr.busy {
		if !p.aging(e, now) {
			missing--
		}
	}
	return missing
}

// topUp begins to make what is missing, a few at once so that running functions keep the processor. The caller holds p.mu.
func (p *Pool) topUp() {
	slots := max(1, runtime.GOMAXPROCS(0)/2)
	for _, pr := range p.provisions {
		for p.slots < slots && !p.draining && pr.timer == nil && p.missing(pr) > 0 {
			if p.total >= p.deps.MaxSandboxes && !p.evict() {
				pr.err = ErrFull
				p.pause(pr)
				break
			}
			p.total++
			p.slots++
			p.making++
			pr.making++
			go p.provisionOne(pr)
		}
	}
}

// provisionOne makes one sandbox and takes it through its Init phase. Room for it is reserved.
func (p *Pool) provisionOne(pr *provision) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	slot := time.AfterFunc(slotTime, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.slots--
		p.topUp()
	})
	e, err := p.prepareOne(ctx, pr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if slot.Stop() {
		p.slots--
	}
	p.making--
	pr.making--
	p.changed.Broadcast() // Drain waits for those that are being made
	if err == nil && !e.alive() {
		err = fmt.Errorf("%w: the runtime exited", ErrInit)
	}
	gone := p.draining || p.provisions[pr.f.Key] != pr
	switch {
	case e == nil:
		p.total--
	case err != nil || gone:
		p.destroy(e)
	default:
		pr.ready = append(pr.ready, e)
		p.freezer.rest(e)
		p.trim(pr)
		if pr.err != nil {
			pr.err, pr.pause = nil, 0
		}
	}
	if err != nil && !gone {
		if pr.err = err; !errors.Is(err, ErrInit) && !errors.Is(err, ErrRole) && !errors.Is(err, ErrFull) {
			p.deps.Log.Error("provision sandbox", "owner", pr.f.Owner, "error", err)
		}
		p.pause(pr)
	}
	p.topUp()
}

// prepareOne makes a sandbox, unless the host has no memory for it. It answers one with an error if its Init phase failed.
func (p *Pool) prepareOne(ctx context.Context, pr *provision) (*environment, error) {
	if free, err := freeMemory(); err == nil && free < stopBelow {
		return nil, fmt.Errorf("%w: %d %% of the host's memory is left", ErrFull, free)
	}
	e, err := p.create(ctx, pr.f, pr)
	if err != nil {
		return nil, err
	}
	p.born(e)
	return e, e.provision(ctx)
}

// pause makes no more of them for a while. The caller holds p.mu.
func (p *Pool) pause(pr *provision) {
	if pr.timer != nil {
		return
	}
	pr.pause = min(max(2*pr.pause, firstPause), longestPause)
	pr.timer = time.AfterFunc(pr.pause, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		pr.timer = nil
		p.topUp()
	})
}

// resume ends a pause as if nothing had failed.
func (pr *provision) resume() {
	if pr.timer != nil {
		pr.timer.Stop()
	}
	pr.timer, pr.pause = nil, 0
}

// provision takes a new sandbox through its Init phase, long before anybody asks for it.
func (e *environment) provision(ctx context.Context) error {
	e.begun = true
	e.log.initStart("init")
	limited, cancel := context.WithTimeout(ctx, max(provisionedLimit, e.function.Timeout))
	defer cancel()
	err := e.start(limited)
	e.ahead = time.Since(e.created)
	how := initOutcome{took: e.ahead, phase: "init", status: statusSuccess}
	switch {
	case err == nil:
		e.log.initReport(how)
		return nil
	case ctx.Err() != nil || ours(err):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		how.status = statusTimeout
	default:
		how.status, how.errorType = statusError, e.startFailure(err, &Request{}).errorType
	}
	e.halt()
	e.log.initReport(how)
	return fmt.Errorf("%w: %s %s", ErrInit, how.status, how.errorType)
}

// takeProvisioned takes a provisioned sandbox for an invocation; nil if there is none by its driver. The caller holds p.mu.
func (p *Pool) takeProvisioned(f *Function, driver sandbox.Driver) *environment {
	pr := p.provisions[f.Key]
	if pr == nil {
		return nil
	}
	for n := len(pr.ready); n > 0; n = len(pr.ready) {
		e := pr.ready[n-1]
		pr.ready[n-1] = nil
		pr.ready = pr.ready[:n-1]
		if misplaced := e.driver != driver; misplaced || p.old(e, time.Now()) {
			if misplaced {
				pr.f = f
			}
			p.destroy(e)
			p.topUp()
			continue
		}
		g := p.groups[f.Key]
		if g == nil {
			g = &group{}
			p.groups[f.Key] = g
		}
		pr.busy[e] = true
		g.busy++
		p.occupy()
		p.warm++
		return e
	}
	return nil
}

// putProvisioned puts a provisioned sandbox back after an invocation. One whose process is gone, or that may not be used again, is
// replaced, so that no caller waits for another Init phase. The caller holds p.mu.
func (p *Pool) putProvisioned(e *environment, g *group) {
	pr := e.of
	delete(pr.busy, e)
	usable := p.provisions[e.function.Key] == pr && !g.retired && !p.draining && !e.broken && e.alive() && !p.old(e, e.used)
	p.forget(e.function.Key, g)
	if !usable {
		p.destroy(e)
		p.topUp()
		return
	}
	pr.pause = 0
	pr.ready = append(pr.ready, e)
	p.freezer.rest(e)
	p.trim(pr)
}

// died replaces a provisioned sandbox whose process died while nobody used it. One that dies again and again is not started
// as fast as it dies.
func (p *Pool) died(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := e.of
	i := slices.Index(pr.ready, e)
	if i < 0 {
		return // it is being used, or gone: whoever has it finds out
	}
	pr.ready = slices.Delete(pr.ready, i, i+1)
	p.destroy(e)
	if time.Since(e.created) < settled {
		p.pause(pr)
	} else {
		pr.resume()
	}
	p.topUp()
}

// renew makes provisioned sandboxes anew that are about to be too old. The caller holds p.mu.
func (p *Pool) renew(now time.Time) {
	for _, pr := range p.provisions {
		pr.ready = slices.DeleteFunc(pr.ready, func(e *environment) bool {
			over := p.old(e, now)
			if over {
				p.destroy(e)
			}
			return over
		})
	}
	p.topUp()
}
