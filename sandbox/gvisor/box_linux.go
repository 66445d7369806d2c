//go:build amd64 || arm64

package gvisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
	"github.com/enfold-run/enfold/sandbox/namespace/cgroup"
)

// initTime is how long a function has a whole core if nobody calls EndInit: AWS's limit of an init phase.
const initTime = 10 * time.Second

// A box is a sandbox.
type box struct {
	d      *Driver
	spec   sandbox.Spec
	keeper *keeper
	group  *cgroup.Group // nil without limits
	id     int           // host user id of its gVisor

	starting sync.Mutex // held by Start and Freeze

	mu        sync.Mutex
	engine    *engine // nil before the first
	base      int64   // memory in use before anything runs in it: gVisor's, not the function's
	process   *process
	open      map[uint32]*process // those of which something more will be heard
	number    uint32
	answers   chan syscall.Errno // to Limit
	throttled bool
	frozen    bool
	destroyed bool

	once       sync.Once
	destroyErr error
}

// listen takes what the first process of an engine says, until it is gone.
func (s *box) listen(e *engine) {
	for {
		f, err := guest.Read(e.frames)
		if err == nil {
			err = s.hear(e, f)
		}
		if err != nil {
			break
		}
	}
	e.kill() // it has gone mad, if it is not dead
	<-e.gone
	e.said.Close()
	s.mu.Lock()
	var lost []*process
	for n, p := range s.open {
		if p.engine == e {
			delete(s.open, n)
			lost = append(lost, p)
		}
	}
	if p := s.process; p != nil && p.engine == e && !p.isDone() {
		lost = append(lost, p)
	}
	s.mu.Unlock()
	for _, p := range lost {
		p.endOutput()
		p.lost()
	}
}

// errMad says that what came is not what a first process of ours says.
var errMad = errors.New("the first process has gone mad")

func (s *box) hear(e *engine, f guest.Frame) error {
	s.mu.Lock()
	p := s.open[f.Process]
	s.mu.Unlock()
	if f.Kind == guest.KindDone {
		n, err := f.Number()
		if err != nil {
			return err
		}
		select {
		case s.answers <- syscall.Errno(n):
			return nil
		default:
			return errMad
		}
	}
	if p == nil || p.engine != e {
		return errMad
	}
	switch f.Kind {
	case guest.KindStarted, guest.KindExited:
		n, err := f.Number()
		if err != nil {
			return err
		}
		if f.Kind == guest.KindExited {
			s.over(p, &p.exited)
			p.settle(syscall.WaitStatus(n))
			return nil
		}
		return p.answered(syscall.Errno(n))
	case guest.KindOutput, guest.KindErrors:
		to := p.out
		if f.Kind == guest.KindErrors {
			to = p.err
		}
		if !to.put(f.Body) {
			return errMad
		}
	case guest.KindFlushed:
		n, err := f.Number()
		if err != nil {
			return err
		}
		p.flushed.Store(n)
	case guest.KindClosed:
		s.over(p, &p.silent)
		p.endOutput()
	default:
		return errMad
	}
	return nil
}

// over notes that a process has ended, or its output. After both nothing more is heard of it.
func (s *box) over(p *process, which *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*which = true
	if p.exited && p.silent {
		delete(s.open, p.number)
	}
}

func (p *process) answered(errno syscall.Errno) error {
	var err error
	if errno != 0 {
		err = errno
	}
	select {
	case p.started <- err:
		return nil
	default:
		return errMad
	}
}

func (p *process) endOutput() {
	p.out.end()
	p.err.end()
}

// Listener listens in the sandbox's own network.
func (s *box) Listener() net.Listener { return s.keeper.runtimeAPI }

// Endpoint is AWS's.
func (s *box) Endpoint() string { return network.RuntimeAPI }

// APIListener listens in the sandbox's own network.
func (s *box) APIListener() net.Listener { return s.keeper.awsAPI }

// APIEndpoint is the same in every sandbox.
func (s *box) APIEndpoint() string { return network.AWSAPI }

// Path is target itself.
func (s *box) Path(target string) string { return target }

// Start runs a process. Where gVisor was killed for want of memory, it is started anew, with an empty /tmp.
func (s *box) Start(ctx context.Context, cmd sandbox.Command) (sandbox.Process, error) {
	p, err := s.start(ctx, cmd, false)
	if err != nil {
		return nil, fmt.Errorf("start a process in sandbox %s: %w", s.spec.ID, err)
	}
	return p, nil
}

// start runs a process; ahead of its owner it waits for its standard input, and shares its current directory with who starts it.
func (s *box) start(ctx context.Context, cmd sandbox.Command, ahead bool) (*process, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	p, err := s.prepare(ctx, cmd)
	if err != nil {
		closeOutputs(cmd)
		return nil, err
	}
	body := guest.Start{
		Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Files: s.spec.Files, One: sameFile(cmd), Input: ahead, Share: ahead,
	}.Marshal()
	if len(body) > guest.MaxBody {
		err = syscall.E2BIG
	} else if err = p.engine.send(guest.Frame{Kind: guest.KindStart, Process: p.number, Body: body}); err == nil {
		err = p.awaitStart()
	}
	if err == nil && ahead {
		return p, nil
	}
	if err == nil {
		p.endInitIn(initTime)
		return p, nil
	}
	s.mu.Lock()
	delete(s.open, p.number)
	s.mu.Unlock()
	p.endOutput()
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		p.finish(sandbox.Exit{Err: err})
		return nil, err
	}
	p.finish(sandbox.Exit{Err: &os.PathError{Op: "exec", Path: cmd.Args[0], Err: errno}})
	return p, nil
}

