package runtimeapi

import "sync"

// guaranteed is how many connections Places always has room for, whatever others hold: a runtime needs one or two.
const guaranteed = 4

// A Budget bounds the connections of all sandboxes together, beyond the 4 that each Places has of its own: every connection is an open
// file of ours, and functions must not use those up. Many Places may share one.
type Budget struct{ tokens chan struct{} }

// NewBudget allows n connections.
func NewBudget(n int) *Budget { return &Budget{make(chan struct{}, n)} }

// Use is how many connections are counted against the budget now, and how many may be. A nil Budget answers zeros.
func (b *Budget) Use() (used, most int) {
	if b == nil {
		return 0, 0
	}
	return len(b.tokens), cap(b.tokens)
}

// Places bounds the connections that one listener accepts. Its methods may be called from any goroutine.
type Places struct {
	budget *Budget       // nil without one
	own    chan struct{} // a token for each connection that needs nothing of the budget
	more   chan struct{} // one for each other, and for who waits for the budget

	mu    sync.Mutex // not held by who waits
	drawn int        // connections that have something of the budget; own is full if there are any
}

// NewPlaces has room for at most n connections, of which all but 4 are taken from b. A nil b has no end.
func NewPlaces(n int, b *Budget) *Places {
	return &Places{budget: b, own: make(chan struct{}, min(n, guaranteed)), more: make(chan struct{}, max(n-guaranteed, 0))}
}

// Take waits for room for one more connection. It is false if done was closed before there was any. Those that wait for the budget get
// it in their order, so that whoever closes connections to open others comes after them.
func (p *Places) Take(done <-chan struct{}) bool {
	select {
	case p.own <- struct{}{}:
		return true
	default:
	}
	select {
	case p.own <- struct{}{}:
		return true
	case p.more <- struct{}{}:
	case <-done:
		return false
	}
	if p.budget == nil {
		p.draw()
		return true
	}
	select {
	case p.budget.tokens <- struct{}{}:
		p.draw()
		return true
	case p.own <- struct{}{}:
		<-p.more
		return true
	case <-done:
		<-p.more
		return false
	}
}

// draw notes that there is room among more, unless there is some of its own by now: that is used up first.
func (p *Places) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drawn++
	select {
	case p.own <- struct{}{}:
		p.undraw()
	default:
	}
}

// undraw gives back what draw has noted. The caller holds p.mu.
func (p *Places) undraw() {
	p.drawn--
	if p.budget != nil {
		<-p.budget.tokens
	}
	<-p.more
}

// Free gives the room of one connection back, once for every Take that was true, and never waits. What is of the budget goes back first,
// so that a listener with few connections holds nothing of it.
func (p *Places) Free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		p.undraw()
		return
	}
	<-p.own
}
