//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

// awhile is for how long sandboxes stay idle on the server of snapshots, so that a published version, which cannot be changed, has cold
// starts too.
const awhile = 200 * time.Millisecond

var restoreDuration = regexp.MustCompile(`Restore Duration: ([0-9.]+) ms`)

//go:embed testdata/imports.py
var importsCode []byte

// Slow.class is what javac --release 11 makes of Slow.java.
//
//go:embed testdata/Slow.class
var slowClass []byte

// A heavy function is one whose Init phase takes long.
type heavy struct {
	family  runtimes.Family
	what    string
	handler string
	file    string
	code    []byte
	target  target
	ahead   bool // what was restored ahead is measured
	oldest  int  // version of the interpreter that has SnapStart: the number behind the last dot
}

var heavies = []heavy{
	{family: runtimes.Python, what: "20 imports", handler: "imports.handler", file: "imports.py", code: importsCode, target: atMost(0.4, "×"), oldest: 12},
	{family: runtimes.Java, what: "a second of work", handler: "Slow::handleRequest", file: "Slow.class", code: slowClass, target: atMost(0.25, "×"), oldest: 11},
}

// snapshots measures what it takes to restore a published version with SnapStart, for an invocation, against the cold start of $LATEST,
// which has none, in the same kind of sandbox: from the disk, on a server that keeps nothing ready, and then out of the sandbox that was
// restored ahead.
func snapshots(ctx context.Context, o *options, p *programs, _ *enfold, t *table) error {
	if err := snapshotsOn(ctx, o, p, t, false); err != nil {
		return err
	}
	return snapshotsOn(ctx, o, p, t, true)
}

func snapshotsOn(ctx context.Context, o *options, p *programs, t *table, ahead bool) (err error) {
	args := []string{"--idle-time", awhile.String()}
	if !ahead {
		args = append(args, "--prewarm", "0")
	}
	s, err := startOn(ctx, p, "gvisor", filepath.Join(p.dir, fmt.Sprint("data-snapshots-", ahead)), args...)
	if errors.Is(err, errNotReady) {
		t.note("SKIPPED: SnapStart: --isolation gvisor does not work here:\n  %s", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.createRole(ctx); err != nil {
		return err
	}
	for _, h := range heavies {
		in, ok := p.interpreters[h.family]
		if !ok || !h.snaps(in.Runtime) {
			t.note("SKIPPED: SnapStart of %s: this host has none that is new enough.", h.family)
			continue
		}
		h.ahead = ahead
		if err := h.measure(ctx, o, s, t, in.Runtime); err != nil {
			return fmt.Errorf("%s with %s: %w", in.Runtime, h.what, err)
		}
	}
	return nil
}

// snaps says whether a runtime has SnapStart.
func (h heavy) snaps(runtime string) bool {
	n, err := strconv.Atoi(runtime[strings.LastIndexAny(runtime, ".a")+1:]) // python3.12, java17
	return err == nil && n >= h.oldest
}

func (h heavy) measure(ctx context.Context, o *options, s *enfold, t *table, runtime string) error {
	code, err := zipped(h.file, h.code)
	if err != nil {
		return err
	}
	name := "snap-" + string(h.family)
	if err := s.createFunction(ctx, map[string]any{
		"FunctionName": name, "Runtime": runtime, "Handler": h.handler, "Code": map[string]any{"ZipFile": code},
		"SnapStart": map[string]any{"ApplyOn": "PublishedVersions"},
	}); err != nil {
		return err
	}
	if _, err := s.call(ctx, "POST", functionPath(name)+"/versions", []byte("{}")); err != nil {
		return fmt.Errorf("publish a version: %w", err)
	}
	if err := s.settled(ctx, name+":1"); err != nil {
		return err
	}
	var ps pairs
	var restores, inits []float64
	for range o.rounds {
		restored, restore, err := s.coldAgain(ctx, name+":1", restoreDuration)
		if err != nil {
			return err
		}
		took, init, err := s.coldAgain(ctx, name, initDuration)
		if err != nil {
			return err
		}
		ps.add(restored, took)
		restores, inits = append(restores, restore), append(inits, init)
	}
	where, target := "from the disk", h.target
	if h.ahead {
		where, target = "ahead", stated
	}
	t.add(ps.row("restored "+where+", "+runtime+" with "+h.what+", against its cold start, both by gVisor", "%.0f ms", target,
		fmt.Sprintf("REPORT's Restore Duration %.0f ms, Init Duration %.0f ms", median(restores), median(inits))))
	return nil
}

// coldAgain waits until a function has no sandbox and invokes it. The other figure is REPORT's. Both are milliseconds.
func (e *enfold) coldAgain(ctx context.Context, name string, duration *regexp.Regexp) (took, reported float64, err error) {
	if err := sleep(ctx, 2*awhile+settling); err != nil {
		return 0, 0, err
	}
	a, log, err := e.invoke(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	m := duration.FindStringSubmatch(log)
	if m == nil {
		return 0, 0, fmt.Errorf("no %s in the log %q", duration, log)
	}
	reported, err = strconv.ParseFloat(m[1], 64)
	return float64(a.took.Microseconds()) / 1000, reported, err
}
