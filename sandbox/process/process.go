package process

import (
	"os"
	"os/exec"
	"sync"

	"github.com/enfold-run/enfold/sandbox"
)

// A process is a function's first process with its descendants.
type process struct {
	box  *box
	proc *os.Process // nil if it could not be started
	done chan struct{}

	mu   sync.Mutex
	dead bool // reaped: its pid may be somebody else's
	exit sandbox.Exit
}

// start runs a command. A failure is the process's Exit.
func start(s *box, cmd sandbox.Command) *process {
	p := &process{box: s, done: make(chan struct{})}
	c := exec.Command(cmd.Args[0])
	c.Args, c.Env, c.Dir = cmd.Args, cmd.Env, cmd.Dir
	// Fd makes a file blocking: a function does not expect a write to fail because the reader is slow.
	if cmd.Stdout != nil {
		cmd.Stdout.Fd()
		c.Stdout = cmd.Stdout
	}
	if cmd.Stderr != nil {
		cmd.Stderr.Fd()
		c.Stderr = cmd.Stderr
	}
	c.SysProcAttr = sysProcAttr()
	if err := s.d.starter.start(c); err != nil {
		p.exit = sandbox.Exit{Err: err}
		close(p.done)
		return p
	}
	p.proc = c.Process
	go p.wait(c)
	return p
}

func (p *process) wait(c *exec.Cmd) {
	c.Wait() // the state says all
	p.mu.Lock()
	p.dead = true
	p.exit = exitOf(c.ProcessState)
	p.mu.Unlock()
	killRest(p.proc.Pid, p.box.marker())
	p.box.used(c.ProcessState)
	close(p.done)
}

// Done is closed when it is dead and its descendants, as far as they can be found, are killed.
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

// Kill kills it and its process group; Done follows when the rest is killed too.
func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc != nil && !p.dead {
		killGroup(p.proc)
	}
}

// Terminate asks it to end.
func (p *process) Terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc != nil && !p.dead {
		terminate(p.proc)
	}
}
