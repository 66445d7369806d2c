//go:build linux

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

const (
	coldStarts = 9 // in a round, of each side; a round's figure is their median
	// settling is before each start of either side: what the last one left to the kernel to clean up is not this one's, and a machine that
	// has rested starts a process in nearly twice the time of one that starts them without a pause.
	settling = 120 * time.Millisecond
)

var initDuration = regexp.MustCompile(`Init Duration: ([0-9.]+) ms`)

// cold measures the first invocation of a fresh sandbox, as the client sees it, against the exec of the function alone.
func cold(ctx context.Context, o *options, p *programs, e *enfold, t *table) error {
	var ps pairs
	var inits []float64
	for i := range o.rounds {
		r, err := p.report(ctx, nil, "cold", "--function", p.path("hello"), "--event", event, "--rounds", strconv.Itoa(coldStarts), "--settling", settling.String())
		if err != nil {
			return err
		}
		var took []float64
		for j := range coldStarts {
			ms, init, err := e.coldStart(ctx, fmt.Sprintf("cold start %d.%d", i, j))
			if err != nil {
				return err
			}
			took, inits = append(took, ms), append(inits, init)
		}
		ps.add(median(took), r.P50/1000)
	}
	t.add(ps.row("cold Invoke, against bare exec to first answer", "%.1f ms", atMost(1.6, "×"),
		fmt.Sprintf("REPORT's Init Duration %.1f ms", median(inits))))
	return nil
}

// coldStart makes all sandboxes obsolete and invokes. It fails if the invocation was not a cold one.
func (e *enfold) coldStart(ctx context.Context, description string) (took, init float64, err error) {
	if err := e.configure(ctx, functionName, description); err != nil {
		return 0, 0, err
	}
	return e.coldInvoke(ctx, functionName)
}

// coldInvoke invokes a function that has no sandbox, after a while. Times are in milliseconds.
func (e *enfold) coldInvoke(ctx context.Context, name string) (took, init float64, err error) {
	if err := sleep(ctx, settling); err != nil {
		return 0, 0, err
	}
	a, log, err := e.invoke(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	m := initDuration.FindStringSubmatch(log)
	if m == nil {
		return 0, 0, fmt.Errorf("an invocation after an update was not cold: %q", log)
	}
	init, err = strconv.ParseFloat(m[1], 64)
	return float64(a.took.Microseconds()) / 1000, init, err
}
