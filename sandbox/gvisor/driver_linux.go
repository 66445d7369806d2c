//go:build amd64 || arm64

package gvisor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
	"github.com/enfold-run/enfold/sandbox/namespace/hostid"
	"github.com/enfold-run/enfold/sandbox/namespace/seccomp"
)

// platform is how gVisor gets at a function's system calls. The other one, kvm, hangs on hosts that are virtual machines with
// virtualization of their own.
const platform = "systrap"

// Driver makes sandboxes with a gVisor each. See the package.
type Driver struct {
	log      *slog.Logger
	program  *os.File // enfold-gvisor, open: it may be hidden in a sandbox's mount namespace
	guest    []byte   // the first process
	filter   []byte   // of system calls
	platform string
	tree     *cgroup.Tree // nil without limits
	ids      *hostid.IDs
	base     []sandbox.Mount   // the host's programs, and files of /etc
	links    map[string]string // among them
	done     sync.WaitGroup    // every Create
	stock    *stock            // nil for none

	mu     sync.Mutex
	boxes  map[string]*box
	made   int // control groups so far, for their names
	closed bool
}

// New readies a driver, and makes a sandbox to see whether that works, which takes some 200 ms. It fails with sandbox.ErrUnsupported where
// this host or user cannot do it; the error says what to do.
func New(o Options) (*Driver, error) {
	d := &Driver{log: o.Log, platform: platform, boxes: map[string]*box{}}
	if d.log == nil {
		d.log = slog.Default()
	}
	if err := d.ready(o); err != nil {
		d.Close()
		return nil, err
	}
	if err := d.try(); err != nil {
		d.Close()
		return nil, fmt.Errorf("%w: gVisor does not work here: %w", sandbox.ErrUnsupported, err)
	}
	if !o.NoStock {
		d.stock = newStock(d)
		d.done.Go(d.stock.keep)
	}
	return d, nil
}

// ready makes what all sandboxes share.
func (d *Driver) ready(o Options) (err error) {
	if err := supported(); err != nil {
		return err
	}
	if d.program, err = openProgram(o.Program); err != nil {
		return err
	}
	if d.guest, err = guestProgram(); err != nil {
		return err
	}
	filter, err := seccomp.Filter()
	if err != nil {
		return err
	}
	d.filter = refuseOnly(filter)
	if d.base, d.links, err = hostPrograms(); err != nil {
		return err
	}
	if d.tree, err = cgroup.Open(); errors.Is(err, cgroup.ErrNone) {
		d.log.Warn("SANDBOXES HAVE NO LIMITS of memory and processor time", "reason", err)
	} else if err != nil {
		return err
	}
	d.ids, err = hostid.Open(o.FirstID, 1)
	return err
}

// programPath is enfold-gvisor in every mount namespace.
func (d *Driver) programPath() string { return fmt.Sprintf("/proc/self/fd/%d", d.program.Fd()) }

// Name is "gvisor".
func (d *Driver) Name() string { return "gvisor" }

// Create makes a sandbox. It takes some 150 ms, or a few if one has waited.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if s := d.fromStock(spec); s != nil {
		return s, nil
	}
	s, err := d.create(ctx, spec, image{})
	if err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", spec.ID, err)
	}
	return s, nil
}

func (d *Driver) create(ctx context.Context, spec sandbox.Spec, from image) (*box, error) {
	s := &box{d: d, spec: spec.WithDefaults(), open: map[uint32]*process{}, answers: make(chan syscall.Errno, 1)}
	err := errors.Join(s.spec.Check(), ctx.Err())
	if err == nil {
		err = d.register(s)
	}
	if err != nil {
		closeOutputs(sandbox.Command{Stdout: from.stdout, Stderr: from.stderr})
		return nil, err
	}
	defer d.done.Done()
	if from.dir != "" {
		s.resume(from)
	}
	if err := s.fill(ctx, from); err != nil {
		if p := s.process; p != nil {
			p.endOutput()
			p.finish(sandbox.Exit{Err: err})
		}
		d.forget(s)
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
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

// nextName names a control group.
func (d *Driver) nextName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made++
	return "g" + strconv.Itoa(d.made)
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
	if d.stock != nil {
		close(d.stock.stop)
	}
	d.done.Wait() // no sandbox is being made any more, and none will be
	d.mu.Lock()
	boxes := slices.Collect(maps.Values(d.boxes)) // those that could not be made have removed themselves
	d.mu.Unlock()

	errs := make([]error, len(boxes))
	var wg sync.WaitGroup
	for i, s := range boxes {
		wg.Go(func() { errs[i] = s.Destroy() })
	}
	wg.Wait()
	if d.tree != nil {
		errs = append(errs, d.tree.Close())
	}
	if d.ids != nil {
		errs = append(errs, d.ids.Close())
	}
	if d.program != nil {
		d.program.Close()
	}
	return errors.Join(errs...)
}

// refuseOnly makes a filter that kills one that says ENOSYS: where the host's kernel kills the process, gVisor's kills the thread
// alone, and what is left of the process hangs. An instruction is 8 bytes: code, jumps, and the constant.
func refuseOnly(filter []byte) []byte {
	filter = slices.Clone(filter)
	for i := 0; i+8 <= len(filter); i += 8 {
		code, k := binary.NativeEndian.Uint16(filter[i:]), filter[i+4:i+8]
		if code == unix.BPF_RET|unix.BPF_K && binary.NativeEndian.Uint32(k) == unix.SECCOMP_RET_KILL_PROCESS {
			binary.NativeEndian.PutUint32(k, unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))
		}
	}
	return filter
}
