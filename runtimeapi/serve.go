package runtimeapi

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// maxConns is how many connections a sandbox may hold. More wait in the kernel until one is closed.
const maxConns = 128

// Session is the Runtime API of one sandbox, for one runtime process after another. Its methods may be called from any
// goroutine.
type Session struct {
	l      net.Listener
	places *Places       // for connections that were accepted
	done   chan struct{} // closed by Close
	wg     sync.WaitGroup
	wake   chan struct{} // one token: Run shall look again
	snap   *Snap         // nil without SnapStart

	mu      sync.Mutex
	closed  bool
	gen     uint64 // counts runtime processes
	conns   map[*conn]struct{}
	state   state
	inited  chan struct{} // closed when the runtime is ready or has failed
	failed  error         // *InitError or *RestoreError
	held    chan struct{} // closed when restore/next is held
	holding *conn         // has it unanswered
	hushed  bool          // no connection is taken any more
	emptied chan struct{} // closed when there is no connection left; nil if nobody waits
	idle    chan struct{} // closed at the next park; nil if nobody waits
	parked  *conn         // has an unanswered next

	// The invocation of Run.
	busy     bool        // Run is running
	inv      *Invocation // nil once it is over
	over     bool        // answer and err are what Run returns
	answer   *Answer
	err      error
	receiver *conn // uploads the answer, or an init error
	streamer *conn // writes to Invocation.Stream: Run must not return before it is done
}

// An Option changes how a Session serves.
type Option func(*Session)

// Within takes the connections of a Session, but for 4, from b, which it shares with others: when there is nothing left,
// more wait in the kernel. A nil b has no end.
func Within(b *Budget) Option {
	return func(s *Session) { s.places = NewPlaces(maxConns, b) }
}

// NewSession serves l until Close, as if Begin had been called.
func NewSession(l net.Listener, opts ...Option) *Session { return newSession(l, nil, opts) }

func newSession(l net.Listener, snap *Snap, opts []Option) *Session {
	s := &Session{
		l:      l,
		snap:   snap,
		done:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		conns:  make(map[*conn]struct{}),
		inited: make(chan struct{}),
		held:   make(chan struct{}),
	}
	for _, o := range opts {
		o(s)
	}
	if s.places == nil {
		s.places = NewPlaces(maxConns, nil)
	}
	s.wg.Add(1)
	go s.accept()
	return s
}

// Begin says that a fresh process is about to start, after the last one died: what that one did is forgotten, its
// connections are cut, and a Run that still waits for it ends with ErrNotReady.
func (s *Session) Begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.cutAll(ErrNotReady)
	if !s.starting() {
		s.inited = make(chan struct{})
	}
	if s.state == stateHeld {
		s.held, s.holding = make(chan struct{}), nil
	}
	s.state, s.failed = stateStarted, nil
}

// Close stops serving, ends every wait with ErrSessionClosed and returns when all goroutines are gone. It closes the
// listener.
func (s *Session) Close() error {
	s.shut()
	err := s.l.Close()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// shut ends everything but the listener.
func (s *Session) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.done)
	s.cutAll(ErrSessionClosed)
}

// cutAll cuts all connections and ends the invocation with err.
func (s *Session) cutAll(err error) {
	s.end(nil, err)
	s.unpark()
	s.receiver = nil
	for c := range s.conns {
		c.nc.Close()
	}
	clear(s.conns)
}

// end gives Run what it returns, unless it has it already.
func (s *Session) end(a *Answer, err error) {
	if s.busy && !s.over {
		s.over, s.answer, s.err, s.inv = true, a, err, nil
		s.signal()
	}
}

// unpark cuts the connection of a next that will not be answered.
func (s *Session) unpark() {
	if c := s.parked; c != nil {
		s.parked = nil
		c.nc.Close()
		c.released <- struct{}{}
	}
}

func (s *Session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Serve serves a connection that is there already, of a bootstrap of ours that runs now or is about to. It is closed with the session.
// A bootstrap that asks for an event together with an answer learns with the event that the answer was accepted, not before.
// It counts for none of the connections that a sandbox may hold: a function may hold all of those by then, and nobody waits for it here.
func (s *Session) Serve(nc net.Conn) { s.add(nc, true) }

// accept serves connections until the listener is closed, by Close or with the sandbox.
func (s *Session) accept() {
	defer s.wg.Done()
	defer s.shut()
	pause := time.Duration(0)
	for {
		if !s.places.Take(s.done) {
			return
		}
		nc, err := s.l.Accept()
		if err == nil {
			pause = 0
			s.add(nc, false)
			continue
		}
		s.places.Free()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(2*pause+time.Millisecond, time.Second) // no file descriptors: they come back
		select {
		case <-time.After(pause):
		case <-s.done:
			return
		}
	}
}

// add serves a connection, which is of the process that runs now.
func (s *Session) add(nc net.Conn, own bool) {
	c := &conn{s: s, nc: nc, own: own, in: newReader(nc), released: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.hushed {
		nc.Close()
		s.free(own)
		return
	}
	c.gen = s.gen
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	go c.serve()
}

// remove forgets a connection that has ended.
func (s *Session) remove(c *conn) {
	s.mu.Lock()
	if s.parked == c {
		s.parked = nil
	}
	if s.holding == c {
		s.holding = nil
	}
	delete(s.conns, c)
	if s.emptied != nil && len(s.conns) == 0 {
		close(s.emptied)
		s.emptied = nil
	}
	s.mu.Unlock()
	c.nc.Close()
	s.free(c.own)
	s.wg.Done()
}

// free gives the place of a connection back, if it had one.
func (s *Session) free(own bool) {
	if !own {
		s.places.Free()
	}
}

// WaitReady waits until the runtime calls next for the first time since Begin. It returns the *InitError or *RestoreError if the
// runtime posted one instead, ErrSessionClosed, or ctx's error. What has happened before ctx ended counts. It does not notice that
// the process died.
func (s *Session) WaitReady(ctx context.Context) error {
	for ended := false; ; {
		s.mu.Lock()
		st, failed, inited, closed := s.state, s.failed, s.inited, s.closed
		s.mu.Unlock()
		switch {
		case closed:
			return ErrSessionClosed
		case failed != nil:
			return failed
		case !st.starting():
			return nil
		case ended:
			return ctx.Err()
		}
		select {
		case <-inited:
		case <-s.done:
		case <-ctx.Done():
			ended = true
		}
	}
}

// WaitIdle waits until the runtime has called next and waits for an event, so that its process may be frozen. It returns
// the *InitError or *RestoreError if there will be no such call, ErrSessionClosed, or ctx's error. Run does not need it: an event waits
// for the next call of next.
func (s *Session) WaitIdle(ctx context.Context) error {
	for {
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return ErrSessionClosed
		case s.failed != nil:
			defer s.mu.Unlock()
			return s.failed
		case s.waits():
			s.mu.Unlock()
			return nil
		}
		if s.idle == nil {
			s.idle = make(chan struct{})
		}
		idle, inited := s.idle, s.inited
		if !s.starting() {
			inited = nil
		}
		s.mu.Unlock()
		select {
		case <-idle:
		case <-inited:
		case <-s.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Idle says whether WaitIdle would return nil at once.
func (s *Session) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.waits()
}

// waits says whether the runtime waits for an event. The caller holds s.mu.
func (s *Session) waits() bool { return s.state == stateReady && s.parked != nil && s.inv == nil }

// Connected says whether the runtime has connections, accepted or not. A dead one has them until all that it sent is read.
func (s *Session) Connected() bool {
	if pending(s.l) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) > 0
}
