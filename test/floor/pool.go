package floor

import (
	"context"
	"sync"
)

// Pool runs events on as many processes of a function as there are events at once, up to a limit, most recent first.
type Pool struct {
	path string
	max  int

	mu    sync.Mutex
	freed sync.Cond
	all   []*Function
	free  []*Function
	going int // being started
}

// NewPool makes an empty pool of at most max processes.
func NewPool(path string, max int) *Pool {
	p := &Pool{path: path, max: max}
	p.freed.L = &p.mu
	return p
}

// Invoke runs the event on a free process, a new one, or the first that becomes free.
func (p *Pool) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	f, err := p.take()
	if err != nil {
		return nil, err
	}
	defer p.put(f)
	return f.Invoke(ctx, event)
}

func (p *Pool) take() (*Function, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) == 0 {
		if len(p.all)+p.going < p.max {
			return p.start()
		}
		p.freed.Wait()
	}
	f := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return f, nil
}

// start makes a process, with the lock let go meanwhile.
func (p *Pool) start() (*Function, error) {
	p.going++
	p.mu.Unlock()
	f, err := Start(p.path)
	p.mu.Lock()
	p.going--
	if err != nil {
		p.freed.Signal()
		return nil, err
	}
	p.all = append(p.all, f)
	return f, nil
}

func (p *Pool) put(f *Function) {
	p.mu.Lock()
	p.free = append(p.free, f)
	p.mu.Unlock()
	p.freed.Signal()
}

// Stop ends all processes.
func (p *Pool) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.all {
		f.Stop()
	}
}
