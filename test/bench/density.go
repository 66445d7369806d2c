//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/enfold-run/enfold/runtimes"
)

const (
	registered    = 10_000 // functions
	sandboxes     = 1000   // functions that are called: as many sandboxes as a server has at most
	densityMemory = 128
	// densityNeeds is the memory that must be available, in MiB: some 8 for each sandbox, and as much again of what is not counted
	// here, so that the host has some left.
	densityNeeds = 14 << 10
)

// dense is a server with many functions.
type dense struct {
	*enfold
	t       *table
	runtime string
	code    []byte
}

// density measures what functions cost that nobody calls, and sandboxes that wait.
func density(ctx context.Context, _ *options, p *programs, e *enfold, t *table) error {
	in, ok := p.interpreters[runtimes.Python]
	if !ok {
		t.note("SKIPPED: many functions and sandboxes: no %s on this host.", runtimes.Python)
		return nil
	}
	free, err := availableMiB()
	if err != nil {
		return err
	}
	if free < densityNeeds {
		t.note("SKIPPED: %d sandboxes: %d MiB of memory are available, and %d are needed.", sandboxes, free, densityNeeds)
		return nil
	}
	d := &dense{t: t, runtime: in.Runtime}
	l := languages[0]
	handler, err := os.ReadFile(filepath.Join("examples/hello", l.code))
	if err != nil {
		return err
	}
	if d.code, err = zipped(filepath.Base(l.code), handler); err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data-density")
	start := func() (err error) { d.enfold, err = startOn(ctx, p, e.isolation, data); return err }
	if err := start(); err != nil {
		return err
	}
	empty, err := d.registers(ctx)
	if err = errors.Join(err, d.stop()); err != nil {
		return err
	}
	if err := start(); err != nil {
		return err
	}
	return errors.Join(d.sandboxes(ctx, empty), d.stop())
}

