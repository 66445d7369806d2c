package guest

import (
	"os"
	"sync"
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

// relay sends what the process and its descendants write, until nobody can write any more.
func (g *guest) relay(p *process, f stdio) {
	var streams sync.WaitGroup
	streams.Go(func() { g.pump(p, KindOutput, f.out) })
	if f.err != nil {
		streams.Go(func() { g.pump(p, KindErrors, f.err) })
	}
	go func() {
		streams.Wait()
		g.mu.Lock()
		delete(g.processes, p.number)
		g.mu.Unlock()
		g.send(Frame{Kind: KindClosed, Process: p.number})
	}()
}

func (g *guest) pump(p *process, k Kind, from *os.File) {
	defer from.Close()
	buf := make([]byte, chunk)
	for {
		most := g.borrow(p)
		n, err := from.Read(buf[:most])
		if n > 0 {
			g.send(Frame{Kind: k, Process: p.number, Body: buf[:n]})
		}
		g.lend(p.number, most-n)
		if err != nil {
			return
		}
	}
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
