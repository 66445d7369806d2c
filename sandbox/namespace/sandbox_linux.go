//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// initTime is how long a function has a whole core if nobody calls EndInit: AWS's limit of an init phase.
const initTime = 10 * time.Second

// firstProcessPids are the threads of the first process, which count too.
const firstProcessPids = 16

// A box is a sandbox.
type box struct {
	d       *Driver
	spec    sandbox.Spec
	blank   *blank
	dead    chan struct{} // closed when the first process has gone
	started chan error    // the answer to Start
	mounted chan error    // the answer to Mount and Claim

	starting sync.Mutex // held by Start

	mu        sync.Mutex
	process   *process // the last one
	throttled bool
	frozen    bool
	destroyed bool
	pinned    bool // to core
	core      int

	once       sync.Once
	destroyErr error
}

// move gives a sandbox its blank.
func (s *box) move(b *blank) {
	s.blank = b
	go s.listen()
}

// leave forgets a blank that was destroyed.
func (s *box) leave() {
	<-s.dead
	s.blank, s.dead = nil, make(chan struct{})
}

// claim mounts what the Spec has, for good, and sets its limits. The first process does the one while we do the other.
func (s *box) claim() error {
	if err := s.sendClaim(); err != nil {
		return err
	}
	err := s.blank.limit(s.spec)
	return errors.Join(s.await(s.mounted), err)
}

// sendClaim has the first process mount what the Spec has. It says so on s.mounted.
func (s *box) sendClaim() error {
	ops, files, err := s.mounts()
	defer func() { closeAll(files) }()
	if err != nil {
		return err
	}
	if s.spec.Tmp != sandbox.DefaultTmp || s.spec.Root != nil {
		ops = append(ops, tmpOp(s.spec.Tmp))
	}
	msg := pid1.Mounts{Files: s.spec.Files, Ops: ops}
	if s.spec.Root != nil {
		if msg.Image, files, err = s.layers(files); err != nil {
			return err
		}
		msg.Skeleton = skeletonOps()
	}
	return s.blank.control.send(pid1.KindClaim, msg.Marshal(), files...)
}

// Every mount may come with a descriptor.
var _ [pid1.MaxFiles - sandbox.MaxMounts]struct{}

// mounts are the Spec's. Root opens them here, as the sandbox's own user may not reach the source; an ordinary user has no right to
// and leaves it to the first process, which has.
func (s *box) mounts() (ops []pid1.Op, files []int, err error) {
	for _, m := range s.spec.Mounts {
		op := pid1.Op{Kind: pid1.OpBind, Target: m.Target, Source: m.Source, File: -1}
		if m.Optional {
			op.Flags |= pid1.Optional
		}
		if s.d.privileged {
			fd, err := pid1.OpenBind(m.Source, 0)
			if errors.Is(err, unix.ENOENT) && m.Optional {
				continue
			}
			if err != nil {
				return nil, files, fmt.Errorf("mount %s: %w", m.Source, err)
			}
			op.File = len(files)
			files = append(files, fd)
		}
		ops = append(ops, op)
	}
	return ops, files, nil
}

// layers are the image's, the highest first, appended to files if they are opened here: see mounts.
func (s *box) layers(files []int) (ops []pid1.Op, all []int, err error) {
	for _, dir := range slices.Backward(s.spec.Root.Layers) {
		op := pid1.Op{Kind: pid1.OpBind, Source: dir, File: -1}
		if s.d.privileged {
			fd, err := pid1.OpenBind(dir, 0)
			if err != nil {
				return nil, files, fmt.Errorf("open layer %s: %w", dir, err)
			}
			op.File = len(files)
			files = append(files, fd)
		}
		ops = append(ops, op)
	}
	return ops, files, nil
}

// listen takes what the first process says, until it is gone.
func (s *box) listen() {
	defer close(s.dead)
	for {
		k, body, files, err := s.blank.control.receive()
		s.connect(k, files)
		if err != nil {
			s.ended(syscall.WaitStatus(syscall.SIGKILL))
			return
		}
		if k == pid1.KindDone {
			answer(s.mounted, s.mountedFor(string(body)))
			continue
		}
		n, err := pid1.UnmarshalUint(body)
		if err != nil {
			s.blank.process.Kill() // it has gone mad
			continue
		}
		switch k {
		case pid1.KindStarted:
			s.answered(n)
		case pid1.KindExited:
			s.ended(syscall.WaitStatus(n))
		}
	}
}

// connect gives the process that starts our end of its channel, if it has one. Without ours the process finds that its own is shut.
func (s *box) connect(k pid1.Kind, files []int) {
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if k != pid1.KindStarted || len(files) != 1 || p == nil {
		closeAll(files)
		return
	}
	if err := p.connect(files[0]); err != nil {
		s.d.log.Error("a process has no channel", "sandbox", s.spec.ID, "error", err)
	}
}

// answered passes the answer to Start on. There is one per Start, and one place for it.
func (s *box) answered(n uint64) {
	var err error
	if errno := syscall.Errno(n &^ pid1.OfDir); errno != 0 {
		err = errno
	}
	if n&pid1.OfDir != 0 {
		err = &os.PathError{Op: "chdir", Err: err}
	}
	answer(s.started, err)
}

func answer(to chan<- error, err error) {
	select {
	case to <- err:
	default:
	}
}

// mountedFor is what came of mounting: it failed, as text says, or there is no process any more that it was for. One that dies later has
// its configuration, so that its death is the function's.
func (s *box) mountedFor(text string) error {
	if text != "" {
		return errors.New(text)
	}
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if p != nil && p.isDone() { // of a limit of memory that it had not before, perhaps
		return sandbox.ErrDestroyed
	}
	return nil
}

