//go:build amd64 || arm64

package gvisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
	"github.com/enfold-run/enfold/sandbox/namespace/reap"
)

// patience is how long gVisor may take for what it does in milliseconds, on a machine that has much else to do.
const patience = 60 * time.Second

// An engine is a gVisor that runs: its first process, which is ours inside, and the pipes to it.
type engine struct {
	process *os.Process   // of a pid namespace that has the rest of gVisor in it
	gone    chan struct{} // closed when all of it is dead and reaped
	orders  *os.File      // the standard input of the first process inside
	frames  *bufio.Reader // its standard output
	said    *os.File
	errors  *tail // what gVisor and the first process say of themselves

	sending sync.Mutex
}

// flags are gVisor's. Its network is the keeper's namespace, which has a loopback device and nothing else; its own cgroups are ours;
// nothing is written to the function's file system, which is read-only.
func (d *Driver) flags() []string {
	return []string{
		programName, "--root=" + stateDir, "--log=" + stage + "/log", "--ignore-cgroups", "--network=host", "--platform=" + d.platform,
		"--overlay2=none", "--file-access=shared", "--file-access-mounts=exclusive", "--host-settings=ignore", "--watchdog-action=log",
		"--restore-spec-validation=ignore",
	}
}

// startEngine starts gVisor on the keeper's thread. Ready is called with its process id before it does anything. It returns when
// the first process inside is ready.
func (d *Driver) startEngine(ctx context.Context, k *keeper, from image, ready func(pid int) error) (e *engine, err error) {
	e = &engine{errors: &tail{}, gone: make(chan struct{})}
	args := append(d.flags(), "run", "--bundle="+bundleDir, "box")
	if from.dir != "" {
		args = append(d.flags(), "restore", "--bundle="+bundleDir, "--image-path="+imageDir, "--background", "box")
	}
	if err := e.spawn(d, k, args, ready); err != nil {
		return nil, err
	}
	if err := e.hello(ctx, from); err != nil {
		e.kill()
		<-e.gone
		return nil, fmt.Errorf("start gVisor: %w; it said: %s", err, e.errors)
	}
	return e, nil
}

// spawn starts the process. What it is to inherit is closed here in the end.
func (e *engine) spawn(d *Driver, k *keeper, args []string, ready func(pid int) error) error {
	var theirs, ours [4]*os.File
	defer closeFiles(theirs[:])
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			closeFiles(theirs[:])
			closeFiles(ours[:])
			return err
		}
		if i == 1 || i == 2 {
			r, w = w, r
		}
		theirs[i], ours[i] = r, w
	}
	defer func() { closeFiles(theirs[:]) }()
	e.orders, e.said, e.frames = ours[0], ours[1], bufio.NewReaderSize(ours[1], 64<<10)
	err := k.do(func() (err error) {
		e.process, err = os.StartProcess(d.programPath(), args, &os.ProcAttr{
			Env: []string{"ENFOLD_GVISOR_WAITS=1"}, Dir: "/", Files: theirs[:],
			Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL},
		})
		return err
	})
	if err != nil {
		closeFiles(ours[:])
		return fmt.Errorf("start %s: %w", d.program.Name(), err)
	}
	go e.errors.follow(ours[2])
	go e.reap()
	if err = ready(e.process.Pid); err == nil {
		_, err = ours[3].Write([]byte{1})
	}
	ours[3].Close()
	if err != nil {
		e.kill()
		<-e.gone
	}
	return err
}

func closeFiles(files []*os.File) {
	for i, f := range files {
		if f != nil {
			f.Close()
			files[i] = nil
		}
	}
}

// reap closes the pipes when all of it is dead.
func (e *engine) reap() {
	reap.Await(e.process)
	e.process.Wait()
	e.orders.Close()
	close(e.gone)
}

// kill ends all of it: the kernel ends a pid namespace with its first process.
func (e *engine) kill() { e.process.Kill() }

// hello waits for the first process. One that was stored has said it long ago; it will answer the first order.
func (e *engine) hello(ctx context.Context, from image) error {
	late := time.AfterFunc(patience, e.kill)
	defer late.Stop()
	stop := context.AfterFunc(ctx, e.kill)
	defer stop()
	if from.dir != "" {
		return nil
	}
	f, err := guest.Read(e.frames)
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if v, err := f.Number(); f.Kind != guest.KindHello || err != nil || v != guest.Version {
		return fmt.Errorf("the first process is of version %d, the driver of %d: run make", v, guest.Version)
	}
	return nil
}

// send says something to the first process.
func (e *engine) send(frames ...guest.Frame) error {
	var b []byte
	for _, f := range frames {
		b = f.Append(b)
	}
	e.sending.Lock()
	defer e.sending.Unlock()
	_, err := e.orders.Write(b)
	return err
}

// A tail keeps the last that was written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

func (t *tail) follow(r io.ReadCloser) {
	defer r.Close()
	buf := make([]byte, tailSize)
	for {
		n, err := r.Read(buf)
		t.mu.Lock()
		t.text = append(t.text, buf[:n]...)
		t.text = t.text[max(0, len(t.text)-tailSize):]
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return "nothing"
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(t.text)), "?")
}
