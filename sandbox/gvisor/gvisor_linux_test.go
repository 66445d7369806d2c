//go:build amd64 || arm64

package gvisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func open(t testing.TB) *Driver { return openWith(t, Options{NoStock: true}) }

func openWith(t testing.TB, o Options) *Driver {
	t.Helper()
	program, err := filepath.Abs("../../bin/" + programName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		program = "" // beside the test or in PATH
	}
	o.Program, o.Log = program, slog.New(slog.DiscardHandler)
	d, err := New(o)
	if errors.Is(err, sandbox.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	var opened drivers
	e := sandboxtest.Expect{Isolated: true, OwnIDs: true, OwnKernel: true, Pids: opened.pids, Harmless: harmless}
	d := open(t)
	if e.Limited = d.tree != nil; !e.Limited {
		e.Why = "this user may make no control groups"
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	sandboxtest.Run(t, e, func(t testing.TB) sandbox.Driver { return opened.add(open(t)) })
}

// harmless are attempts that reach something of gVisor's kernel, which is the sandbox's own, where on the host's kernel they would reach
// something of everybody's. See the package.
var harmless = map[string]string{
	"planted-device": "a device node, wherever it lies, is gVisor's own device of that number, and it has no more than /dev shows",
	"priority":       "a process's priority counts among the sandbox's own alone",
	"own-terminal":   "/dev/pts is gVisor's own, and every sandbox has one",
	"oom-score":      "the score is gVisor's, and the host's kernel does not hear of it",
	"sys-read":       "/sys is made by gVisor, and tells how many processors there are",
	"weak-mounts":    "gVisor's root has no mark against setuid programs, which it never obeys, nor against devices",
}

// drivers are those that a suite has opened.
type drivers struct {
	mu  sync.Mutex
	all []*Driver
}

func (d *drivers) add(one *Driver) *Driver {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
	return one
}

// pids asks every gVisor for processes that have a word among their arguments: the host does not see them. For each of them it has the
// process id of its gVisor.
func (d *drivers) pids(word string) (pids []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.all {
		one.mu.Lock()
		boxes := make([]*box, 0, len(one.boxes))
		for _, s := range one.boxes {
			boxes = append(boxes, s)
		}
		one.mu.Unlock()
		for _, s := range boxes {
			var ps []struct {
				Args []string `json:"args"`
			}
			if s.keeper == nil || s.keeper.call("containerManager.ProcfsDump", struct{}{}, &ps) != nil {
				continue // it is gone, and all its processes with it
			}
			for _, p := range ps {
				if slices.Contains(p.Args, word) {
					pids = append(pids, sentry(s))
				}
			}
		}
	}
	return pids
}

// sentry is a process of gVisor's that has the user id of a sandbox.
func sentry(s *box) (pid int) {
	for _, f := range processesOf(s.id) {
		if _, err := fmt.Sscanf(f, "/proc/%d/status", &pid); err == nil {
			return pid
		}
	}
	return 0
}

func TestConformanceWithImage(t *testing.T) {
	var opened drivers
	e := sandboxtest.Expect{Isolated: true, OwnIDs: true, OwnKernel: true, Stock: true, Pids: opened.pids, Harmless: harmless, Only: withImage}
	sandboxtest.RunImage(t, e, func(t testing.TB) sandbox.Driver { return opened.add(open(t)) })
}

func TestConformanceAhead(t *testing.T) {
	var opened drivers
	e := sandboxtest.Expect{Isolated: true, OwnIDs: true, OwnKernel: true, Stock: true, Pids: opened.pids, Harmless: harmless, Only: ahead}
	sandboxtest.RunAhead(t, e, func(t testing.TB) sandbox.Warmer { return opened.add(open(t)) })
}

// withImage and ahead are what an image, and having waited, can change: the rest is as TestConformance has it, and takes minutes.
var (
	withImage = []string{"CannotStart", "View", "Mounts", "BadSpecs", "Restart", "Destroy", "Escape"}
	ahead     = []string{
		"Output", "Flood", "View", "Environment", "Mounts", "Listener", "APIListener", "Tmp", "Kill", "Terminate", "Restart", "Destroy", "Tenants", "Calls",
	}
)
