package guest

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

// stdio are a process's standard files: its own ends, and ours.
type stdio struct {
	theirs   [3]uintptr
	open     []*os.File // their ends
	stdin    *os.File   // nil if its input is empty
	out, err *os.File   // err is nil if both are one
}

// openFiles makes them. What it has made so far is in the result even when it fails.
func openFiles(s Start) (f stdio, err error) {
	if s.Input {
		r, w, err := os.Pipe()
		if err != nil {
			return f, err
		}
		f.stdin, f.open = w, append(f.open, r)
	} else {
		null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
		if err != nil {
			return f, err
		}
		f.open = append(f.open, null)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return f, err
	}
	f.out, f.open = r, append(f.open, w)
	if !s.One {
		if r, w, err = os.Pipe(); err != nil {
			return f, err
		}
		f.err, f.open = r, append(f.open, w)
	}
	f.theirs = [3]uintptr{f.open[0].Fd(), f.open[1].Fd(), f.open[len(f.open)-1].Fd()}
	return f, nil
}

func (f stdio) streams() []*stream {
	all := []*stream{{kind: KindOutput, from: f.out}}
	if f.err != nil {
		all = append(all, &stream{kind: KindErrors, from: f.err})
	}
	return all
}

func (f stdio) closeTheirs() {
	for _, file := range f.open {
		file.Close()
	}
}

func (f stdio) close() {
	for _, file := range append(f.open, f.stdin, f.out, f.err) {
		if file != nil {
			file.Close()
		}
	}
}

// A stream is one of a process's outputs.
type stream struct {
	kind Kind
	from *os.File

	mu  sync.Mutex // held while something is read and sent, so that it is sent in order
	buf [chunk]byte
}

// relay sends what the process and its descendants write, until nobody can write any more.
func (g *guest) relay(p *process) {
	var streams sync.WaitGroup
	for _, s := range p.streams {
		streams.Go(func() { g.pump(p, s) })
	}
	go func() {
		streams.Wait()
		g.mu.Lock()
		delete(g.processes, p.number)
		g.mu.Unlock()
		g.send(Frame{Kind: KindClosed, Process: p.number})
	}()
}

func (g *guest) pump(p *process, s *stream) {
	defer s.from.Close()
	conn, err := s.from.SyscallConn()
	for err == nil {
		most, n := g.borrow(p), 0
		waited := conn.Read(func(fd uintptr) bool {
			n, err = g.pass(p, s, int(fd), most)
			return !errors.Is(err, syscall.EAGAIN)
		})
		g.lend(p.number, most-max(n, 0))
		err = errors.Join(err, waited)
	}
}

// pass sends what a stream has now, up to most bytes. An error is its end, but for EAGAIN: there is nothing.
func (g *guest) pass(p *process, s *stream, fd, most int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n, err := syscall.Read(fd, s.buf[:most])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		g.send(Frame{Kind: s.kind, Process: p.number, Body: s.buf[:n]})
		return n, nil
	}
}

// flush sends what a process has written so far, as much as may be sent, and says so.
func (g *guest) flush(f Frame) {
	g.mu.Lock()
	p := g.processes[f.Process]
	g.mu.Unlock()
	if p != nil {
		for _, s := range p.streams {
			g.drain(p, s)
		}
	}
	g.send(Frame{Kind: KindFlushed, Process: f.Process, Body: f.Body})
}

func (g *guest) drain(p *process, s *stream) {
	conn, err := s.from.SyscallConn()
	for err == nil {
		most, n := g.spareCredit(p), 0
		if most == 0 {
			return
		}
		control := conn.Control(func(fd uintptr) { n, err = g.pass(p, s, int(fd), most) })
		g.lend(p.number, most-max(n, 0))
		err = errors.Join(err, control)
	}
}

// spareCredit is borrow without waiting.
func (g *guest) spareCredit(p *process) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := max(min(p.credit, chunk), 0)
	p.credit -= n
	return n
}

// borrow waits until something may be sent, and says how much.
func (g *guest) borrow(p *process) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p.credit <= 0 {
		g.changed.Wait()
	}
	n := min(p.credit, chunk)
	p.credit -= n
	return n
}

// lend lets a process's output go on.
func (g *guest) lend(process uint32, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.processes[process]; p != nil {
		p.credit += n
		g.changed.Broadcast()
	}
}

// feed passes its standard input on to a process. No bytes are the end.
func (p *process) feed() {
	defer p.stdin.Close()
	for body := range p.input {
		if len(body) == 0 {
			return
		}
		if _, err := p.stdin.Write(body); err != nil {
			break
		}
	}
	p.stdin.Close()
	for range p.input { // so that nobody waits for it
	}
}
