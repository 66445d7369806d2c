package worker

import (
	"context"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

const (
	// readyMemory is how much those that wait may use together by default, in bytes.
	readyMemory = 256 << 20
	// readyAtMost is how many of one kind may wait.
	readyAtMost = 32
	// readyFor is how long the last one of a kind waits after somebody wanted it.
	readyFor = time.Hour
	// readyQuiet is how long after a claim the next one is booted: the function that took it starts now and needs the processor
	// more.
	readyQuiet = 25 * time.Millisecond
	// readyApart is how long a shelf that was emptied for another stays so, or the two would take turns.
	readyApart = 10 * time.Second
	// guess is what one uses until one was measured, and minSize what it uses at least, in bytes.
	guess   = 32 << 20
	minSize = 1 << 20
	// expectAtMost is how many functions wait to be expected.
	expectAtMost = 128
	// bootLimit is how long one may take.
	bootLimit = 20 * time.Second
)

// ready keeps sandboxes in which a language runtime has booted already, for functions that nobody knows yet. One that was
// claimed never comes back.
type ready struct {
	driver sandbox.Warmer // nil if there is none that can
	log    *slog.Logger
	budget int64 // bytes

	launch   func(context.Context, *Function) (runtimes.Launch, error)
	expected chan *Function
	kick     chan struct{} // one token: look again
	stop     chan struct{}
	done     sync.WaitGroup

	mu        sync.Mutex
	shelves   map[string]*shelf // by runtimes.Warm.Key
	lastClaim time.Time
	claimed   int64
	closed    bool
}

// A shelf is those of one kind.
type shelf struct {
	key     string
	args    []string
	env     []string
	channel bool
	mounts  []sandbox.Mount
	waiting []*waiting
	wanted  time.Time // when somebody last wanted one
	pace    sandbox.Pace
	size    int64         // that one uses, in bytes
	pause   time.Duration // after a failure
	retry   time.Time
}

// waiting is one of them.
type waiting struct {
	sandbox.Warmed
	log  *os.File // the reading end of what it writes
	size int64
}

func newReady(d Deps) *ready {
	r := &ready{
		log: d.Log, budget: d.ReadyMemory, launch: d.launch, shelves: map[string]*shelf{},
		expected: make(chan *Function, expectAtMost), kick: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	r.driver, _ = d.Driver.(sandbox.Warmer)
	if r.budget == 0 {
		r.budget = readyMemory
	}
	if r.works() {
		r.done.Go(r.keep)
	}
	return r
}

// works says whether anything may wait.
func (r *ready) works() bool { return r.driver != nil && r.budget > 0 }

// Expect implements Runner.
func (p *Pool) Expect(f *Function) {
	if !p.ready.works() {
		return
	}
	select {
	case p.ready.expected <- f:
	default: // it was a hint
	}
}

// expect says that somebody may soon want one.
func (r *ready) expect(f *Function) {
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	l, err := r.launch(ctx, f)
	if err != nil {
		return // its invocation will say why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.shelf(l); s != nil {
		s.wanted = time.Now()
	}
}

// take is one that waits, or nil. It counts as demand either way.
func (r *ready) take(l runtimes.Launch) *waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shelf(l)
	if s == nil {
		return nil
	}
	now := time.Now()
	s.wanted, r.lastClaim = now, now
	s.pace.Take(now)
	r.wake()
	for len(s.waiting) > 0 {
		w := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		if !w.dead() {
			r.claimed++
			return w
		}
		r.discard(w)
	}
	return nil
}

// shelf is that of a launch, nil if it can have none. The caller holds r.mu.
func (r *ready) shelf(l runtimes.Launch) *shelf {
	if l.Warm == nil || !r.works() || r.closed {
		return nil
	}
	s := r.shelves[l.Warm.Key]
	if s == nil {
		s = &shelf{key: l.Warm.Key, args: l.Warm.Args, env: l.Warm.Env, channel: l.Channel, mounts: mounts(l), size: guess}
		r.shelves[s.key] = s
	}
	return s
}

func mounts(l runtimes.Launch) []sandbox.Mount {
	out := make([]sandbox.Mount, len(l.Mounts))
	for i, m := range l.Mounts {
		out[i] = sandbox.Mount(m)
	}
	return out
}

// wake has keep look again.
func (r *ready) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

func (w *waiting) dead() bool {
	select {
	case <-w.Done():
		return true
	default:
		return false
	}
}

// discard destroys one, in the background.
func (r *ready) discard(w *waiting) {
	r.done.Go(func() { r.destroy(w) })
}

func (r *ready) destroy(w *waiting) {
	if err := w.Destroy(); err != nil {
		r.log.Error("a waiting sandbox could not be destroyed", "error", err)
	}
	w.log.Close()
}

// spoilt destroys one that could not be claimed.
func (r *ready) spoilt(w *waiting, err error) {
	r.log.Warn("a waiting sandbox could not be used, so a new one is made", "error", err)
	r.giveUp(w)
}

// giveUp destroys one that was taken, and not claimed.
func (r *ready) giveUp(w *waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.discard(w)
		return
	}
	r.destroy(w)
}

