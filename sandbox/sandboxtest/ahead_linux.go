package sandboxtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// RunAhead runs the suite on sandboxes that have waited with a process in them before they became somebody's. Each is made by a Warm
// and a Claim, and its first command is run by the process that waited, in its own place.
func RunAhead(t *testing.T, e Expect, open func(t testing.TB) sandbox.Warmer) {
	e.ahead = true
	Run(t, e, func(t testing.TB) sandbox.Driver { return &aheadDriver{Warmer: open(t)} })
	t.Run("Held", func(t *testing.T) { testHeld(t, e, open) })
	t.Run("PriorClaim", func(t *testing.T) { testPriorClaim(t, open) })
	t.Run("ClaimRace", func(t *testing.T) { testClaimRace(t, open) })
	t.Run("ClaimFails", func(t *testing.T) { testClaimFails(t, open) })
}

// An aheadDriver makes every sandbox by a Warm and a Claim.
type aheadDriver struct {
	sandbox.Warmer
	mu    sync.Mutex
	boxes []*aheadBox
}

// An aheadBox is a sandbox in which a process waits for its first command.
type aheadBox struct {
	sandbox.Sandbox
	waiting sandbox.Process
	out     [2]*os.File // the reading ends of what it writes

	mu    sync.Mutex
	order net.Conn // to it, until it has its command or is destroyed
}

// order is a command for a process that waits.
type order struct {
	Args, Env []string
	Dir       string
}

const aheadPath = "/var/ahead/test"

// Create warms a sandbox and claims it. What Claim cannot do is made anew, as a pool does.
func (d *aheadDriver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	before, claim := []sandbox.Mount{{Source: exe, Target: aheadPath}}, spec
	claim.Mounts = nil
	for _, m := range spec.Mounts {
		if m.Target == taskDir || m.Target == "/opt" || strings.HasPrefix(m.Target, taskDir+"/") || strings.HasPrefix(m.Target, "/opt/") {
			claim.Mounts = append(claim.Mounts, m)
		} else {
			before = append(before, m)
		}
	}
	b, err := d.claim(ctx, before, claim)
	if errors.Is(err, errors.ErrUnsupported) {
		return d.Warmer.Create(ctx, spec)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boxes = append(d.boxes, b)
	return b, nil
}

func (d *aheadDriver) claim(ctx context.Context, before []sandbox.Mount, spec sandbox.Spec) (_ *aheadBox, err error) {
	b := &aheadBox{}
	cmd := sandbox.Command{Args: []string{aheadPath, probeArg, "await"}, Dir: taskDir}
	if b.out[0], cmd.Stdout, err = os.Pipe(); err != nil {
		return nil, err
	}
	if b.out[1], cmd.Stderr, err = os.Pipe(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.out[0].Close()
			b.out[1].Close()
		}
	}()
	w, err := d.Warm(ctx, before, cmd)
	if err != nil {
		return nil, err
	}
	runtime, _ := d.Endpoints()
	b.Sandbox, b.waiting, err = w.Claim(ctx, spec, func() ([]byte, error) { return []byte("ORDERS=" + runtime + "\x00"), nil })
	if err != nil {
		return nil, errors.Join(err, w.Destroy())
	}
	if b.order, err = b.firstCall(); err != nil {
		return nil, errors.Join(err, b.Sandbox.Destroy())
	}
	return b, nil
}

// firstCall is the waiting process's, by which it asks for its command.
func (b *aheadBox) firstCall() (net.Conn, error) {
	l, ok := b.Listener().(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listener is a %T", b.Listener())
	}
	if err := l.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	c, err := l.Accept()
	if err != nil {
		return nil, fmt.Errorf("the process that waited does not call: %w", err)
	}
	return c, l.SetDeadline(time.Time{})
}

// Start gives the waiting process its command. Later ones are the sandbox's own.
func (b *aheadBox) Start(ctx context.Context, cmd sandbox.Command) (sandbox.Process, error) {
	b.mu.Lock()
	c := b.order
	b.order = nil
	b.mu.Unlock()
	if c == nil || ctx.Err() != nil || len(cmd.Args) == 0 {
		return b.Sandbox.Start(ctx, cmd)
	}
	defer c.Close()
	var relays sync.WaitGroup
	for i, to := range []*os.File{cmd.Stdout, cmd.Stderr} {
		relays.Go(func() {
			defer b.out[i].Close()
			if to == nil {
				io.Copy(io.Discard, b.out[i])
				return
			}
			io.Copy(to, b.out[i])
		})
	}
	go func() {
		relays.Wait()
		for _, f := range []*os.File{cmd.Stdout, cmd.Stderr} {
			if f != nil {
				f.Close()
			}
		}
	}()
	if err := json.NewEncoder(c).Encode(order{cmd.Args, cmd.Env, cmd.Dir}); err != nil {
		return nil, err
	}
	var failed syscall.Errno
	if err := json.NewDecoder(c).Decode(&failed); err != nil {
		return b.waiting, nil // it has become the command, which closed the connection
	}
	<-b.waiting.Done()
	return notStarted{b.waiting, &os.PathError{Op: "exec", Path: cmd.Args[0], Err: failed}}, nil
}

// notStarted is a process whose command could not be run.
type notStarted struct {
	sandbox.Process
	err error
}

func (p notStarted) Exit() sandbox.Exit { return sandbox.Exit{Err: p.err} }

// Destroy lets go of the waiting process too.
func (b *aheadBox) Destroy() error {
	err := b.Sandbox.Destroy()
	b.letGo()
	return err
}

func (b *aheadBox) letGo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.order != nil {
		b.order.Close()
		b.order = nil
		b.out[0].Close()
		b.out[1].Close()
	}
}

// Close destroys all.
func (d *aheadDriver) Close() error {
	err := d.Warmer.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.boxes {
		b.letGo()
	}
	return err
}

// probeAwait reads its configuration to the end, asks for a command, and becomes it.
func probeAwait([]string) int {
	config, err := io.ReadAll(os.Stdin)
	if err != nil || len(config) == 0 {
		return 0 // nobody wants it
	}
	at, _ := strings.CutPrefix(strings.TrimSuffix(string(config), "\x00"), "ORDERS=")
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	if err := syscall.Dup3(null, 0, 0); err != nil {
		return fail(err)
	}
	c, err := net.Dial("tcp", at)
	if err != nil {
		return fail(err)
	}
	var o order
	if err := json.NewDecoder(c).Decode(&o); err != nil {
		return 0 // it was destroyed
	}
	if o.Dir != taskDir { // where it is already: the claim has taken it there
		err = syscall.Chdir(o.Dir)
	}
	if err == nil {
		err = syscall.Exec(o.Args[0], o.Args, o.Env)
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	json.NewEncoder(c).Encode(errno)
	return 96
}
