package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"

	"github.com/enfold-run/enfold/sandbox"
)

// process is a function's process with its descendants.
type process struct {
	cmd  *exec.Cmd
	mark string // an environment entry that only this sandbox's processes have
	done chan struct{}
	exit sandbox.Exit
}

var errRunning = errors.New("process: the sandbox already runs a process")

// Start implements sandbox.Sandbox.
func (b *box) Start(_ context.Context, c sandbox.Command) (sandbox.Process, error) {
	defer closeAll(c.Stdout, c.Stderr)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.destroyed {
		return nil, sandbox.ErrDestroyed
	}
	if b.process != nil && !b.process.dead() {
		return nil, errRunning
	}
	p := &process{cmd: &exec.Cmd{Path: c.Args[0], Args: c.Args, Env: c.Env, Dir: c.Dir}, done: make(chan struct{})}
	p.mark = "ENFOLD_SANDBOX=" + b.spec.ID
	p.cmd.Env = append(p.cmd.Env[:len(p.cmd.Env):len(p.cmd.Env)], p.mark)
	if c.Stdout != nil {
		p.cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		p.cmd.Stderr = c.Stderr
	}
	ownSession(p.cmd)
	b.process = p
	if err := p.cmd.Start(); err != nil {
		p.exit.Err = startError(c.Args[0], err)
		close(p.done)
		return p, nil
	}
	go b.wait(p)
	return p, nil
}

// startError words a failure as a Lambda environment does.
func startError(path string, err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return errors.New("fork/exec " + path + ": " + no.Error())
	}
	return err
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close() // the same file may stand twice: closing it again does nothing
		}
	}
}

func (b *box) wait(p *process) {
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.killAll()
	state := p.cmd.ProcessState
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		p.exit.Signal = ws.Signal().String()
	} else {
		p.exit.Code = state.ExitCode()
	}
	b.mu.Lock()
	b.used.CPUTime += state.UserTime() + state.SystemTime()
	b.used.MaxMemory = max(b.used.MaxMemory, maxRSS(state))
	b.mu.Unlock()
	close(p.done)
}

func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Done implements sandbox.Process.
func (p *process) Done() <-chan struct{} { return p.done }

// Exit implements sandbox.Process.
func (p *process) Exit() sandbox.Exit { return p.exit }

// Kill implements sandbox.Process. What left the session is killed when the first process is dead.
func (p *process) Kill() {
	if !p.dead() && p.cmd.Process != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may be dead by now
	}
}

// Terminate implements sandbox.Process.
func (p *process) Terminate() {
	if !p.dead() && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be dead by now
	}
}
