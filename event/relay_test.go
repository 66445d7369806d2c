package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var here = store.Scope{Account: "000000000000", Region: "us-east-1"}

// script is a handler that does what a test says.
type script struct {
	deliver func(ctx context.Context, d *Delivery) error
	settle  func(d *Delivery, o Outcome) []*Delivery
	places  int

	mu  sync.Mutex
	got []string // what was tried: target, payload, try
	end []string // how deliveries ended
}

func (s *script) Deliver(ctx context.Context, d *Delivery) error {
	s.mu.Lock()
	s.got = append(s.got, fmt.Sprintf("%s %s %d", d.Target, d.Payload, d.Tries))
	s.mu.Unlock()
	if s.deliver == nil {
		return nil
	}
	return s.deliver(ctx, d)
}

func (s *script) Settle(_ store.Tx, d *Delivery, o Outcome) ([]*Delivery, error) {
	s.mu.Lock()
	s.end = append(s.end, fmt.Sprintf("%s %s %v", d.Target, d.Payload, o.Cause))
	s.mu.Unlock()
	if s.settle == nil {
		return nil, nil
	}
	return s.settle(d, o), nil
}

func (s *script) Places(string) int { return max(s.places, 1) }

func (s *script) seen() (got, end []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got), slices.Clone(s.end)
}

type world struct {
	t     *testing.T
	db    store.Store
	out   *Outbox
	relay *Relay
	stop  func()
	close func()
}

func newKey(t testing.TB) *seal.Key {
	t.Helper()
	root, err := seal.NewRoot(make([]byte, seal.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return root.Key("event")
}

func newWorld(t *testing.T, handlers map[string]Handler) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db}
	w.start(handlers)
	w.close = sync.OnceFunc(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		w.stop()
		w.close()
	})
	return w
}

