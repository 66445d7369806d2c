package sqlite

import (
	"sync"

	"github.com/enfold-run/enfold/store"
)

// gate counts the calls under way, so that Close can wait for them and turn away those that come later.
type gate struct {
	mu     sync.RWMutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return store.ErrClosed
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// close waits until all have left. The second close answers ErrClosed.
func (g *gate) close() error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return store.ErrClosed
	}
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return nil
}
