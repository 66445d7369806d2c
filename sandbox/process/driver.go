package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/sandbox"
)

// Options of New.
type Options struct {
	StateDir string       // where sandboxes have their directories; the system's temporary directory if empty
	Log      *slog.Logger // slog.Default if nil
}

// Driver makes sandboxes that isolate nothing.
type Driver struct {
	dir     string // of this driver's sandboxes
	log     *slog.Logger
	starter *starter

	mu     sync.Mutex
	boxes  map[string]*box
	closed bool
}

// New readies a driver, removes the directories of dead servers, and warns.
func New(o Options) (*Driver, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.StateDir == "" {
		o.StateDir = filepath.Join(os.TempDir(), "enfold-sandboxes")
	}
	// Functions see real paths, so they must not depend on where the server stands.
	state, err := filepath.Abs(o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("find the sandboxes' directory: %w", err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("make the sandboxes' directory: %w", err)
	}
	sweep(state)
	dir, err := os.MkdirTemp(state, dirPrefix())
	if err != nil {
		return nil, fmt.Errorf("make a directory for sandboxes: %w", err)
	}
	o.Log.Warn("FUNCTIONS RUN WITHOUT ISOLATION, as plain processes of this user, without limits: for development only", "driver", "process")
	return &Driver{dir: dir, log: o.Log, starter: newStarter(), boxes: map[string]*box{}}, nil
}

// Report says what this driver does not do. It works everywhere.
func Report() sandbox.Report {
	return sandbox.Report{Driver: "process", OK: true, Checks: []sandbox.Check{
		{Name: "isolation", Detail: "none: functions can do what this user can", Fix: "use the namespace driver"},
		{Name: "limits", Detail: "none: memory, processor time, processes and /tmp are unlimited", Fix: "use the namespace driver"},
	}}
}

// Name is "process".
func (d *Driver) Name() string { return "process" }

// Create makes a directory and a listener.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := check(spec); err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", spec.ID, err)
	}
	if spec.Root != nil {
		return nil, fmt.Errorf("create sandbox %q: container images want the namespace or gvisor driver, this one has the host's files alone: %w",
			spec.ID, sandbox.ErrUnsupported)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("create sandbox %s: the driver is closed: %w", spec.ID, sandbox.ErrDestroyed)
	}
	if d.boxes[spec.ID] != nil {
		return nil, fmt.Errorf("create sandbox %s: there is one with this id", spec.ID)
	}
	s := &box{d: d, spec: spec, dir: filepath.Join(d.dir, spec.ID)}
	if err := os.MkdirAll(s.tmp(), 0o700); err != nil {
		return nil, fmt.Errorf("create sandbox %s: %w", spec.ID, err)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		os.RemoveAll(s.dir)
		return nil, fmt.Errorf("create sandbox %s: %w", spec.ID, err)
	}
	d.boxes[spec.ID] = s
	return s, nil
}

// check refuses a Spec that nobody should have made.
func check(s sandbox.Spec) error {
	if len(s.ID) < 1 || len(s.ID) > 64 || strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("id is not of [a-z0-9-]{1,64}")
	}
	for _, m := range s.Mounts {
		if _, err := os.Stat(m.Source); err != nil && !(m.Optional && errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("mount: %w", err)
		}
	}
	return nil
}

func (d *Driver) forget(s *box) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[s.spec.ID] == s {
		delete(d.boxes, s.spec.ID)
	}
}

// Close destroys every sandbox.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	boxes := slices.Collect(maps.Values(d.boxes))
	d.mu.Unlock()
	var errs []error
	for _, s := range boxes {
		errs = append(errs, s.Destroy())
	}
	d.starter.close()
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
