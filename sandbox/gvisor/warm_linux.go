//go:build amd64 || arm64

package gvisor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

var _ sandbox.Warmer = (*Driver)(nil)

// A warmed is a sandbox whose process runs and that is nobody's yet.
type warmed struct {
	box     *box
	process *process

	mu      sync.Mutex
	settled bool // claimed or destroyed
}

// Endpoints are the same in every sandbox.
func (d *Driver) Endpoints() (runtime, api string) { return network.RuntimeAPI, network.AWSAPI }

// Warm makes a sandbox and starts cmd in it.
func (d *Driver) Warm(ctx context.Context, mounts []sandbox.Mount, cmd sandbox.Command) (sandbox.Warmed, error) {
	s, err := d.create(ctx, sandbox.Spec{ID: "ahead-" + d.nextName(), Mounts: mounts}, image{ahead: true})
	if err != nil {
		closeOutputs(cmd)
		return nil, fmt.Errorf("warm a sandbox: %w", err)
	}
	w := &warmed{box: s}
	w.process, err = s.start(ctx, cmd, true)
	if err == nil && w.process.isDone() {
		err = w.process.Exit().Err
	}
	if err != nil {
		return nil, fmt.Errorf("warm a sandbox: %w", errors.Join(err, s.Destroy()))
	}
	return w, nil
}

// Done is closed when the process is dead.
func (w *warmed) Done() <-chan struct{} { return w.process.done }

// Memory is what the sandbox uses, gVisor's part included: that is what it costs to keep it.
func (w *warmed) Memory() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.settled || w.box.group == nil {
		return 0
	}
	n, _ := w.box.group.Current() // unknown is none
	return n
}

// Destroy removes a sandbox that nobody has claimed.
func (w *warmed) Destroy() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.settled {
		return nil
	}
	w.settled = true
	return w.box.Destroy()
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
	w.process.endInitIn(initTime)
	return w.box, w.process, nil
}

func (w *warmed) claimable(ctx context.Context, spec sandbox.Spec) error {
	had := w.box.spec
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.settled || w.process.isDone():
		return sandbox.ErrDestroyed
	case spec.Root != nil:
		return fmt.Errorf("a process that runs cannot get another root: %w", errors.ErrUnsupported)
	case spec.Files != had.Files || spec.Tmp != had.Tmp:
		return fmt.Errorf("%d open files or %d bytes of /tmp are not the default: %w", spec.Files, spec.Tmp, errors.ErrUnsupported)
	}
	return spec.Check()
}

// take mounts what is spec's and sets its limits, and only then tells the process.
func (w *warmed) take(spec sandbox.Spec, config func() ([]byte, error)) error {
	s, p := w.box, w.process
	before := s.spec.Mounts
	if err := s.d.rename(s, spec); err != nil {
		return err
	}
	defer s.d.done.Done()
	occupied := make(chan error, 1)
	go func() { occupied <- s.occupy(before) }()
	text, err := sandbox.Configuration(config)
	if err = errors.Join(<-occupied, err); err != nil {
		return err
	}
	p.oomKills = s.oomKills()
	// Orders are obeyed one after the other: the process is where its code is before it reads the first byte.
	orders := []guest.Frame{
		{Kind: guest.KindEnter, Process: p.number, Body: []byte(p.dir)}, {Kind: guest.KindInput, Process: p.number, Body: text},
	}
	if len(text) > 0 {
		orders = append(orders, guest.Frame{Kind: guest.KindInput, Process: p.number})
	}
	if err := s.ask(orders...); err != nil {
		return fmt.Errorf("enter %s: %w", p.dir, err)
	}
	return nil
}

// mountAll mounts the Spec's mounts. gVisor sees them, as it asks the host for everything below the root each time.
func (s *box) mountAll() error {
	mounts, err := s.openMounts()
	defer func() { closeAll(mounts) }()
	if err != nil {
		return err
	}
	return s.keeper.do(func() error {
		for _, m := range mounts {
			if err := attach(m.fd, m.target); err != nil {
				return err
			}
		}
		return nil
	})
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
	s.mu.Lock()
	s.spec = spec
	s.mu.Unlock()
	d.boxes[spec.ID] = s
	d.done.Add(1)
	return nil
}
