package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// timeless hides from rapid that t has a deadline, for which one must not ask in a bubble.
type timeless struct{ *testing.T }

// model is what a Session should be, as a table of states would have it.
type model struct {
	t *rapid.T
	s *Session
	l *pipes

	state  state
	id     string     // of the invocation that waits or runs; "" if none
	waits  *peer      // its next is unanswered
	run    chan error // of Run
	cancel context.CancelFunc
	n      int
	fresh  []*peer // to be closed at the end
}

// TestModel plays random calls of both sides and checks each one's outcome once everything has come to rest.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(timeless{t}, func(rt *rapid.T) {
			l := newPipes()
			m := &model{t: rt, s: NewSession(l), l: l}
			defer m.end()
			rt.Repeat(map[string]func(*rapid.T){
				"":           m.check,
				"next":       m.next,
				"run":        m.invoke,
				"cancel":     m.giveUp,
				"answer":     m.answer,
				"init error": m.initError,
				"begin":      m.begin,
				"hang up":    m.hangUp,
			})
		})
	})
}

func (m *model) end() {
	m.s.Close()
	for _, p := range m.fresh {
		p.nc.Close()
	}
	if m.run != nil {
		<-m.run
		m.cancel()
	}
	synctest.Wait()
}

func (m *model) dial() *peer {
	p := &peer{tb: m.t, nc: m.l.dial()}
	m.fresh = append(m.fresh, p)
	return p
}

// ask sends a request on a new connection and returns its reply, nil if there is none yet.
func (m *model) ask(method, path, body string) (*peer, *got) {
	p := m.dial()
	fmt.Fprintf(p.nc, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	synctest.Wait()
	return p, p.poll()
}

// check holds what one can see from outside against the model.
func (m *model) check(rt *rapid.T) {
	synctest.Wait()
	m.s.mu.Lock()
	st := m.s.state
	m.s.mu.Unlock()
	if st != m.state {
		rt.Fatalf("state %v, want %v", st, m.state)
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	var init *InitError
	ready, idle := m.s.WaitReady(now), m.s.WaitIdle(now)
	if want := m.state == stateInitError; errors.As(ready, &init) != want || errors.As(idle, &init) != want {
		rt.Fatalf("ready %v, idle %v in %v", ready, idle, m.state)
	}
	if want := m.state != stateStarted && m.state != stateInitError; (ready == nil) != want {
		rt.Fatalf("ready %v in %v", ready, m.state)
	}
	if want := m.state == stateReady && m.waits != nil; (idle == nil) != want {
		rt.Fatalf("idle %v in %v, waiting %v", idle, m.state, m.waits != nil)
	}
}

func (m *model) next(rt *rapid.T) {
	old := m.waits
	p, g := m.ask("GET", pathNext, "")
	if m.state == stateInitError {
		m.expect(g, 403)
		return
	}
	if old != nil {
		old.wantClosed(rt)
	}
	switch {
	case m.id != "": // now, or once more
		m.waits, m.state = nil, stateRunning
		m.expect(g, 200)
	default:
		m.waits, m.state = p, stateReady
		if g != nil {
			rt.Fatalf("an answer out of nothing: %+v", g)
		}
	}
}

func (m *model) invoke(rt *rapid.T) {
	m.n++
	id := fmt.Sprint("id-", m.n)
	if m.run != nil || m.state == stateInitError {
		if _, err := m.s.Run(context.Background(), &Invocation{RequestID: id}); !errors.Is(err, ErrNotReady) {
			rt.Fatalf("run: %v", err)
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := make(chan error, 1)
	go func() {
		a, err := m.s.Run(ctx, &Invocation{RequestID: id, Payload: []byte(id)})
		if err == nil && string(a.Payload) != "answer to "+id {
			err = fmt.Errorf("got %q", a.Payload)
		}
		run <- err
	}()
	m.run, m.cancel, m.id = run, cancel, id
	if m.waits != nil {
		synctest.Wait()
		m.expect(m.waits.poll(), 200)
		m.waits, m.state = nil, stateRunning
	}
}

func (m *model) giveUp(rt *rapid.T) {
	if m.run == nil {
		rt.Skip("nothing runs")
	}
	m.cancel()
	m.ended(context.Canceled)
}

// ended checks how Run returns.
func (m *model) ended(want error) {
	if err := <-m.run; !errors.Is(err, want) {
		m.t.Fatalf("run: %v, want %v", err, want)
	}
	m.cancel()
	m.run, m.id = nil, ""
}

func (m *model) answer(rt *rapid.T) {
	id := rapid.SampledFrom([]string{"id-0", fmt.Sprint("id-", m.n-1), fmt.Sprint("id-", m.n)}).Draw(rt, "id")
	path := rapid.SampledFrom([]func(string) string{pathResponse, pathError}).Draw(rt, "path")(id)
	_, g := m.ask("POST", path, "answer to "+id)
	switch {
	case m.state == stateStarted, m.state == stateInitError, m.state == stateReady:
		m.expect(g, 403)
	case m.state == stateRunning && id == m.id:
		m.expect(g, 202)
		m.state = stateSent
		m.ended(nil)
	default:
		m.expect(g, 400)
	}
}

func (m *model) initError(*rapid.T) {
	_, g := m.ask("POST", pathInit, "{}")
	if m.state != stateStarted {
		m.expect(g, 403)
		return
	}
	m.expect(g, 202)
	m.state = stateInitError
	if m.run != nil {
		m.ended(ErrNotReady)
	}
}

func (m *model) begin(rt *rapid.T) {
	m.s.Begin()
	synctest.Wait()
	if m.waits != nil {
		m.waits.wantClosed(rt)
	}
	if m.run != nil {
		m.ended(ErrNotReady)
	}
	m.state, m.waits = stateStarted, nil
}

// hangUp ends the connection of a waiting next. The state stays, but nobody waits.
func (m *model) hangUp(rt *rapid.T) {
	if m.waits == nil {
		rt.Skip("nobody waits")
	}
	m.waits.nc.Close()
	synctest.Wait()
	m.waits = nil
}

func (m *model) expect(g *got, status int) {
	m.t.Helper()
	switch {
	case g == nil:
		m.t.Fatalf("no reply, want %d", status)
	case g.status != status:
		m.t.Fatalf("reply %+v, want %d", g, status)
	case status == http.StatusOK && g.body != m.id:
		m.t.Fatalf("event %q, want %q", g.body, m.id)
	}
}

// wantClosed checks that the other side closed the connection.
func (p *peer) wantClosed(rt *rapid.T) {
	if _, err := p.nc.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		rt.Fatalf("the connection goes on: %v", err)
	}
}