// errGone says that gVisor has ended.
var errGone = errors.New("gVisor has ended")

func (p *process) awaitStart() error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-p.started:
		return err
	case <-late.C:
		p.engine.kill()
		return fmt.Errorf("no answer within %v", patience)
	case <-p.engine.gone:
		return fmt.Errorf("%w; it said: %s", errGone, p.engine.errors)
	}
}

func sameFile(cmd sandbox.Command) bool { return cmd.Stdout == cmd.Stderr }

// closeOutputs closes the files that Start owns.
func closeOutputs(cmd sandbox.Command) {
	for _, f := range []*os.File{cmd.Stdout, cmd.Stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// prepare makes the next process, which is the sandbox's from now on, and sees to it that there is a gVisor to run it.
func (s *box) prepare(ctx context.Context, cmd sandbox.Command) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(cmd.Args) == 0 {
		return nil, errors.New("no command")
	}
	if err := s.revive(ctx); err != nil {
		return nil, err
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
	if err := s.boost(); err != nil {
		return nil, err
	}
	p := s.newProcess(cmd.Stdout, cmd.Stderr)
	p.dir = cmd.Dir
	return p, nil
}

// boost lets init have what it can get of the processor: where a quota of a core is measured, gVisor's own threads use it up at once,
// and the start of a function waits for the next. The caller holds s.mu.
func (s *box) boost() error {
	if s.group == nil || !s.throttled {
		return nil
	}
	s.throttled = false
	return s.group.LimitCPU(0)
}

// newProcess makes the next process of the engine. The caller holds s.mu.
func (s *box) newProcess(stdout, stderr *os.File) *process {
	s.number++
	p := &process{box: s, engine: s.engine, number: s.number, started: make(chan error, 1), done: make(chan struct{}), oomKills: s.oomKills()}
	credit := func(n int) {
		_ = p.engine.send(guest.Frame{Kind: guest.KindCredit, Process: p.number, Body: guest.Number(uint32(n))})
	}
	p.out = newSink(stdout, credit)
	p.err = p.out
	if stdout != stderr {
		p.err = newSink(stderr, credit)
	}
	s.process, s.open[p.number] = p, p
	return p
}

// EndInit applies Spec.CPU.
func (s *box) EndInit() { s.endInit(nil) }

// endInit applies Spec.CPU, if p is nil or still the process.
func (s *box) endInit(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.throttled || s.group == nil || (p != nil && p != s.process) {
		return
	}
	if err := s.group.LimitCPU(share(s.spec)); err != nil {
		s.d.log.Error("sandbox keeps more processor time than it should", "sandbox", s.spec.ID, "error", err)
		return
	}
	s.throttled = true
}

// share is what a sandbox may use of the processor, in thousandths of a core. The whole machine is no limit.
func share(spec sandbox.Spec) int {
	if n := spec.CPU + engineCPU; n < 1000*runtime.NumCPU() {
		return n
	}
	return 0
}

// unlimit lifts the limit of the processor until the next Start, if p is still the process.
func (s *box) unlimit(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.group == nil || p != s.process {
		return
	}
	s.throttled = true // the next process gets its limits anew
	if err := s.group.LimitCPU(0); err != nil {
		s.d.log.Error("a sandbox that is to die keeps its limit of processor time", "sandbox", s.spec.ID, "error", err)
	}
}

func (s *box) oomKills() int64 {
	if s.group == nil {
		return 0
	}
	n, _ := s.group.OOMKills() // unknown is none
	return n
}

// Usage is zero without control groups. Processor time is gVisor's too.
func (s *box) Usage() sandbox.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.group == nil {
		return sandbox.Usage{}
	}
	u := sandbox.Usage{MaxMemory: s.maxMemory(), OOMKills: s.oomKills()}
	u.CPUTime, _ = s.group.CPUTime()
	return u
}

// MaxMemory is zero without control groups.
func (s *box) MaxMemory() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || s.group == nil {
		return 0
	}
	return s.maxMemory()
}

// maxMemory is without what gVisor used before anything ran in it. The caller holds s.mu.
func (s *box) maxMemory() int64 {
	peak, err := s.group.Peak()
	if err != nil {
		return 0
	}
	return min(max(peak-s.base, 0), s.spec.Memory)
}

// Destroy kills everything and waits until nothing is left.
func (s *box) Destroy() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.destroyed = true
		p := s.process
		s.mu.Unlock()
		s.destroyErr = s.remove()
		if p != nil {
			<-p.done
		}
		s.d.forget(s)
	})
	return s.destroyErr
}