// goal is how many should wait: one, and twice those that are wanted while one is made.
func (s *shelf) goal(now time.Time) int {
	if now.Sub(s.wanted) > readyFor {
		return 0
	}
	return min(1+int(math.Ceil(2*s.pace.Meanwhile(now, 0))), readyAtMost)
}

// keep makes what is missing, one after the other, and removes what is too much.
func (r *ready) keep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s, wait := r.next(time.Now())
		if s != nil {
			r.make(s)
			continue
		}
		var quiet <-chan time.Time
		if wait > 0 {
			quiet = time.After(wait)
		}
		select {
		case <-r.stop:
			return
		case <-quiet:
		case f := <-r.expected:
			r.expect(f)
		case <-r.kick:
		case <-tick.C:
			r.trim(time.Now())
		}
	}
}

// next is the shelf that lacks most, or for how long to wait, zero if nothing is to be made.
func (r *ready) next(now time.Time) (*shelf, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var most *shelf
	lack := 0
	for _, s := range r.shelves {
		n := s.goal(now) - len(s.waiting)
		if n > lack && now.After(s.retry) {
			most, lack = s, n
		}
	}
	if most == nil || r.closed {
		return nil, 0
	}
	if wait := readyQuiet - now.Sub(r.lastClaim); wait > 0 {
		return nil, wait
	}
	if !r.room(most, now) {
		return nil, 0
	}
	return most, 0
}

// room makes room for one more, at the expense of a shelf that was wanted longer ago, and says whether there is. The caller
// holds r.mu.
func (r *ready) room(s *shelf, now time.Time) bool {
	for r.memory()+s.size > r.budget {
		var oldest *shelf
		for _, o := range r.shelves {
			if o != s && len(o.waiting) > 0 && o.wanted.Before(s.wanted) && (oldest == nil || o.wanted.Before(oldest.wanted)) {
				oldest = o
			}
		}
		if oldest == nil {
			return false
		}
		r.drop(oldest)
		if len(oldest.waiting) == 0 {
			oldest.retry = now.Add(readyApart)
		}
	}
	return true
}

// memory is what all that wait use, in bytes. The caller holds r.mu.
func (r *ready) memory() (sum int64) {
	for _, s := range r.shelves {
		for _, w := range s.waiting {
			sum += w.size
		}
	}
	return sum
}

// drop removes the youngest of a shelf. The caller holds r.mu.
func (r *ready) drop(s *shelf) {
	last := len(s.waiting) - 1
	w := s.waiting[last]
	s.waiting = slices.Delete(s.waiting, last, last+1)
	r.discard(w)
}

// trim removes what has died and what nobody wants any more.
func (r *ready) trim(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range r.shelves {
		s.waiting = slices.DeleteFunc(s.waiting, func(w *waiting) bool {
			dead := w.dead()
			if dead {
				r.discard(w)
			}
			return dead
		})
		goal := s.goal(now)
		for len(s.waiting) > goal {
			r.drop(s)
		}
		if goal == 0 {
			delete(r.shelves, key)
		}
	}
}

// spare gives the memory back that those that wait use, for as long as nobody wants one.
func (r *ready) spare() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range r.shelves {
		for len(s.waiting) > 0 && !r.closed {
			r.drop(s)
		}
		delete(r.shelves, key)
	}
}

// close destroys all that wait.
func (r *ready) close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	for _, s := range r.shelves {
		for len(s.waiting) > 0 {
			r.drop(s)
		}
	}
	r.mu.Unlock()
	close(r.stop)
	r.done.Wait()
}

// count is how many wait, what they use in bytes, and how many were claimed so far.
func (r *ready) count() (n int, bytes, claimed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shelves {
		n += len(s.waiting)
	}
	return n, r.memory(), r.claimed
}

// Ready is how many sandboxes wait with their runtime booted, by runtime.
func (p *Pool) Ready() map[string]int {
	p.ready.mu.Lock()
	defer p.ready.mu.Unlock()
	of := make(map[string]int, len(p.ready.shelves))
	for _, s := range p.ready.shelves {
		runtime, _, _ := strings.Cut(s.key, " ")
		of[runtime] += len(s.waiting)
	}
	return of
}
