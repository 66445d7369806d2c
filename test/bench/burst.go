//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

const (
	burstName   = "burst"
	burstSize   = 200
	burstMemory = 128
	burstRounds = 3
	// burstPause is how long the handler sleeps: longer than the last request takes to arrive, so that none finds a sandbox.
	burstPause = 3 * time.Second
)

//go:embed testdata/pause.py
var pauseCode []byte

// burst measures many cold starts at once, on a server with booted runtimes against one that boots none ahead. The pool can serve
// but the first few of a burst; with the others it must not be in the way.
func burst(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	in, ok := p.interpreters[runtimes.Python]
	if !ok {
		t.note("SKIPPED: a burst of cold starts: no %s on this host.", runtimes.Python)
		return nil
	}
	bare, err := startOn(ctx, p, e.isolation, filepath.Join(p.dir, "data-burst"), "--prewarm", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	if err := bare.createRole(ctx); err != nil {
		return err
	}
	for _, server := range []*enfold{e, bare} {
		if err := server.createBurst(ctx, in.Runtime); err != nil {
			return err
		}
		defer server.call(ctx, "DELETE", functionPath(burstName), nil)
	}
	return bursts(ctx, min(o.rounds, burstRounds), e, bare, t)
}

func (e *enfold) createBurst(ctx context.Context, runtime string) error {
	code, err := zipped("pause.py", pauseCode)
	if err != nil {
		return err
	}
	return e.createFunction(ctx, map[string]any{
		"FunctionName": burstName, "Runtime": runtime, "Handler": "pause.lambda_handler", "MemorySize": burstMemory,
		"Code": map[string]any{"ZipFile": code},
	})
}

func bursts(ctx context.Context, rounds int, e, bare *enfold, t *table) error {
	var ps pairs
	var failures []string
	warm := 0
	for i := range rounds {
		order := []*enfold{bare, e}
		if i%2 == 1 {
			order[0], order[1] = e, bare
		}
		p50 := map[*enfold]float64{}
		for _, server := range order {
			b, err := server.burst(ctx, fmt.Sprintf("burst %d", i))
			if err != nil {
				return err
			}
			if len(b.took) == 0 {
				return fmt.Errorf("no cold start of %d at once succeeded: %q", burstSize, b.failures)
			}
			p50[server] = median(b.took)
			failures, warm = append(failures, b.failures...), warm+b.warm
		}
		ps.add(p50[e], p50[bare])
	}
	beside := ""
	if warm > 0 {
		beside = fmt.Sprintf("without %d that came late and found a sandbox", warm)
	}
	t.add(ps.row(fmt.Sprintf("%d cold Invokes at once, p50, against the same without booted runtimes", burstSize), "%.0f ms", atMost(1.5, "×"), beside))
	t.add(row{
		what: "errors of cold Invokes at once", got: strconv.Itoa(len(failures)), value: float64(len(failures)), target: atMost(0, ""),
		beside: fmt.Sprintf("of %d", 2*rounds*burstSize),
	})
	for _, f := range failures[:min(len(failures), 5)] {
		t.note("errors: %s", f)
	}
	return nil
}

// burstResult is what became of the invocations of one burst.
type burstResult struct {
	mu       sync.Mutex
	took     []float64 // milliseconds, without those that the handler slept
	warm     int       // found a sandbox
	failures []string
}

// burst makes the function's sandboxes obsolete, waits until nothing is left of them and the pool is full again, and invokes.
func (e *enfold) burst(ctx context.Context, description string) (*burstResult, error) {
	if err := e.configure(ctx, burstName, description); err != nil {
		return nil, err
	}
	before, err := e.rested(ctx)
	if err != nil {
		return nil, err
	}
	r := &burstResult{}
	start := make(chan struct{})
	var all sync.WaitGroup
	for range burstSize {
		all.Go(func() {
			<-start
			r.add(e.paused(ctx))
		})
	}
	close(start)
	all.Wait()
	if err := e.configure(ctx, burstName, description+" is over"); err != nil {
		return nil, err
	}
	return r, e.shrinks(ctx, before+poolGrowth)
}

// poolGrowth is how many processes more a server may have after a burst: a pool grows with the demand. Each waiting runtime has two.
const poolGrowth = 2 * 32

// rested waits until a server's pools are full, and answers how many processes it has.
func (e *enfold) rested(ctx context.Context) (int, error) {
	const quiet = 500 * time.Millisecond
	for last := -1; ; {
		tree, err := e.tree()
		if err != nil || len(tree) == last {
			return len(tree), err
		}
		last = len(tree)
		if err := sleep(ctx, quiet); err != nil {
			return 0, err
		}
	}
}

// paused invokes the function that sleeps, and answers how long that took without its sleep, in milliseconds, and whether it was cold.
func (e *enfold) paused(ctx context.Context) (ms float64, cold bool, err error) {
	a, log, err := e.invokeWith(ctx, burstName, fmt.Sprintf(`{"seconds":%g}`, burstPause.Seconds()))
	if err != nil {
		return 0, false, err
	}
	slept, err := strconv.ParseFloat(strings.TrimSpace(string(a.body)), 64)
	if err != nil {
		return 0, false, fmt.Errorf("the function answered %.100q", a.body)
	}
	return millis(a.took) - 1000*slept, initDuration.MatchString(log), nil
}

func (r *burstResult) add(ms float64, cold bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.failures = append(r.failures, err.Error())
	case !cold:
		r.warm++
	default:
		r.took = append(r.took, ms)
	}
}
