//go:build amd64 || arm64

package gvisor

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

// A process is a function's first process with its descendants.
type process struct {
	box      *box
	engine   *engine
	number   uint32
	dir      string      // where it was started
	oomKills int64       // of the sandbox, before it
	boost    *time.Timer // ends init
	started  chan error  // the answer to Start
	done     chan struct{}
	out, err *sink // what it writes; both are one if the files are

	flushes, flushed atomic.Uint32 // asked for, and the last that was answered

	exited, silent bool // below box.mu: it has ended, its output has

	mu     sync.Mutex
	killed bool
	exit   sandbox.Exit
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

// Exit is how it ended.
func (p *process) Exit() sandbox.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// Kill kills it and its descendants. If that is not done within patience, the sandbox's gVisor ends with them.
func (p *process) Kill() {
	p.mu.Lock()
	first := !p.killed
	p.killed = true
	p.mu.Unlock()
	if p.isDone() || !first {
		return
	}
	p.box.unlimit(p) // what is to die needs the processor for that
	p.tell(guest.KindKill)
	go func() {
		late := time.NewTimer(killPatience)
		defer late.Stop()
		select {
		case <-p.done:
		case <-late.C:
			p.box.d.log.Error("a process does not die, so its sandbox's gVisor ends", "sandbox", p.box.spec.ID)
			p.engine.kill()
		}
	}()
}

// killPatience is how long a function may take to die.
const killPatience = 20 * time.Second

// Terminate asks it to end.
func (p *process) Terminate() { p.tell(guest.KindTerm) }

// tell sends an order that is about this process.
func (p *process) tell(k guest.Kind) {
	p.box.mu.Lock()
	defer p.box.mu.Unlock()
	if p.isDone() || p.box.destroyed {
		return
	}
	err := p.box.thaw()
	if err == nil {
		err = p.engine.send(guest.Frame{Kind: k, Process: p.number})
	}
	if err != nil {
		p.engine.kill() // it does not listen, so all of it goes
	}
}

func (p *process) endInitIn(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isDone() {
		p.boost = time.AfterFunc(d, func() { p.box.endInit(p) })
	}
}

// Flush waits until what it has written is on its way no more.
func (p *process) Flush(patience time.Duration) {
	n := p.flushes.Add(1)
	if p.isDone() || p.engine.send(guest.Frame{Kind: guest.KindFlush, Process: p.number, Body: guest.Number(n)}) != nil {
		return
	}
	for begun := time.Now(); time.Since(begun) < patience && !p.isDone(); {
		if p.flushed.Load() == n && p.out.isEmpty() && p.err.isEmpty() {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// settle finishes it with the status that gVisor's kernel gave.
func (p *process) settle(ws syscall.WaitStatus) {
	e := sandbox.Exit{Code: ws.ExitStatus()}
	if ws.Signaled() {
		e = sandbox.Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal().String()}
		// The host's kernel may have killed what the process runs in on the host, and not all of gVisor: that goes on, and has the
		// process killed.
		e.OOM = ws.Signal() == syscall.SIGKILL && p.outOfMemory()
	}
	p.finish(e)
}

// lost finishes it when gVisor has gone: because it was to, or because the host's kernel has killed it for want of memory.
func (p *process) lost() {
	p.finish(sandbox.Exit{Code: 137, Signal: syscall.SIGKILL.String(), OOM: p.outOfMemory()})
}

// outOfMemory says that the host's kernel has killed something for want of memory while it ran, and that nobody asked us to. The
// kernel counts before it kills.
func (p *process) outOfMemory() bool {
	p.mu.Lock()
	killed := p.killed
	p.mu.Unlock()
	return !killed && p.box.oomKills() > p.oomKills
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

// A sink passes what a process writes on to a file, in order. Its reader may be slow: nobody waits for it but the process.
type sink struct {
	file   *os.File
	credit func(n int) // says that n bytes more may come

	mu      sync.Mutex
	changed sync.Cond
	waiting [][]byte
	size    int // of what is waiting
	ended   bool
}

func newSink(file *os.File, credit func(int)) *sink {
	s := &sink{file: file, credit: credit}
	s.changed.L = &s.mu
	if file != nil {
		go s.write()
	}
	return s
}

// put takes bytes over. It is false if they are more than were asked for.
func (s *sink) put(b []byte) bool {
	if s.file == nil {
		s.credit(len(b))
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.size+len(b) > guest.Window {
		return false
	}
	s.size += len(b)
	s.waiting = append(s.waiting, b)
	s.changed.Signal()
	return true
}

// isEmpty says that all has been written.
func (s *sink) isEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size == 0
}

// end closes the file once it has everything.
func (s *sink) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Signal()
}

func (s *sink) write() {
	defer s.file.Close()
	for {
		s.mu.Lock()
		for len(s.waiting) == 0 && !s.ended {
			s.changed.Wait()
		}
		todo := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		if len(todo) == 0 {
			return
		}
		for _, b := range todo {
			_, _ = s.file.Write(b) // with no reader left it is lost, as the function's own would be
			s.mu.Lock()
			s.size -= len(b)
			s.mu.Unlock()
			s.credit(len(b))
		}
	}
}
