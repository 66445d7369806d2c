//go:build amd64 || arm64

package namespace

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

var _ sandbox.Channeled = (*process)(nil)

// A process is a function's first process with its descendants.
type process struct {
	box      *box
	oomKills int64       // of the sandbox, before it
	boost    *time.Timer // ends init
	done     chan struct{}

	mu      sync.Mutex
	killed  bool
	exit    sandbox.Exit
	channel net.Conn // our end, nil without
}

// Done is closed when all of it is dead.
func (p *process) Done() <-chan struct{} { return p.done }

func (p *process) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Channel is our end of its connection, nil if it has none.
func (p *process) Channel() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.channel
}

// connect takes our end over.
func (p *process) connect(fd int) error {
	f := os.NewFile(uintptr(fd), "channel")
	defer f.Close() // FileConn has a copy
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channel = c
	return nil
}

// hangUp closes our end.
func (p *process) hangUp() {
	if c := p.Channel(); c != nil {
		c.Close()
	}
}

// Exit is how it ended.
func (p *process) Exit() sandbox.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// Kill kills it and its descendants. A thousand of them that spin leave little of the sandbox's share of the processor to the first
// process, which is to do it: so that share is no longer limited, and the server kills with it, until all are dead.
func (p *process) Kill() {
	p.mu.Lock()
	first := !p.killed
	p.killed = true
	p.mu.Unlock()
	p.tell(pid1.KindKill)
	if first && p.box.blank.group != nil {
		go p.insist()
	}
}

// insist kills from outside until the process is done. After patience the whole sandbox goes.
func (p *process) insist() {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-p.done:
			return
		case <-time.After(insistEvery):
		}
		if !p.box.killFromOutside(p) {
			return
		}
	}
	p.box.d.log.Error("a process does not die, so its sandbox ends", "sandbox", p.box.spec.ID)
	p.box.blank.process.Kill()
}

// insistEvery is how long the first process has before it is helped, again and again.
const insistEvery = 20 * time.Millisecond

// killFromOutside kills p's processes, all but ours. It is false if there is nothing to be done any more.
func (s *box) killFromOutside(p *process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.destroyed || p.isDone() {
		return false
	}
	g := s.blank.group
	s.throttled = true // the next process gets its limits anew
	if err := g.LimitCPU(0); err != nil {
		s.d.log.Error("a sandbox that is to die keeps its limit of processor time", "sandbox", s.spec.ID, "error", err)
	}
	if _, err := g.Kill(s.blank.process.Pid); err != nil {
		s.d.log.Error("the processes of a sandbox cannot be killed from outside", "sandbox", s.spec.ID, "error", err)
	}
	return true
}

// Terminate asks it to end.
func (p *process) Terminate() { p.tell(pid1.KindTerm) }

// tell sends an order that is about this process: not once it is done, when it would be about the next one.
func (p *process) tell(k pid1.Kind) {
	p.box.mu.Lock()
	defer p.box.mu.Unlock()
	if p.isDone() || p.box.destroyed {
		return
	}
	if err := p.box.thaw(); err != nil {
		p.box.d.log.Error("a frozen process cannot be told to end", "error", err)
	}
	if p.box.blank.control.send(k, nil) != nil {
		p.box.blank.process.Kill() // it does not listen, so all of it goes
	}
}

func (p *process) endInitIn(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isDone() {
		p.boost = time.AfterFunc(d, func() { p.box.endInit(p) })
	}
}

// settle finishes it with the status that the kernel gave.
func (p *process) settle(ws syscall.WaitStatus) {
	e := sandbox.Exit{Code: ws.ExitStatus()}
	if ws.Signaled() {
		e = sandbox.Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal().String()}
		e.OOM = ws.Signal() == syscall.SIGKILL && p.outOfMemory()
	}
	p.finish(e)
}

// outOfMemory says that the kernel has killed something for want of memory while it ran, and that nobody asked us to.
func (p *process) outOfMemory() bool {
	p.mu.Lock()
	killed := p.killed
	p.mu.Unlock()
	g := p.box.blank.group
	if killed || g == nil {
		return false
	}
	n, err := g.OOMKills()
	return err == nil && n > p.oomKills
}

// finish is for the first caller.
func (p *process) finish(e sandbox.Exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isDone() {
		return
	}
	p.exit = e
	if p.boost != nil {
		p.boost.Stop()
	}
	close(p.done)
}
