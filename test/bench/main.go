//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// longest is when a run gives up. It takes about nine minutes.
const longest = 20 * time.Minute

// options are the flags.
type options struct {
	enfold string
	rounds int
	slice  time.Duration
	only   string // one part; all if empty
}

func main() {
	var o options
	flag.StringVar(&o.enfold, "enfold", "bin/enfold", "the binary to measure")
	flag.IntVar(&o.rounds, "rounds", 7, "of every pair; at least 3")
	flag.DurationVar(&o.slice, "slice", 700*time.Millisecond, "how long each side of a warm pair runs in a round")
	flag.StringVar(&o.only, "only", "", "measure one part alone: warm, cold, prewarmed, clients, burst, refill, density, events, images, gvisor, snapshots, start or many")
	flag.Parse()
	if o.rounds < 3 || o.slice <= 0 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: bench [--enfold PATH] [--rounds N] [--slice DURATION]; at least 3 rounds")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	err := run(ctx, &o)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything, and prints what it has even if it cannot go on.
func run(ctx context.Context, o *options) (err error) {
	dir, err := os.MkdirTemp("", "enfold-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := build(ctx, dir, o.enfold)
	if err != nil {
		return err
	}
	t := &table{}
	err = measure(ctx, o, p, t)
	t.print(os.Stdout)
	return err
}

func measure(ctx context.Context, o *options, p *programs, t *table) (err error) {
	e, err := deploy(ctx, p, t)
	if err != nil {
		return err
	}
	running := true
	defer func() {
		if running {
			err = errors.Join(err, e.stop())
		}
	}()
	for _, part := range []struct {
		name    string
		measure func(context.Context, *options, *programs, *enfold, *table) error
	}{
		{"warm", warm},
		{"cold", cold},
		{"prewarmed", prewarmed},
		{"clients", clients},
		{"burst", burst},
		{"refill", refill},
		{"density", density},
		{"events", events},
		{"images", images},
		{"gvisor", kernels},
		{"snapshots", snapshots},
	} {
		if o.wants(part.name) {
			if err := part.measure(ctx, o, p, e, t); err != nil {
				return err
			}
		}
	}
	running = false
	if err := e.stop(); err != nil {
		return err
	}
	if o.wants("start") {
		if err := start(ctx, o, p, e, t); err != nil {
			return err
		}
	}
	if !o.wants("many") {
		return nil
	}
	return many(ctx, o, p, e.isolation, t)
}

// wants says that a part is to be measured.
func (o *options) wants(part string) bool { return o.only == "" || o.only == part }
