package runtimeapi

import (
	"context"
	"crypto/subtle"
	"net"
	"time"
)

// CredentialsPath is where a function with SnapStart gets its credentials, instead of from its environment.
const CredentialsPath = "/2021-04-23/credentials"

// LogStreamHeader is what the answer to restore/next names the sandbox's own log stream in: our bootstraps put it into the environment,
// where a snapshot has that of the sandbox that it was made of.
const LogStreamHeader = "Enfold-Log-Stream"

// Snap is what the Session of a function with SnapStart has besides: the routes restore/next, restore/error and credentials.
// See https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html.
type Snap struct {
	// Hold leaves restore/next unanswered: the sandbox is to be stored then, or waits for Release. Otherwise it is answered at once.
	Hold      bool
	LogStream string // of the sandbox
	// Token is what whoever asks for credentials has to show.
	Token string
	// Credentials are the JSON document of the credentials as they are now. It must not block.
	Credentials func() []byte
}

// RestoreError is what the runtime posted to /runtime/restore/error.
type RestoreError struct{ InitError }

func (e *RestoreError) Error() string { return "runtimeapi: restore error " + e.ErrorType }

// NewSnapSession is NewSession for a function with SnapStart.
func NewSnapSession(l net.Listener, snap Snap, opts ...Option) *Session {
	return newSession(l, &snap, opts)
}

func (s *Snap) holds() bool { return s != nil && s.Hold }

// credentials is the answer to who shows token.
func (s *Snap) credentials(token string) *reply {
	if s.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1 {
		return replyNoCredentials
	}
	return &reply{status: "200 OK", contentType: typeJSON, body: string(s.Credentials())}
}

// starting says that the runtime has yet to become ready, or to fail.
func (s state) starting() bool { return s == stateStarted || s == stateHeld || s == stateRestoring }

func (s *Session) starting() bool { return s.state.starting() && s.failed == nil }

// restoreNext answers the runtime that wants to be stored: at once, unless that is what happens.
func (c *conn) restoreNext(d *body) bool {
	if c.q.expects || d.discard(maxLine) != nil {
		return c.finish(d, replyMalformed)
	}
	r, cut := c.s.restoring(c)
	switch {
	case cut:
		return false
	case r != nil:
		return c.finish(d, r)
	}
	return true // it hangs up when Quiet has, or Release answers
}

// restoring notes a restore/next. Without a reply c is to be left unanswered.
func (s *Session) restoring(c *conn) (r *reply, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := stateRestoring
	if s.snap.Hold {
		to = stateHeld
	}
	switch {
	case c.gen != s.gen || s.closed:
		return nil, true
	case s.state != stateStarted && s.state != to || s.receiver != nil:
		return replyTransition(s.state, to), false
	case s.state == stateStarted && gone(c.nc):
		return nil, true // of the last process
	}
	first := s.state == stateStarted
	s.state = to
	if !s.snap.Hold {
		return s.restoredReply(), false
	}
	s.holding = c
	if first {
		close(s.held)
	}
	return nil, false
}

// WaitHeld waits until the runtime of a Session that holds has called restore/next. Otherwise it is as WaitReady.
func (s *Session) WaitHeld(ctx context.Context) error {
	for {
		s.mu.Lock()
		st, failed, inited, held := s.state, s.failed, s.inited, s.held
		s.mu.Unlock()
		switch {
		case st == stateHeld:
			return nil
		case failed != nil:
			return failed
		}
		select {
		case <-held:
		case <-inited:
		case <-s.done:
			return ErrSessionClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience is how long Quiet waits for a runtime to hang up.
const patience = time.Second

// Quiet ends all connections, the runtime's side of them if possible, and takes no others. It is for a sandbox that is to be stored:
// a connection would be stored too, and be broken in what is restored.
func (s *Session) Quiet() {
	s.mu.Lock()
	s.hushed = true
	emptied := make(chan struct{})
	if s.emptied = emptied; len(s.conns) == 0 {
		close(emptied)
		s.emptied = nil
	}
	for c := range s.conns {
		if half, ok := c.nc.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
			c.nc.Close()
		}
	}
	s.mu.Unlock()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-emptied:
		return
	case <-timeout.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.nc.Close()
	}
}

// Release ends holding: restore/next is answered, now if the runtime waits for that.
func (s *Session) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.snap.holds() {
		return
	}
	s.snap.Hold = false
	if s.state != stateHeld {
		return
	}
	s.state, s.held = stateRestoring, make(chan struct{})
	c := s.holding
	if s.holding = nil; c == nil {
		return // it has hung up, and asks again
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.nc.Write(appendReply(nil, s.restoredReply(), false, false))
	if err != nil || c.nc.SetWriteDeadline(time.Time{}) != nil {
		c.nc.Close()
	}
}

// restoredReply is the answer to restore/next.
func (s *Session) restoredReply() *reply { return &reply{status: "200 OK", stream: s.snap.LogStream} }

// isHolding says that c has an unanswered restore/next, and may ask for nothing else.
func (s *Session) isHolding(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holding == c
}
