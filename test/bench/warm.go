//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/enfold-run/enfold/test/floor"
)

// side is one of the things that load is sent to.
type side struct {
	name string
	args []string
	env  []string // credentials; nil: the root user's
}

// warm measures invocations of functions that run already.
func warm(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	relay, err := serve(ctx, nil, p.path("relay"), "--function", p.path("hello"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.stop()) }()
	echo, err := serve(ctx, nil, p.path("echo"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, echo.stop()) }()
	w := &warmth{
		o: o, p: p,
		enfold: side{name: "Enfold", args: []string{"--mode", "lambda", "--function", functionName, "--address", e.address}},
		relay:  side{name: "F", args: []string{"--address", relay.line}},
		echo:   side{name: "H", args: []string{"--address", echo.line}},
	}
	if err := w.latency(ctx, t); err != nil {
		return err
	}
	if err := w.throughput(ctx, t); err != nil {
		return err
	}
	if err := w.authorized(ctx, e, t); err != nil {
		return err
	}
	return w.crowds(ctx, t)
}

// warmth is the warm measurements.
type warmth struct {
	o                   *options
	p                   *programs
	enfold, relay, echo side
	user                side // Enfold, called by a user with policies
	failures            []string
	errors              int // of Enfold
}

// load runs one slice. Errors of Enfold are counted, errors of a floor are the benchmark's.
func (w *warmth) load(ctx context.Context, s side, clients int) (*floor.Report, error) {
	args := append([]string{"--clients", strconv.Itoa(clients), "--duration", w.o.slice.String(), "--warmup", "20", "--body", event}, s.args...)
	env := s.env
	if env == nil {
		env = environment()
	}
	r, err := w.p.report(ctx, env, "load", args...)
	if err != nil {
		return nil, err
	}
	if r.Errors > 0 && s.name != w.enfold.name && s.name != w.user.name {
		return nil, fmt.Errorf("%s: %d errors: %s", s.name, r.Errors, r.FirstError)
	}
	if r.Errors > 0 {
		w.errors += r.Errors
		w.failures = append(w.failures, fmt.Sprintf("%d of %d at %d clients: %s", r.Errors, r.Requests, clients, r.FirstError))
	}
	if r.PerSecond == 0 {
		return nil, fmt.Errorf("%s: no request of %d succeeded: %s", s.name, r.Requests, r.FirstError)
	}
	return r, nil
}

// pair runs Enfold, F and H, every other round in the opposite order.
func (w *warmth) pair(ctx context.Context, round, clients int) (enfold, relay, echo *floor.Report, err error) {
	order := []struct {
		side side
		to   **floor.Report
	}{{w.relay, &relay}, {w.echo, &echo}, {w.enfold, &enfold}}
	if round%2 == 1 {
		order[0], order[2] = order[2], order[0]
	}
	for _, x := range order {
		if *x.to, err = w.load(ctx, x.side, clients); err != nil {
			return nil, nil, nil, err
		}
	}
	return enfold, relay, echo, nil
}

func (w *warmth) latency(ctx context.Context, t *table) error {
	var p pairs
	var h, p99, f99 []float64
	for i := range w.o.rounds {
		enfold, relay, echo, err := w.pair(ctx, i, 1)
		if err != nil {
			return err
		}
		p.add(enfold.P50, relay.P50)
		h, p99, f99 = append(h, echo.P50), append(p99, enfold.P99), append(f99, relay.P99)
	}
	t.add(p.row("warm Invoke, 1 client, p50, against F", "%.0f µs", atMost(1.3, "×"),
		fmt.Sprintf("p99 %.0f µs, F's %.0f; H %.0f µs", median(p99), median(f99), median(h))))
	return nil
}

func (w *warmth) throughput(ctx context.Context, t *table) error {
	var p pairs
	var h []float64
	for i := range w.o.rounds {
		enfold, relay, echo, err := w.pair(ctx, i, 16)
		if err != nil {
			return err
		}
		p.add(enfold.PerSecond, relay.PerSecond)
		h = append(h, echo.PerSecond)
	}
	t.add(p.row("warm Invoke, 16 clients, against F", "%.0f/s", atLeast(0.8), fmt.Sprintf("H %.0f/s", median(h))))
	return nil
}

// crowds looks for errors. Those of the rounds before count too.
func (w *warmth) crowds(ctx context.Context, t *table) error {
	requests := 0
	for _, clients := range []int{2, 16, 64} {
		r, err := w.load(ctx, w.enfold, clients)
		if err != nil {
			return err
		}
		requests += r.Requests
	}
	t.add(row{
		what: "errors at 2, 16 and 64 clients", got: strconv.Itoa(w.errors), value: float64(w.errors), target: atMost(0, ""),
		beside: fmt.Sprintf("of %d invocations and the rounds above", requests),
	})
	for _, f := range w.failures {
		t.note("errors: %s", f)
	}
	return nil
}