// start makes a relay as a new process would, and runs it.
func (w *world) start(handlers map[string]Handler) {
	w.out = NewOutbox(newKey(w.t), nil)
	w.relay = NewRelay(Deps{Store: w.db, Outbox: w.out, Handlers: handlers, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.relay.Run(ctx, ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) emit(all ...*Delivery) {
	w.t.Helper()
	for _, d := range all {
		d.Scope = here
	}
	if err := w.db.Update(w.t.Context(), func(tx store.Tx) error { return w.out.Emit(tx, all...) }); err != nil {
		w.t.Fatal(err)
	}
	w.out.Wake(all...)
}

// empty says that nothing is on its way.
func (w *world) empty() bool {
	n := 0
	err := w.db.View(w.t.Context(), func(tx store.Tx) error {
		n = 0
		for row, err := range lanes.Scan(tx, here, store.Range{}) {
			if err != nil {
				return err
			}
			d, err := tx.Depth(row.Key, here, time.Now())
			if err != nil {
				return err
			}
			n += int(d.Due + d.Delayed + d.Claimed)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n == 0
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not in thirty seconds: %s", what)
}

var soon = Retry{Tries: 3, Steps: []time.Duration{time.Millisecond, 2 * time.Millisecond}}

func TestDelivery(t *testing.T) {
	s := &script{}
	w := newWorld(t, map[string]Handler{"k": s})
	w.emit(&Delivery{Kind: "k", Target: "a", Payload: []byte("1")}, &Delivery{Kind: "k", Target: "b", Payload: []byte("2")})
	eventually(t, "both are delivered", func() bool { _, end := s.seen(); return len(end) == 2 })
	got, end := s.seen()
	slices.Sort(got)
	slices.Sort(end)
	if !slices.Equal(got, []string{"a 1 0", "b 2 0"}) || !slices.Equal(end, []string{"a 1 ", "b 2 "}) {
		t.Errorf("tried %q, ended %q", got, end)
	}
	w.emit(&Delivery{Kind: "k", Target: "a", Payload: []byte("3")})
	eventually(t, "the lanes are forgotten", w.empty)
}

func TestRetryAndDeadLetter(t *testing.T) {
	dlq := &script{}
	s := &script{
		deliver: func(context.Context, *Delivery) error { return errors.New("no") },
		settle: func(d *Delivery, o Outcome) []*Delivery {
			return []*Delivery{{Kind: "dlq", Target: "q", Scope: d.Scope, Payload: fmt.Appendf(nil, "%s/%s/%v", d.Payload, o.Cause, o.Err)}}
		},
	}
	w := newWorld(t, map[string]Handler{"k": s, "dlq": dlq})
	w.emit(&Delivery{Kind: "k", Target: "a", Payload: []byte("x"), Retry: soon})
	eventually(t, "the dead letter arrives", func() bool { _, end := dlq.seen(); return len(end) == 1 })
	got, end := s.seen()
	if !slices.Equal(got, []string{"a x 0", "a x 1", "a x 2"}) || !slices.Equal(end, []string{"a x RetriesExhausted"}) {
		t.Errorf("tried %q, ended %q", got, end)
	}
	if got, _ := dlq.seen(); !slices.Equal(got, []string{"q x/RetriesExhausted/no 0"}) {
		t.Errorf("dead letters %q", got)
	}
	eventually(t, "the lanes are forgotten", w.empty)
}

func TestPermanentLaterAndOld(t *testing.T) {
	busy := 3
	s := &script{deliver: func(_ context.Context, d *Delivery) error {
		switch d.Target {
		case "never":
			return Permanent(errors.New("forbidden"))
		case "busy":
			if busy--; busy > 0 {
				return Later(errors.New("no room"), time.Millisecond)
			}
			return nil
		}
		return errors.New("no")
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	w.emit(
		&Delivery{Kind: "k", Target: "never", Retry: soon}, &Delivery{Kind: "k", Target: "busy", Retry: Retry{Tries: 1}},
		&Delivery{Kind: "k", Target: "old", Retry: Retry{Age: 20 * time.Millisecond, Steps: []time.Duration{time.Millisecond}}},
	)
	eventually(t, "all ended", func() bool { _, end := s.seen(); return len(end) == 3 })
	_, end := s.seen()
	slices.Sort(end)
	if !slices.Equal(end, []string{"busy  ", "never  Refused", "old  EventAgeExceeded"}) {
		t.Errorf("ended %q", end)
	}
}

// A target that hangs holds its own places and nobody else's.
func TestPoisonedTarget(t *testing.T) {
	hold := make(chan struct{})
	s := &script{places: 2, deliver: func(ctx context.Context, d *Delivery) error {
		if d.Target == "hangs" {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	for range 50 {
		w.emit(&Delivery{Kind: "k", Target: "hangs"})
	}
	for range 50 {
		w.emit(&Delivery{Kind: "k", Target: "works"})
	}
	eventually(t, "what works is done", func() bool { _, end := s.seen(); return len(end) == 50 })
	if got, _ := s.seen(); len(got) != 52 {
		t.Errorf("%d tries began, want 50 and two that hang", len(got))
	}
	close(hold)
	eventually(t, "all are done", func() bool { _, end := s.seen(); return len(end) == 100 })
}

// A lane that was fast and has become slow does not sit on what it has claimed ahead.
func TestSlowLaneGivesBack(t *testing.T) {
	hold := make(chan struct{})
	var mu sync.Mutex
	fast := 200
	s := &script{places: 4, deliver: func(ctx context.Context, _ *Delivery) error {
		mu.Lock()
		fast--
		slow := fast < 0
		mu.Unlock()
		if slow {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	var all []*Delivery
	for range 300 {
		all = append(all, &Delivery{Kind: "k", Target: "a"})
	}
	w.emit(all...)
	lane := all[0].lane()
	eventually(t, "what waits is due, not held", func() bool {
		var d store.Depth
		err := w.db.View(t.Context(), func(tx store.Tx) (err error) {
			d, err = tx.Depth(lane.queue, lane.scope, time.Now())
			return err
		})
		return err == nil && d.Claimed == 4 && d.Due == 96
	})
	close(hold)
	eventually(t, "all are done", func() bool { _, end := s.seen(); return len(end) == 300 })
}

// counting is a handler whose tries are counted while they are under way.
type counting struct {
	*script
	under, most atomic.Int64
}

func newCounting(places int, try func()) *counting {
	c := &counting{}
	c.script = &script{places: places, deliver: func(context.Context, *Delivery) error {
		n := c.under.Add(1)
		defer c.under.Add(-1)
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		try()
		return nil
	}}
	return c
}

// A lane whose tries wait gets as many places as it needs, and one whose tries stand in each other's way does not.
func TestPlacesThatPayOff(t *testing.T) {
	var one sync.Mutex
	waits := newCounting(500, func() { time.Sleep(30 * time.Millisecond) })
	crowds := newCounting(500, func() {
		one.Lock()
		defer one.Unlock()
		time.Sleep(6 * time.Millisecond)
	})
	w := newWorld(t, map[string]Handler{"waits": waits, "crowds": crowds})
	var all []*Delivery
	for range 200 {
		all = append(all, &Delivery{Kind: "crowds", Target: "a"})
	}
	for range 2000 {
		all = append(all, &Delivery{Kind: "waits", Target: "a"})
	}
	w.emit(all...)
	begin := int64(perProcessor * runtime.GOMAXPROCS(0))
	eventually(t, "all are delivered", w.empty)
	if n := waits.most.Load(); n < 3*begin {
		t.Errorf("%d tries that wait were under way at once, %d to begin with", n, begin)
	}
	if n := crowds.most.Load(); n > 8*begin {
		t.Errorf("%d tries that crowd were under way at once, %d to begin with", n, begin)
	}
}

// What a stopped relay had under way is delivered by the next one, soon.
func TestStopAndStart(t *testing.T) {
	s := &script{places: 100, deliver: func(ctx context.Context, _ *Delivery) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	for i := range 20 {
		w.emit(&Delivery{Kind: "k", Target: "a", Payload: fmt.Append(nil, i), Retry: Retry{Tries: 1}})
	}
	eventually(t, "some are under way", func() bool { got, _ := s.seen(); return len(got) >= 4 })
	w.stop()
	if _, end := s.seen(); len(end) != 0 {
		t.Errorf("ended when the relay stopped: %q", end)
	}
	next := &script{places: 100}
	w.start(map[string]Handler{"k": next})
	eventually(t, "all are delivered", func() bool { _, end := next.seen(); return len(end) == 20 })
	eventually(t, "the lane is forgotten", w.empty)
}

func TestOrderOfGroups(t *testing.T) {
	var mu sync.Mutex
	failed := map[string]bool{}
	s := &script{places: 10, deliver: func(_ context.Context, d *Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if !failed[string(d.Payload)] { // everything fails once
			failed[string(d.Payload)] = true
			return errors.New("not yet")
		}
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	var want []string
	for i := range 10 {
		for _, g := range []string{"g", "h"} {
			w.emit(&Delivery{Kind: "k", Target: "a", Group: g, Payload: fmt.Appendf(nil, "%s%d", g, i), Retry: Retry{Steps: soon.Steps}})
		}
		want = append(want, fmt.Sprintf("a g%d ", i))
	}
	eventually(t, "all are delivered", func() bool { _, end := s.seen(); return len(end) == 20 })
	_, end := s.seen()
	end = slices.DeleteFunc(end, func(e string) bool { return e[2] == 'h' })
	if !slices.Equal(end, want) {
		t.Errorf("group g ended as %q", end)
	}
}

// A failed transaction emits nothing, and a hint that is lost costs a moment only.
func TestTransaction(t *testing.T) {
	s := &script{}
	w := newWorld(t, map[string]Handler{"k": s})
	oops := errors.New("oops")
	err := w.db.Update(t.Context(), func(tx store.Tx) error {
		if err := w.out.Emit(tx, &Delivery{Kind: "k", Target: "a", Scope: here}); err != nil {
			return err
		}
		return oops
	})
	if !errors.Is(err, oops) || !w.empty() {
		t.Errorf("got %v", err)
	}
	if err := w.db.Update(t.Context(), func(tx store.Tx) error {
		return w.out.Emit(tx, &Delivery{Kind: "k", Target: "a", Scope: here})
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is delivered though nobody woke the relay", func() bool { _, end := s.seen(); return len(end) == 1 })
	for _, bad := range []*Delivery{{Target: "a", Scope: here}, {Kind: "k", Scope: here}, {Kind: "k", Target: "a"}, {
		Kind: "k", Target: "a", Scope: here, Payload: make([]byte, MaxPayload+1),
	}} {
		if err := w.db.Update(t.Context(), func(tx store.Tx) error { return w.out.Emit(tx, bad) }); err == nil {
			t.Errorf("emitted %+v", bad.Kind)
		}
	}
}

func TestAfter(t *testing.T) {
	r := Retry{Steps: []time.Duration{time.Minute, 2 * time.Minute}, Longest: 10 * time.Minute}
	var got []time.Duration
	for n := range 6 {
		got = append(got, r.after(n))
	}
	want := []time.Duration{time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute}
	if !slices.Equal(got, want) {
		t.Errorf("waits %v, want %v", got, want)
	}
	for n := 1; n < 100; n++ {
		if w := (Retry{Jitter: true}).after(n); w < time.Second/2 || w > longest {
			t.Errorf("wait %d is %v", n, w)
		}
	}
}

func TestBacklog(t *testing.T) {
	hold := make(chan struct{})
	s := &script{deliver: func(ctx context.Context, _ *Delivery) error {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return ctx.Err()
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	for range 7 {
		w.emit(&Delivery{Kind: "k", Target: "a"})
	}
	counts, err := w.relay.metrics.backlog.count()
	if err != nil || counts["k"] != 7 {
		t.Errorf("the backlog is %v, %v", counts, err)
	}
	close(hold)
	eventually(t, "nothing is on its way", func() bool {
		counts, err := w.relay.metrics.backlog.count()
		return err == nil && counts["k"] == 0
	})
}

// What a delivery causes and cannot be stored is no reason to make it again.
func TestUnstorable(t *testing.T) {
	big := func(d *Delivery) *Delivery {
		return &Delivery{Kind: "dlq", Target: "big", Scope: d.Scope, Payload: make([]byte, MaxPayload+1)}
	}
	for name, settle := range map[string]func(*Delivery) []*Delivery{
		"too large": func(d *Delivery) []*Delivery {
			return []*Delivery{big(d), {Kind: "dlq", Target: "small", Scope: d.Scope}}
		},
		"incomplete": func(d *Delivery) []*Delivery {
			return []*Delivery{{Kind: "dlq"}, {Kind: "dlq", Target: "small", Scope: d.Scope}}
		},
		"panic": func(*Delivery) []*Delivery { panic("at the end") },
	} {
		for _, group := range []string{"", "g"} {
			t.Run(name+group, func(t *testing.T) {
				dlq := &script{}
				s := &script{settle: func(d *Delivery, _ Outcome) []*Delivery {
					if string(d.Payload) == "good" {
						return []*Delivery{{Kind: "dlq", Target: "small", Scope: d.Scope}}
					}
					return settle(d)
				}}
				w := newWorld(t, map[string]Handler{"k": s, "dlq": dlq})
				w.emit(&Delivery{Kind: "k", Target: "a", Group: group, Payload: []byte("bad")},
					&Delivery{Kind: "k", Target: "a", Group: group, Payload: []byte("good")})
				eventually(t, "nothing is on its way", w.empty)
				want := 2
				if name == "panic" {
					want = 1
				}
				got, _ := s.seen()
				if letters, _ := dlq.seen(); len(got) != 2 || len(letters) != want {
					t.Errorf("tried %q, and %q got through, want %d", got, letters, want)
				}
				reg := prometheus.NewRegistry()
				reg.MustRegister(w.relay.metrics.lost)
				families, err := reg.Gather()
				if err != nil || len(families) != 1 || families[0].GetMetric()[0].GetCounter().GetValue() != 1 {
					t.Errorf("counted as unsent are %v, %v; want one", families, err)
				}
			})
		}
	}
}

// A delivery that cannot be settled for a long time is not made again: its claim is held.
func TestSettleHoldsTheClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := &script{}
		w := newWorld(t, map[string]Handler{"k": &refusing{s, func(*Delivery) bool { return time.Since(begun) < 5*time.Minute }}})
		defer func() { w.stop(); w.close() }()
		w.emit(&Delivery{Kind: "k", Target: "a", Payload: []byte("x")})
		for !w.empty() {
			time.Sleep(time.Second)
		}
		got, end := s.seen()
		if took := time.Since(begun); len(got) != 1 || len(end) != 1 || took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("after %v: tried %q, ended %q", took, got, end)
		}
	})
}

// refusing is a handler whose Settle has an error that passes.
type refusing struct {
	*script
	refuses func(*Delivery) bool
}

func (r *refusing) Settle(tx store.Tx, d *Delivery, o Outcome) ([]*Delivery, error) {
	if r.refuses(d) {
		return nil, errors.New("not now")
	}
	return r.script.Settle(tx, d, o)
}
