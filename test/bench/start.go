//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// idleFor is how long a server is left alone before its memory is read.
const idleFor = 3 * time.Second

// start measures a server's start on the data directory that the other measurements left, and what it holds when idle.
func start(ctx context.Context, o *options, p *programs, e *enfold, t *table) error {
	var ps pairs
	for i := range o.rounds {
		ours, theirs, err := startPair(ctx, p, e.isolation)
		if err != nil {
			return err
		}
		if i > 0 { // the first brings the binaries into the page cache
			ps.add(ours, theirs)
		}
	}
	t.add(ps.row("start to first answer, against H's", "%.1f ms", atMost(5, "×"), "on an existing data directory"))
	return idle(ctx, p, e.isolation, t)
}

// startPair is the milliseconds from exec to the first answered request.
func startPair(ctx context.Context, p *programs, isolation string) (ours, theirs float64, err error) {
	if err := sleep(ctx, settling); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	echo, err := serve(ctx, nil, p.path("echo"))
	if err != nil {
		return 0, 0, err
	}
	err = first("http://"+echo.line+"/", http.MethodPost)
	theirs = millis(time.Since(begun))
	if stopped := echo.stop(); err != nil || stopped != nil {
		return 0, 0, fmt.Errorf("echo: %w", orElse(err, stopped))
	}
	if err := sleep(ctx, settling); err != nil {
		return 0, 0, err
	}
	begun = time.Now()
	e, err := startEnfold(ctx, p, isolation)
	if err != nil {
		return 0, 0, err
	}
	err = first("http://"+e.address+"/_enfold/health", http.MethodGet)
	ours = millis(time.Since(begun))
	return ours, theirs, orElse(err, e.stop())
}

// first sends a request on a connection of its own.
func first(url, method string) error {
	req, err := http.NewRequest(method, url, strings.NewReader(event))
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

func idle(ctx context.Context, p *programs, isolation string, t *table) error {
	e, err := startEnfold(ctx, p, isolation)
	if err != nil {
		return err
	}
	err = sleep(ctx, idleFor)
	var mib float64
	if err == nil {
		mib, err = e.residentMiB()
	}
	if stopped := e.stop(); err != nil || stopped != nil {
		return orElse(err, stopped)
	}
	t.add(row{
		what: "memory of an idle server (VmRSS)", got: fmt.Sprintf("%.1f MiB", mib), value: mib, target: atMost(40, "MiB"),
		beside: fmt.Sprintf("one function, %v after its start", idleFor),
	})
	return nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
