//go:build amd64 || arm64

package gvisor

import (
	"context"
	"sync"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
)

const (
	// stockAtMost is how many sandboxes may wait. Each has a gVisor of its own, of 50 MB or more.
	stockAtMost = 8
	// stockFor is how long one waits after the last time that a sandbox was wanted.
	stockFor = time.Hour
	// stockLook is how often a stock is looked at that has what it should have.
	stockLook = 5 * time.Second
	// stockQuiet is how long after a sandbox was wanted the next one is made: the function that got it starts now, and needs the
	// processor more.
	stockQuiet = 50 * time.Millisecond
)

// A stock has sandboxes that wait, without an owner or a process: to start a gVisor is what takes time. There is none before a sandbox was
// wanted, and after that as many as are wanted while one is made, at least one.
type stock struct {
	d    *Driver
	kick chan struct{} // one token: one is wanted
	stop chan struct{}

	mu      sync.Mutex
	waiting []*box
	wanted  time.Time
	pace    sandbox.Pace
}

func newStock(d *Driver) *stock {
	return &stock{d: d, kick: make(chan struct{}, 1), stop: make(chan struct{})}
}

// take is one that waits, or nil.
func (s *stock) take(spec sandbox.Spec) *box {
	if spec.Root != nil || spec.Files != sandbox.DefaultFiles || spec.Tmp != sandbox.DefaultTmp {
		return nil // what waits has these already
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = time.Now()
	s.pace.Take(s.wanted)
	select {
	case s.kick <- struct{}{}:
	default:
	}
	for len(s.waiting) > 0 {
		b := s.waiting[0]
		s.waiting = s.waiting[1:]
		if b.waits() {
			return b
		}
		s.discard(b)
	}
	return nil
}

// discard destroys one, in the background. Close waits for it: it destroys what is left once more.
func (s *stock) discard(b *box) {
	go func() {
		if err := b.Destroy(); err != nil {
			s.d.log.Error("a waiting sandbox could not be destroyed", "error", err)
		}
	}()
}

// waits says whether its gVisor is alive.
func (s *box) waits() bool {
	select {
	case <-s.engine.gone:
		return false
	default:
		return true
	}
}

// goal is how many should wait.
func (s *stock) goal(now time.Time) int {
	if s.wanted.IsZero() || now.Sub(s.wanted) > stockFor {
		return 0
	}
	return min(1+int(2*s.pace.Meanwhile(now, stockQuiet)), stockAtMost)
}

// lack drops what is too much, and says whether one is to be made, and after which time to look again.
func (s *stock) lack() (makes bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	goal := s.goal(now)
	for len(s.waiting) > goal {
		s.discard(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
	switch quiet := stockQuiet - now.Sub(s.wanted); {
	case len(s.waiting) == goal && goal == 0:
		return false, stockFor // until one is wanted
	case len(s.waiting) == goal:
		return false, stockLook
	case quiet > 0:
		return false, quiet
	}
	return true, 0
}

// keep makes what is missing, one after the other, until stop is closed.
func (s *stock) keep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.d.done.Go(func() {
		<-s.stop
		cancel()
	})
	pause := time.Second
	for ctx.Err() == nil {
		makes, wait := s.lack()
		if makes {
			if err := s.make(ctx); err == nil || ctx.Err() != nil {
				pause = time.Second
				continue
			} else {
				s.d.log.Warn("no sandbox could be made ahead", "error", err)
			}
			wait, pause = pause, min(2*pause, 10*time.Minute)
		}
		look := time.NewTimer(wait)
		select {
		case <-s.stop:
		case <-s.kick:
		case <-look.C:
		}
		look.Stop()
	}
}

func (s *stock) make(ctx context.Context) error {
	begun := time.Now()
	b, err := s.d.create(ctx, sandbox.Spec{ID: "ahead-" + s.d.nextName()}, image{ahead: true})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace.Make(time.Since(begun))
	s.waiting = append(s.waiting, b)
	return nil
}

// occupy makes a sandbox that waits its Spec's owner's: what is mounted is added to what it had, and the limits hold.
func (s *box) occupy(had []sandbox.Mount) error {
	err := s.mountAll()
	s.mu.Lock()
	s.spec.Mounts = append(had, s.spec.Mounts...)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if s.group != nil {
		if err := s.group.Weigh(cgroup.Normal); err != nil {
			return err
		}
	}
	if s.spec.Pids != sandbox.DefaultPids {
		if err := s.limitPids(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limitHost()
}

// fromStock is a sandbox that has waited, or nil.
func (d *Driver) fromStock(spec sandbox.Spec) *box {
	if d.stock == nil {
		return nil
	}
	spec = spec.WithDefaults()
	if spec.Check() != nil {
		return nil
	}
	s := d.stock.take(spec)
	if s == nil {
		return nil
	}
	err := d.rename(s, spec)
	if err == nil {
		err = s.occupy(nil)
		d.done.Done()
	}
	if err != nil {
		d.log.Warn("a waiting sandbox could not be used, so a new one is made", "error", err)
		d.stock.discard(s)
		return nil
	}
	return s
}
