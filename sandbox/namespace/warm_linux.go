//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

var _ sandbox.Warmer = (*Driver)(nil)

// A warmed is a sandbox whose process runs and that is nobody's yet.
type warmed struct {
	box     *box
	process *process
	config  *os.File // the writing end of the process's standard input

	mu      sync.Mutex
	settled bool // claimed or destroyed
}

// Endpoints are the same in every sandbox.
func (d *Driver) Endpoints() (runtime, api string) { return network.RuntimeAPI, network.AWSAPI }

// Warm makes a sandbox and starts cmd in it. It is not one of the stock: whoever invokes a function needs that more.
func (d *Driver) Warm(ctx context.Context, mounts []sandbox.Mount, cmd sandbox.Command) (sandbox.Warmed, error) {
	defer closeFiles(cmd)
	spec := sandbox.Spec{ID: "ahead-" + d.nextName(), Mounts: mounts}.WithDefaults()
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("warm a sandbox: %w", err)
	}
	s := d.newBox(spec)
	if err := d.register(s); err != nil {
		return nil, fmt.Errorf("warm a sandbox: %w", err)
	}
	defer d.done.Done()
	w, err := s.warm(ctx, cmd)
	if err != nil {
		if s.blank != nil {
			err = errors.Join(err, s.Destroy())
		}
		d.forget(s)
		return nil, fmt.Errorf("warm a sandbox: %w", err)
	}
	return w, nil
}

// warm gives a sandbox a blank and a process.
func (s *box) warm(ctx context.Context, cmd sandbox.Command) (*warmed, error) {
	b, err := s.d.newBlank()
	if err != nil {
		return nil, err
	}
	s.move(b)
	if err := s.mount(); err != nil {
		return nil, err
	}
	stdin, config, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	w := &warmed{box: s, config: config}
	if w.process, err = s.prepare(ctx, cmd); err == nil {
		err = s.send(cmd, stdin)
	}
	if err == nil {
		err = s.await(s.started)
	}
	if err != nil {
		config.Close()
		return nil, err
	}
	return w, nil
}

// mount mounts what is known ahead.
func (s *box) mount() error {
	if s.blank.group != nil {
		if err := s.blank.group.Weigh(cgroup.Least); err != nil {
			return err
		}
	}
	if err := s.d.limitLikely(s.blank); err != nil {
		return err
	}
	ops, files, err := s.mounts()
	defer closeAll(files)
	if err != nil {
		return err
	}
	if err := s.blank.control.send(pid1.KindMount, pid1.Mounts{Files: s.spec.Files, Ops: ops}.Marshal(), files...); err != nil {
		return err
	}
	return s.await(s.mounted)
}

// Done is closed when the process is dead.
func (w *warmed) Done() <-chan struct{} { return w.process.done }

// Memory is what the process uses.
func (w *warmed) Memory() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.box.blank.group
	if w.settled || g == nil {
		return 0
	}
	n, _ := g.Current() // unknown is none
	return max(n-w.box.blank.base, 0)
}

// Destroy removes a sandbox that nobody has claimed.
func (w *warmed) Destroy() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.settled {
		return nil
	}
	w.settled = true
	err := w.box.Destroy()
	w.config.Close() // not before: the process would see its end and go on
	return err
}

// Claim makes it spec's.
func (w *warmed) Claim(ctx context.Context, spec sandbox.Spec, config func() ([]byte, error)) (sandbox.Sandbox, sandbox.Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	spec = spec.WithDefaults()
	err := w.claimable(ctx, spec)
	if err == nil {
		err = w.take(spec, config)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("claim sandbox %s: %w", spec.ID, err)
	}
	w.settled = true
	w.config.Close()
	w.process.endInitIn(initTime)
	return w.box, w.process, nil
}

// take mounts what is spec's and sets its limits, and only then lets the process be told. The first process mounts meanwhile.
func (w *warmed) take(spec sandbox.Spec, config func() ([]byte, error)) error {
	s := w.box
	if err := s.d.rename(s, spec); err != nil {
		return err
	}
	defer s.d.done.Done()
	if err := s.sendClaim(); err != nil {
		return err
	}
	if err := w.limit(); err != nil {
		return err
	}
	if err := w.configure(config); err != nil {
		return err
	}
	return s.await(s.mounted)
}

// limit sets the limits of a sandbox that is somebody's.
func (w *warmed) limit() error {
	b := w.box.blank
	if b.group == nil {
		return nil
	}
	// Before all else: what mounts would wait for everybody.
	if err := b.group.Weigh(cgroup.Normal); err != nil {
		return err
	}
	w.process.oomKills, _ = b.group.OOMKills() // unknown is none
	return b.limit(w.box.spec)
}

// configure has the first process hand the configuration over when all is mounted.
func (w *warmed) configure(config func() ([]byte, error)) error {
	text, err := sandbox.Configuration(config)
	if err != nil {
		return err
	}
	return w.box.blank.control.send(pid1.KindConfig, text, int(w.config.Fd()))
}

func (w *warmed) claimable(ctx context.Context, spec sandbox.Spec) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.settled || w.process.isDone():
		return sandbox.ErrDestroyed
	case spec.Root != nil:
		return fmt.Errorf("a process that runs cannot get another root: %w", errors.ErrUnsupported)
	case spec.Files != w.box.spec.Files:
		return fmt.Errorf("a limit of %d open files is not the default: %w", spec.Files, errors.ErrUnsupported)
	}
	return spec.Check()
}

// rename registers a sandbox anew, as spec's. Close waits until d.done is done.
func (d *Driver) rename(s *box, spec sandbox.Spec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.boxes[s.spec.ID] != s {
		return sandbox.ErrDestroyed
	}
	if d.boxes[spec.ID] != nil {
		return errors.New("there is one with this id")
	}
	delete(d.boxes, s.spec.ID)
	s.spec, d.likely = spec, spec
	d.boxes[spec.ID] = s
	d.done.Add(1)
	return nil
}