// await waits for an answer of the first process, for as long as patience.
func (s *box) await(from <-chan error) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-from:
		return err
	case <-late.C:
		s.blank.process.Kill()
		return errGone
	case <-s.dead:
		select {
		case err := <-from: // it was answered before
			return err
		default:
			return errGone
		}
	}
}

// ended settles the running process, if there is one.
func (s *box) ended(ws syscall.WaitStatus) {
	s.mu.Lock()
	p := s.process
	s.mu.Unlock()
	if p != nil {
		p.settle(ws)
	}
}

// Listener listens in the sandbox's own network.
func (s *box) Listener() net.Listener { return s.blank.runtimeAPI }

// Endpoint is AWS's.
func (s *box) Endpoint() string { return network.RuntimeAPI }

// APIListener listens in the sandbox's own network.
func (s *box) APIListener() net.Listener { return s.blank.awsAPI }

// APIEndpoint is the same in every sandbox.
func (s *box) APIEndpoint() string { return network.AWSAPI }

// Path is target itself.
func (s *box) Path(target string) string { return target }

// Start runs a process.
func (s *box) Start(ctx context.Context, cmd sandbox.Command) (sandbox.Process, error) {
	defer closeFiles(cmd)
	s.starting.Lock()
	defer s.starting.Unlock()
	p, err := s.prepare(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("start a process in sandbox %s: %w", s.spec.ID, err)
	}
	if err := s.send(cmd, nil); err != nil {
		p.finish(sandbox.Exit{Err: err})
		return nil, fmt.Errorf("start a process in sandbox %s: %w", s.spec.ID, err)
	}
	err = s.await(s.started)
	if errors.Is(err, errGone) {
		return nil, fmt.Errorf("start a process in sandbox %s: %w", s.spec.ID, err)
	}
	if err != nil {
		why := &os.PathError{Op: "exec", Path: cmd.Args[0], Err: err}
		if dir, ok := errors.AsType[*os.PathError](err); ok {
			why, dir.Path = dir, cmd.Dir
		}
		p.finish(sandbox.Exit{Err: why})
		return p, nil
	}
	p.endInitIn(initTime)
	return p, nil
}

// prepare makes the next process, which is the sandbox's from now on.
func (s *box) prepare(ctx context.Context, cmd sandbox.Command) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(cmd.Args) == 0 {
		return nil, errors.New("no command")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed {
		return nil, sandbox.ErrDestroyed
	}
	if s.process != nil && !s.process.isDone() {
		return nil, errors.New("one is running")
	}
	if err := s.thaw(); err != nil {
		return nil, err
	}
	p := &process{box: s, done: make(chan struct{})}
	if g := s.blank.group; g != nil {
		if s.throttled {
			if err := g.LimitCPU(initShare(s.spec)); err != nil {
				return nil, err
			}
			s.throttled = false
		}
		p.oomKills, _ = g.OOMKills() // unknown is none
	}
	s.process = p
	return p, nil
}

// send tells the first process. Its descriptors are copies of the command's, and of stdin, which may be nil.
func (s *box) send(cmd sandbox.Command, stdin *os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := make([]int, 0, 3)
	if stdin != nil {
		files = append(files, int(stdin.Fd()))
	}
	for _, f := range []*os.File{cmd.Stdout, cmd.Stderr} {
		if f == nil {
			f = null
		}
		// Fd makes the file blocking: a function does not expect a write to fail because the reader is slow.
		files = append(files, int(f.Fd()))
	}
	body := pid1.Start{Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Channel: cmd.Channel}.Marshal()
	return s.blank.control.send(pid1.KindStart, body, files...)
}

func closeFiles(cmd sandbox.Command) {
	for _, f := range []*os.File{cmd.Stdout, cmd.Stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// EndInit applies Spec.CPU.
func (s *box) EndInit() { s.endInit(nil) }

// endInit applies Spec.CPU, if p is nil or still the process.
func (s *box) endInit(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.throttled || s.spec.CPU >= 1000 || s.blank.group == nil || (p != nil && p != s.process) {
		return
	}
	if err := s.blank.group.LimitCPU(s.spec.CPU); err != nil {
		s.d.log.Error("sandbox keeps more processor time than it should", "sandbox", s.spec.ID, "error", err)
		return
	}
	s.throttled = true
}

// Usage is zero without control groups.
func (s *box) Usage() sandbox.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.blank.group == nil {
		return sandbox.Usage{}
	}
	u := sandbox.Usage{MaxMemory: s.maxMemory()}
	g := s.blank.group
	u.CPUTime, _ = g.CPUTime()
	u.OOMKills, _ = g.OOMKills()
	return u
}

// MaxMemory is zero without control groups. It costs one system call.
func (s *box) MaxMemory() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.blank.group == nil {
		return 0
	}
	return s.maxMemory()
}

// maxMemory is without what our first process used. The caller holds s.mu.
func (s *box) maxMemory() int64 {
	peak, err := s.blank.group.Peak()
	if err != nil {
		return 0
	}
	return min(max(peak-s.blank.base, 0), s.spec.Memory)
}

// Destroy kills everything and waits until nothing is left.
func (s *box) Destroy() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.destroyed = true
		p := s.process
		s.mu.Unlock()
		s.destroyErr = s.blank.destroy()
		<-s.dead
		if p != nil {
			p.hangUp() // nobody is left to see it, and none is to come
		}
		s.d.forget(s)
	})
	return s.destroyErr
}
