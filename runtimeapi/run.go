package runtimeapi

import (
	"context"
)

// Run hands the event to the waiting runtime, or to the first that calls next, and waits for its response or error.
//
// It returns ctx's error when ctx ends: the runtime is then still busy, a late answer of it is refused, and the caller
// will want to kill it. A Stream that is being written to is waited for even so, so its Write must fail when ctx ends. Run
// does not notice that the process died: end ctx then.
//
// With ErrTooLarge, ErrTruncated, ErrResponseMode and errors of writing to the Stream comes an Answer that tells whether
// and how much was streamed. ErrNotReady: another Run is running, initialization failed, or Begin was called.
func (s *Session) Run(ctx context.Context, inv *Invocation) (*Answer, error) {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrSessionClosed
	case s.busy, s.failed != nil:
		s.mu.Unlock()
		return nil, ErrNotReady
	}
	s.busy, s.over, s.inv = true, false, inv
	done := ctx.Done()
	for {
		if s.over && s.streamer == nil {
			a, err := s.answer, s.err
			s.busy, s.answer, s.err = false, nil, nil
			s.mu.Unlock()
			return a, err
		}
		c := s.take()
		s.mu.Unlock()
		if c != nil {
			c.deliver(ctx, inv)
		}
		select {
		case <-s.wake:
			s.mu.Lock()
		case <-done:
			done = nil
			s.mu.Lock()
			s.abandon(ctx.Err())
		}
	}
}

// take takes the waiting connection to write the event to. A runtime that asks again while it has the event gets it again,
// because its first connection may have broken.
func (s *Session) take() *conn {
	if s.inv == nil || s.parked == nil {
		return nil
	}
	c := s.parked
	s.parked, s.state = nil, stateRunning
	return c
}

// abandon gives the invocation up. An answer that is being uploaded is cut off.
func (s *Session) abandon(err error) {
	s.end(nil, err)
	if s.receiver != nil && (s.state == stateResponse || s.state == stateErrorAnswer) {
		s.receiver.nc.Close()
		s.receiver, s.state = nil, stateSent
	}
}

// park makes c the waiting connection. A reply says why not; cut that c is of a dead process.
func (s *Session) park(c *conn) (r *reply, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gen != s.gen || s.closed {
		return nil, true
	}
	switch s.state {
	case stateInitError, stateResponse, stateErrorAnswer, stateHeld, stateRestoreError:
		return replyTransition(s.state, stateReady), false
	case stateStarted, stateRestoring:
		if s.snap.holds() {
			return replyTransition(s.state, stateReady), false // it has never asked to be restored
		}
		if s.receiver != nil { // it is about to have said that it cannot start: it gets no event meanwhile
			return replyTransition(stateInitError, stateReady), false
		}
		// The last process may have connected and died before Begin, and been accepted after it.
		if gone(c.nc) {
			return nil, true
		}
		close(s.inited)
	}
	s.unpark()
	s.parked = c
	if s.state != stateRunning || s.inv == nil {
		s.state = stateReady
	}
	if s.inv != nil {
		s.signal()
	}
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	return nil, false
}

// receive lets c upload the answer to the running invocation, or says why not.
func (s *Session) receive(c *conn) (inv *Invocation, r *reply, cut bool) {
	to := stateResponse
	if c.q.route == routeError {
		to = stateErrorAnswer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gen != s.gen || s.closed {
		return nil, nil, true
	}
	switch s.state {
	case stateStarted, stateInitError, stateReady, stateHeld, stateRestoring, stateRestoreError:
		return nil, replyTransition(s.state, to), false
	case stateRunning:
		if s.inv != nil && c.q.is(s.inv.RequestID) {
			break
		}
		return nil, replyInvalidID, false
	default:
		return nil, replyInvalidID, false
	}
	s.state, s.receiver = to, c
	if s.inv.Stream != nil && to == stateResponse {
		s.streamer = c
	}
	return s.inv, nil, false
}

// received ends the upload of c. It counts unless the invocation was given up meanwhile.
func (s *Session) received(c *conn, a *Answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiver == c {
		s.receiver, s.state = nil, stateSent
		s.end(a, err)
	}
	if s.streamer == c {
		s.streamer = nil
		s.signal()
	}
}

// failing is the state in which a runtime may post an error of its start, and the one that this brings it to.
func (r route) failing() (from, to state) {
	if r == routeRestoreError {
		return stateRestoring, stateRestoreError
	}
	return stateStarted, stateInitError
}

// receiveInit lets c upload an init or restore error, or says why not.
func (s *Session) receiveInit(c *conn) (r *reply, cut bool) {
	from, to := c.q.route.failing()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gen != s.gen || s.closed {
		return nil, true
	}
	if s.state != from || s.receiver != nil {
		return replyTransition(s.state, to), false
	}
	s.receiver = c
	return nil, false
}

// receivedInit ends the upload of an init or restore error; nil if it came to nothing.
func (s *Session) receivedInit(c *conn, e *InitError) *reply {
	from, to := c.q.route.failing()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiver != c {
		return replyTransition(s.state, to)
	}
	s.receiver = nil
	if s.state != from {
		return replyTransition(s.state, to)
	}
	if e != nil {
		if s.state, s.failed = to, e; to == stateRestoreError {
			s.failed = &RestoreError{*e}
		}
		s.end(nil, ErrNotReady)
		close(s.inited)
	}
	return replyAccepted
}
