//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

const (
	kernelCalls = 200     // warm invocations of each side in a round
	kernelSums  = 5       // invocations that compute, of each side in a round
	sumsEach    = 2000000 // additions in one
)

// sumsCode adds up as many numbers as the event says.
const sumsCode = `
def handler(event, context):
    total = 0
    for i in range(event["n"]):
        total += i
    return total
`

// kernels measures functions under gVisor: the first answer of a runtime that has booted there, against the bare exec of the
// interpreter; and invocations that do nothing, and that compute, against the same under namespaces.
func kernels(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	in, ok := p.interpreters[runtimes.Python]
	if t.foreign || !ok {
		t.note("SKIPPED: gVisor: it takes Python and namespaces to compare with, which do not work here.")
		return nil
	}
	s, err := startOn(ctx, p, "gvisor", filepath.Join(p.dir, "data-gvisor"))
	if errors.Is(err, errNotReady) {
		t.note("SKIPPED: gVisor: --isolation gvisor does not work here:\n  %s", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.createRole(ctx); err != nil {
		return err
	}
	l := languages[0]
	l.target, l.where = atMost(1, "×"), " by gVisor"
	if err := l.measure(ctx, o, p, s, t, in); err != nil {
		return fmt.Errorf("%s: %w", in.Runtime, err)
	}
	return sums(ctx, o, s, e, t, in.Runtime)
}

// sums measures a function on both servers.
func sums(ctx context.Context, o *options, s, e *enfold, t *table, runtime string) error {
	const name = "sums"
	code, err := zipped("sums.py", []byte(sumsCode))
	if err != nil {
		return err
	}
	for _, server := range []*enfold{s, e} {
		if err := server.createFunction(ctx, map[string]any{
			"FunctionName": name, "Runtime": runtime, "Handler": "sums.handler", "Code": map[string]any{"ZipFile": code},
			"MemorySize": 3538, "Timeout": 60, // two cores
		}); err != nil {
			return err
		}
		defer server.call(ctx, "DELETE", functionPath(name), nil)
	}
	for _, part := range []struct {
		what, event string
		calls       int
	}{
		{"warm Invoke", `{"n":0}`, kernelCalls},
		{"Invoke that adds up " + fmt.Sprint(sumsEach) + " numbers", fmt.Sprintf(`{"n":%d}`, sumsEach), kernelSums},
	} {
		var ps pairs
		for range o.rounds {
			var took [2]float64
			for i, server := range []*enfold{s, e} {
				if took[i], err = server.timed(ctx, name, part.event, part.calls); err != nil {
					return fmt.Errorf("%s: %w", part.what, err)
				}
			}
			ps.add(took[0], took[1])
		}
		t.add(ps.row(part.what+" of "+runtime+" by gVisor, against the same by namespaces", "%.2f ms", stated, ""))
	}
	return nil
}

// timed is the median of invocations, one after the other, in milliseconds. The first is not counted.
func (e *enfold) timed(ctx context.Context, name, event string, calls int) (float64, error) {
	var took []float64
	for i := range calls + 1 {
		begun := time.Now()
		if _, _, err := e.invokeWith(ctx, name, event); err != nil {
			return 0, err
		}
		if i > 0 {
			took = append(took, float64(time.Since(begun).Microseconds())/1000)
		}
	}
	return median(took), nil
}
