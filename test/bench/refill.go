//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

const (
	refillClients = 4
	refillSlice   = 1500 * time.Millisecond
	refillEvery   = 500 * time.Millisecond
	idleOver      = 5 * time.Second
)

// refilling is the measurements of what a pool takes from functions that run: the throughput of a Go function, which takes all of
// both cores that the server and its clients leave.
type refilling struct {
	o            *options
	p            *programs
	t            *table
	pooled, bare *enfold // with booted runtimes, and without
	load         *warmth
	runtime      string
	full         int // that wait when the pool is full
	colds        int // cold starts of pooled so far
}

// refill measures what booting runtimes ahead costs functions that run, and what waiting ones cost when nothing runs.
//
// Two pairs say the first. One has no cold start at all: a waiting runtime is killed from outside twice a second, of one language
// after the other, so what the server does is remove it, refill its pool, and nothing else; the other side is the same server with
// the pool left alone. The other pair has what users see: another function is started cold twice a second, on a server with a pool
// and on one without. Each cold start needs one boot on either side, here before the invocation and at low priority, there inside
// it: what remains is what the pool adds.
func refill(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	if t.foreign {
		t.note("SKIPPED: refill of the pool: no runtime boots ahead with --isolation %s.", e.isolation)
		return nil
	}
	in, ok := p.interpreters[runtimes.Python]
	if !ok {
		t.note("SKIPPED: refill of the pool: no %s on this host.", runtimes.Python)
		return nil
	}
	r := &refilling{o: o, p: p, t: t, runtime: in.Runtime, load: &warmth{o: o, p: p}}
	if r.pooled, err = startOn(ctx, p, e.isolation, filepath.Join(p.dir, "data-refill")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.pooled.stop()) }()
	if r.bare, err = startOn(ctx, p, e.isolation, filepath.Join(p.dir, "data-refill-none"), "--prewarm", "0"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.bare.stop()) }()
	for _, server := range []*enfold{r.pooled, r.bare} {
		if err := r.deploy(ctx, server); err != nil {
			return err
		}
	}
	for _, measure := range []func(context.Context) error{r.idle, r.alone, r.withColdStarts} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deploy makes the Go function and one of every language on this host, so that a pool has all of them waiting.
func (r *refilling) deploy(ctx context.Context, e *enfold) error {
	if err := e.create(ctx, r.p.path("hello")); err != nil {
		return err
	}
	for _, l := range languages {
		if in, ok := r.p.interpreters[l.family]; ok {
			if err := e.createManaged(ctx, string(l.family), in.Runtime, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// idle measures the processor time of a server that has nothing to do, and of all that waits in its pools.
func (r *refilling) idle(ctx context.Context) error {
	for _, in := range r.p.interpreters {
		if err := r.pooled.ready(ctx, in.Runtime); err != nil {
			return err
		}
	}
	n, err := r.pooled.rested(ctx)
	if err != nil {
		return err
	}
	var shares []float64
	for range 3 {
		used, err := r.pooled.usedOver(ctx, idleOver/3)
		if err != nil {
			return err
		}
		shares = append(shares, 100*used.Seconds()/(idleOver/3).Seconds())
	}
	waiting, err := r.pooled.booted()
	if err != nil {
		return err
	}
	r.full = len(waiting)
	share := (shares[0] + shares[1] + shares[2]) / 3
	r.t.add(row{
		what: "processor time of an idle server with full pools", got: fmt.Sprintf("%.2f %%", share), value: share, target: atMost(1, "% of a core"),
		beside: fmt.Sprintf("over %v; %.2f–%.2f; %d processes, %d booted runtimes", idleOver, slices.Min(shares), slices.Max(shares), n, len(waiting)),
	})
	return nil
}

// usedOver is the processor time of a server and all its processes in a while from now. One that begins and ends in it is its
// parent's, if that waits for it.
func (s *server) usedOver(ctx context.Context, d time.Duration) (time.Duration, error) {
	before, err := s.used()
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, d); err != nil {
		return 0, err
	}
	after, err := s.used()
	if err != nil {
		return 0, err
	}
	sum := time.Duration(0)
	for pid, t := range after {
		sum += t - before[pid] // a new one has none before
	}
	return sum, nil
}

// used is the processor time of every process of a server.
func (s *server) used() (map[int]time.Duration, error) {
	tree, err := s.tree()
	if err != nil {
		return nil, err
	}
	used := map[int]time.Duration{}
	for _, m := range tree {
		if t, err := m.processorTime(); err == nil { // else it is gone
			used[m.pid] = t
		}
	}
	if used[s.cmd.Process.Pid] == 0 {
		return nil, errors.New("the server's processor time cannot be read")
	}
	return used, nil
}

// booted are the processes of a server that have booted a language runtime ahead. It must not have claimed one: that one's
// environment, as the kernel shows it, is still the same.
func (s *server) booted() ([]member, error) {
	tree, err := s.tree()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tree, func(m member) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.pid))
		return err != nil || !bytes.Contains(env, []byte("_ENFOLD_WARM=1"))
	}), nil
}