// registers measures the memory of functions that were only made, and answers that of a server without any, in MiB.
func (d *dense) registers(ctx context.Context) (empty float64, err error) {
	if err := d.createRole(ctx); err != nil {
		return 0, err
	}
	if err := d.createDense(ctx, registered); err != nil { // starts the pool: what it holds is not the functions'
		return 0, err
	}
	if empty, err = d.restMiB(ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := each(ctx, 16, registered, d.createDense); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	full, err := d.restMiB(ctx)
	if err != nil {
		return 0, err
	}
	kib := (full - empty) * 1024 / registered
	d.t.add(row{
		what: fmt.Sprintf("server's memory for each of %d functions, never called", registered), got: fmt.Sprintf("%.2f KiB", kib), value: kib,
		target: atMost(8, "KiB"), beside: fmt.Sprintf("VmRSS %.1f MiB, %.1f without; made in %.1f s", full, empty, took.Seconds()),
	})
	return empty, nil
}

// restMiB is the server's memory when it was left alone.
func (d *dense) restMiB(ctx context.Context) (float64, error) {
	if err := sleep(ctx, idleFor); err != nil {
		return 0, err
	}
	return d.residentMiB()
}

func denseName(i int) string { return fmt.Sprintf("function-%d", i) }

func (d *dense) createDense(ctx context.Context, i int) error {
	return d.register(ctx, map[string]any{
		"FunctionName": denseName(i), "Runtime": d.runtime, "Handler": languages[0].handler, "MemorySize": densityMemory,
		"Code": map[string]any{"ZipFile": d.code},
	})
}

// each works on 0 to n-1, with some clients.
func each(ctx context.Context, clients, n int, work func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for c := range clients {
		g.Go(func() error {
			for i := c; i < n; i += clients {
				if err := work(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// holding is the memory of a server and of its sandboxes, in bytes.
type holding struct {
	server  float64
	first   int64 // of the first processes of all sandboxes
	inside  int64 // of what runs in them
	members int   // first processes
}

// holds reads the memory of a server that was left alone.
func (d *dense) holds(ctx context.Context) (h holding, err error) {
	mib, err := d.restMiB(ctx)
	if err != nil {
		return h, err
	}
	h.server = mib * (1 << 20)
	tree, err := d.tree()
	if err != nil {
		return h, err
	}
	for _, m := range tree {
		if m.pid == d.cmd.Process.Pid {
			continue
		}
		pss, err := m.pss()
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // it is gone
		case err != nil:
			return h, err
		case m.first():
			h.first, h.members = h.first+pss, h.members+1
		default:
			h.inside += pss
		}
	}
	return h, nil
}

// sandboxes measures many that are idle, and has all of them answer.
func (d *dense) sandboxes(ctx context.Context, empty float64) error {
	before, err := d.holds(ctx)
	if errors.Is(err, os.ErrPermission) {
		d.t.note("SKIPPED: %d sandboxes: this user may not read the memory of their first processes.", sandboxes)
		return nil
	}
	if err != nil {
		return err
	}
	freeBefore, err := availableMiB()
	if err != nil {
		return err
	}
	begun := time.Now()
	first, err := d.callAll(ctx)
	if err != nil {
		return err
	}
	made := time.Since(begun)
	after, err := d.holds(ctx)
	if err != nil {
		return err
	}
	free, err := availableMiB()
	if err != nil {
		return err
	}
	again, err := d.callAll(ctx)
	if err != nil {
		return err
	}
	d.rows(before, after, fmt.Sprintf("the host's available memory is %.1f MiB less for each", float64(freeBefore-free)/sandboxes))
	wrong := len(first.failures) + len(again.failures) + again.cold + max(sandboxes-first.cold, 0)
	d.t.add(row{
		what: fmt.Sprintf("calls of %d idle sandboxes that failed or found none", sandboxes), got: strconv.Itoa(wrong), value: float64(wrong), target: atMost(0, ""),
		beside: fmt.Sprintf("made in %.1f s; p50 %.1f ms of the cold calls, %.1f ms of the warm ones; server's VmRSS %.1f MiB with them, %.1f before, %.1f empty",
			made.Seconds(), median(first.took), median(again.took), after.server/(1<<20), before.server/(1<<20), empty),
	})
	for _, f := range slices.Concat(first.failures, again.failures)[:min(len(first.failures)+len(again.failures), 5)] {
		d.t.note("errors: %s", f)
	}
	return nil
}

func (d *dense) rows(before, after holding, beside string) {
	const mib = 1 << 20
	server, first := (after.server-before.server)/mib/sandboxes, float64(after.first-before.first)/mib/sandboxes
	inside := float64(after.inside-before.inside) / mib / sandboxes
	d.t.add(row{
		what: fmt.Sprintf("memory of a warm sandbox beside the function's own process, of %d", sandboxes), got: fmt.Sprintf("%.2f MiB", server+first), value: server + first,
		target: atMost(1, "MiB"),
		beside: fmt.Sprintf("Pss of the first process %.2f, server's VmRSS %.2f; the function's Pss %.1f; %s", first, server, inside, beside),
	})
}

// calls is what became of one call of every function.
type calls struct {
	mu       sync.Mutex
	took     []float64 // milliseconds
	cold     int
	failures []string
}

// callAll calls every function that has a sandbox, or gets one.
func (d *dense) callAll(ctx context.Context) (*calls, error) {
	c := &calls{}
	err := each(ctx, 8, sandboxes, func(ctx context.Context, i int) error {
		a, log, err := d.invoke(ctx, denseName(i))
		if err == nil && !strings.Contains(string(a.body), denseName(i)) {
			err = fmt.Errorf("%s answered %.200s", denseName(i), a.body)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.failures = append(c.failures, err.Error())
			return ctx.Err()
		}
		c.took = append(c.took, millis(a.took))
		if initDuration.MatchString(log) {
			c.cold++
		}
		return nil
	})
	if err == nil && len(c.took) == 0 {
		err = fmt.Errorf("no call succeeded: %q", c.failures[:min(len(c.failures), 3)])
	}
	return c, err
}

// availableMiB is the host's available memory.
func availableMiB() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); n == 1 {
			return kb >> 10, nil
		}
	}
	return 0, errors.New("meminfo has no MemAvailable")
}
