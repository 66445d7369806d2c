//go:build linux

package process

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.MaybeProbe()
	goleak.VerifyTestMain(m)
}

func open(t testing.TB) sandbox.Driver {
	t.Helper()
	d, err := New(Options{StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The control of the namespace driver's test: without isolation the attempts to escape succeed.
func TestConformance(t *testing.T) { sandboxtest.Run(t, sandboxtest.Expect{}, open) }

// An ordinary user's attempts succeed too, as far as they need no root.
func TestConformanceAsUser(t *testing.T) { sandboxtest.AsUser(t, "^TestConformance$") }

func TestPath(t *testing.T) {
	s := &box{dir: "/state/x", spec: sandbox.Spec{Mounts: []sandbox.Mount{
		{Source: "/a", Target: "/var/task"}, {Source: "/b", Target: "/var"}, {Source: "/c", Target: "/var/task"},
	}}}
	for path, want := range map[string]string{
		"/tmp": "/state/x/tmp", "/tmp/f": "/state/x/tmp/f", "/tmpfile": "/tmpfile", "/var/task": "/c", "/var/task/f": "/c/f",
		"/var/tasks": "/b/tasks", "/usr/bin": "/usr/bin",
	} {
		if got := s.Path(path); got != want {
			t.Errorf("Path(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestSweepTakesOnlyDeadServers(t *testing.T) {
	state := t.TempDir()
	d, err := New(Options{StateDir: state, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dead := filepath.Join(state, "process-1-0-123") // process 1 did not start with the machine's first tick
	other := filepath.Join(state, "somebody-elses")
	for _, dir := range []string{dead, other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	second, err := New(Options{StateDir: state, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for dir, want := range map[string]bool{dead: false, other: true, d.dir: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s after the sweep: %v", dir, err)
		}
	}
}
