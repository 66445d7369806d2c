//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
	"github.com/enfold-run/enfold/sandbox/namespace/hostid"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
	"github.com/enfold-run/enfold/sandbox/namespace/seccomp"
)

// Driver makes sandboxes of namespaces. See the package.
type Driver struct {
	log        *slog.Logger
	privileged bool // root: user ids of their own, mounts of what others may not see
	program    program
	spawner    *spawner
	tree       *cgroup.Tree // nil without limits
	ids        *hostid.IDs  // nil if not privileged
	base       []byte       // the Base message of every sandbox
	filter     []byte

	stock chan *blank
	taken chan struct{} // one token: look at the stock
	stop  chan struct{}
	done  sync.WaitGroup // the stock and every Create

	mu       sync.Mutex
	boxes    map[string]*box
	made     int // blanks so far, for their names
	lastTake time.Time
	pace     sandbox.Pace
	likely   sandbox.Spec // the last one: the next is much like it
	closed   bool
}

// New readies a driver and removes what dead servers have left on the host. It fails with sandbox.ErrUnsupported where this host
// or user cannot do it; the error says what to do.
func New(o Options) (*Driver, error) {
	d := &Driver{
		log: o.Log, privileged: isPrivileged(), boxes: map[string]*box{}, stop: make(chan struct{}), lastTake: time.Now(),
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if err := supported(); err != nil {
		return nil, err
	}
	if err := d.ready(o); err != nil {
		d.Close()
		return nil, err
	}
	if !d.privileged || coveredProc() != "" { // else nothing speaks against it, and it would take as long as all the rest
		if err := d.try(); err != nil {
			d.Close()
			return nil, fmt.Errorf("%w: no sandbox can be made as user %d: %w; %s", sandbox.ErrUnsupported, userID(), err, advice())
		}
	}
	if d.tree != nil {
		d.done.Go(func() { d.tree.Sweep(d.stop) })
	}
	d.startStock(o.Stock)
	return d, nil
}

// ready makes what all sandboxes share.
func (d *Driver) ready(o Options) (err error) {
	if d.program, err = newProgram(o.StateDir); err != nil {
		return err
	}
	if d.filter, err = seccomp.Filter(); err != nil {
		return err
	}
	ops, err := baseOps()
	if err != nil {
		return err
	}
	d.base = pid1.Base{Hostname: hostName, Listen: !d.privileged, Ops: ops}.Marshal()
	if d.tree, err = cgroup.Open(); errors.Is(err, cgroup.ErrNone) {
		d.log.Warn("SANDBOXES HAVE NO LIMITS of memory, processes and processor time", "reason", err)
	} else if err != nil {
		return err
	}
	if d.privileged {
		if d.ids, err = hostid.Open(o.FirstID, 2); err != nil {
			return err
		}
	}
	if d.tree != nil && d.tree.Beside() {
		raise()
	}
	d.spawner = newSpawner(func() {
		if err := yielding(); err != nil {
			d.log.Warn("functions run with the priority of the server: calls will be slower under load", "error", err)
		}
	})
	return nil
}

// try makes a sandbox and throws it away.
func (d *Driver) try() error {
	b, err := d.newBlank()
	if err != nil {
		return err
	}
	return b.destroy()
}

// Name is "namespace".
func (d *Driver) Name() string { return "namespace" }

// Create makes a sandbox: a waiting one, if there is, with the Spec's mounts and limits.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	spec = spec.WithDefaults()
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", spec.ID, err)
	}
	s := d.newBox(spec)
	d.expect(spec)
	if err := d.register(s); err != nil {
		return nil, fmt.Errorf("create sandbox %s: %w", spec.ID, err)
	}
	defer d.done.Done()
	if err := d.fill(ctx, s); err != nil {
		d.forget(s)
		return nil, fmt.Errorf("create sandbox %s: %w", spec.ID, err)
	}
	return s, nil
}

// expect notes what the next sandbox may be like.
func (d *Driver) expect(spec sandbox.Spec) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.likely = spec
}

func (d *Driver) newBox(spec sandbox.Spec) *box {
	return &box{d: d, spec: spec, dead: make(chan struct{}), started: make(chan error, 1), mounted: make(chan error, 1)}
}

// fill gives a sandbox its blank. A waiting one may have died; then it is made anew once.
func (d *Driver) fill(ctx context.Context, s *box) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, waited, err := d.take()
		if err != nil {
			return err
		}
		s.move(b)
		if err = s.claim(); err == nil {
			return nil
		}
		err = errors.Join(err, b.destroy())
		s.leave()
		if !waited || !errors.Is(err, errGone) {
			return err
		}
	}
}

// register keeps Close waiting until the caller calls d.done.Done.
func (d *Driver) register(s *box) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("the driver is closed: %w", sandbox.ErrDestroyed)
	}
	if d.boxes[s.spec.ID] != nil {
		return errors.New("there is one with this id")
	}
	d.boxes[s.spec.ID] = s
	d.done.Add(1)
	return nil
}

func (d *Driver) forget(s *box) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[s.spec.ID] == s {
		delete(d.boxes, s.spec.ID)
	}
}

// Close destroys every sandbox and removes what the driver has on the host. It waits for all of it.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	close(d.stop)
	d.done.Wait() // no sandbox is being made any more, and none will be

	errs := d.destroyAll()
	if d.spawner != nil {
		d.spawner.close()
	}
	if d.tree != nil {
		errs = append(errs, d.tree.Close())
	}
	if d.ids != nil {
		errs = append(errs, d.ids.Close())
	}
	d.program.close()
	return errors.Join(errs...)
}

func (d *Driver) destroyAll() []error {
	d.mu.Lock()
	boxes := slices.Collect(maps.Values(d.boxes))
	d.mu.Unlock()
	errs := make([]error, len(boxes))
	var wg sync.WaitGroup
	for i, s := range boxes {
		wg.Go(func() { errs[i] = s.Destroy() })
	}
	wg.Wait()
	return errs
}

// nextName names a blank on the host.
func (d *Driver) nextName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made++
	return strconv.Itoa(d.made)
}