// throughput is of the Go function.
func (r *refilling) throughput(ctx context.Context, e *enfold) (float64, error) {
	o := *r.o
	o.slice = refillSlice
	r.load.o = &o
	report, err := r.load.load(ctx, side{name: e.address, args: []string{"--mode", "lambda", "--function", functionName, "--address", e.address}}, refillClients)
	if err != nil {
		return 0, err
	}
	return report.PerSecond, nil
}

// beside is the throughput of the Go function while something is done every refillEvery.
func (r *refilling) beside(ctx context.Context, e *enfold, do func(context.Context) error) (float64, error) {
	loaded, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		defer cancel() // what fails ends the load too
		tick := time.NewTicker(refillEvery)
		defer tick.Stop()
		for {
			select {
			case <-loaded.Done():
				failed <- nil
				return
			case <-tick.C:
			}
			if err := do(ctx); err != nil {
				failed <- err
				return
			}
		}
	}()
	rate, err := r.throughput(loaded, e)
	cancel()
	if other := <-failed; other != nil {
		return 0, other
	}
	return rate, err
}

// alone measures a refill that no cold start has caused.
func (r *refilling) alone(ctx context.Context) error {
	if r.full == 0 {
		r.t.note("SKIPPED: refill of the pool without cold starts: this user may not see which processes wait.")
		return nil
	}
	var ps pairs
	killed := 0
	for i := range r.o.rounds {
		got := [2]float64{}
		for j := range got {
			if err := r.refilled(ctx); err != nil {
				return err
			}
			j := (j + i) % 2
			var err error
			if j == 0 {
				got[j], err = r.beside(ctx, r.pooled, func(context.Context) error { killed++; return r.pooled.killOldest() })
			} else {
				got[j], err = r.throughput(ctx, r.pooled)
			}
			if err != nil {
				return err
			}
		}
		ps.add(got[0], got[1])
	}
	r.t.add(ps.row(fmt.Sprintf("%d clients of a Go function while the pool refills, against a pool left alone", refillClients), "%.0f/s", atLeast(0.95),
		fmt.Sprintf("%d runtimes of %d languages killed", killed, r.full)))
	return nil
}

// refilled waits until as many wait as before.
func (r *refilling) refilled(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
		waiting, err := r.pooled.booted()
		if err != nil || len(waiting) >= r.full {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d runtimes wait, not %d", len(waiting), r.full)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// killOldest kills one that waits: the one that has waited longest, as far as process ids tell.
func (s *server) killOldest() error {
	waiting, err := s.booted()
	if err != nil || len(waiting) == 0 {
		return err
	}
	oldest := slices.MinFunc(waiting, func(a, b member) int { return a.pid - b.pid })
	if err := syscall.Kill(oldest.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill a waiting runtime: %w", err)
	}
	return nil
}

// withColdStarts measures cold starts of another function with a pool and without.
func (r *refilling) withColdStarts(ctx context.Context) error {
	var ps pairs
	begun, err := r.pooled.claims(ctx)
	if err != nil {
		return err
	}
	for i := range r.o.rounds {
		order := []*enfold{r.bare, r.pooled}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		rate := map[*enfold]float64{}
		for _, e := range order {
			if rate[e], err = r.beside(ctx, e, func(ctx context.Context) error { return r.coldStart(ctx, e) }); err != nil {
				return err
			}
		}
		ps.add(rate[r.pooled], rate[r.bare])
	}
	claimed, err := r.pooled.claims(ctx)
	if err != nil {
		return err
	}
	r.t.add(ps.row(fmt.Sprintf("%d clients of a Go function beside two cold starts of %s a second, against the same without booted runtimes", refillClients, r.runtime),
		"%.0f/s", atLeast(0.95), fmt.Sprintf("%d of %d cold starts found one", claimed-begun, r.colds)))
	return nil
}

// coldStart invokes the Python function without a sandbox.
func (r *refilling) coldStart(ctx context.Context, e *enfold) error {
	name := string(runtimes.Python)
	if e == r.pooled {
		r.colds++
	}
	if err := e.configure(ctx, name, time.Now().String()); err != nil {
		return err
	}
	_, _, err := e.invoke(ctx, name)
	return err
}

// claims is how many cold starts have found a booted runtime so far.
func (e *enfold) claims(ctx context.Context) (n int, err error) {
	value, err := e.metric(ctx, "enfold_ready_claims_total")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(value)
}
