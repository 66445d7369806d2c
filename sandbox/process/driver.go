package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/sandbox"
)

// Options configure a Driver.
type Options struct {
	StateDir string       // a directory of the driver's own; what an earlier server left in it is removed
	Log      *slog.Logger // nil: slog.Default
}

// Driver makes sandboxes that isolate nothing.
type Driver struct {
	dir string

	mu    sync.Mutex
	boxes map[*box]struct{}
}

var _ sandbox.Driver = (*Driver)(nil)

// New makes the driver, and says loudly what it does not do.
func New(o Options) (*Driver, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log.Warn("NO ISOLATION: functions run as plain processes of this user and can read and reach whatever it can. " +
		"For development only; use --isolation namespace on Linux for anything else")
	dir := filepath.Join(o.StateDir, "process")
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	return &Driver{dir: dir, boxes: map[*box]struct{}{}}, nil
}

// Name implements sandbox.Driver.
func (d *Driver) Name() string { return "process" }

var validID = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// Create implements sandbox.Driver.
func (d *Driver) Create(_ context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if !validID.MatchString(spec.ID) {
		return nil, fmt.Errorf("sandbox id %q: want [a-z0-9-]{1,64}", spec.ID)
	}
	for _, m := range spec.Mounts {
		if _, err := os.Stat(m.Source); err != nil && !m.Optional {
			return nil, fmt.Errorf("mount %s: %w", m.Target, err)
		}
	}
	b := &box{driver: d, spec: spec, dir: filepath.Join(d.dir, spec.ID)}
	if err := os.MkdirAll(b.tmp(), 0o700); err != nil {
		return nil, fmt.Errorf("make sandbox directory: %w", err)
	}
	var err error
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		os.RemoveAll(b.dir)
		return nil, fmt.Errorf("listen for the Runtime API: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boxes[b] = struct{}{}
	return b, nil
}

// Close implements sandbox.Driver.
func (d *Driver) Close() error {
	d.mu.Lock()
	boxes := make([]*box, 0, len(d.boxes))
	for b := range d.boxes {
		boxes = append(boxes, b)
	}
	d.mu.Unlock()
	var errs []error
	for _, b := range boxes {
		errs = append(errs, b.Destroy())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

// box is one sandbox: a directory, a listener, and at most one process with its descendants.
type box struct {
	driver   *Driver
	spec     sandbox.Spec
	dir      string
	listener net.Listener

	mu        sync.Mutex
	process   *process
	destroyed bool
	used      sandbox.Usage // by processes that are dead
}

func (b *box) tmp() string { return filepath.Join(b.dir, "tmp") }

func (b *box) Listener() net.Listener { return b.listener }

func (b *box) Endpoint() string { return b.listener.Addr().String() }

// EndInit has no CPU limit to apply.
func (b *box) EndInit() {}

// Path implements sandbox.Sandbox: the host's directory of the last mount that covers target.
func (b *box) Path(target string) string {
	if rest, ok := below(target, "/tmp"); ok {
		return b.tmp() + rest
	}
	best := -1
	for i, m := range b.spec.Mounts {
		if _, ok := below(target, m.Target); ok && (best < 0 || len(m.Target) >= len(b.spec.Mounts[best].Target)) {
			best = i
		}
	}
	if best < 0 {
		return target
	}
	rest, _ := below(target, b.spec.Mounts[best].Target)
	return b.spec.Mounts[best].Source + rest
}

// below is what of a path comes after a directory that it lies in.
func below(path, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, dir)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Usage implements sandbox.Sandbox.
func (b *box) Usage() sandbox.Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.used
	if b.process != nil {
		u.MaxMemory = max(u.MaxMemory, b.process.peak())
	}
	return u
}

// Destroy implements sandbox.Sandbox.
func (b *box) Destroy() error {
	b.mu.Lock()
	p := b.process
	b.destroyed = true
	b.mu.Unlock()
	if p != nil {
		p.Kill()
		<-p.Done()
	}
	b.listener.Close()
	b.driver.mu.Lock()
	delete(b.driver.boxes, b)
	b.driver.mu.Unlock()
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("remove sandbox directory: %w", err)
	}
	return nil
}
