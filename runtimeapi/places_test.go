package runtimeapi

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// guest is a sandbox with a session of its own in a bubble.
type guest struct {
	t *testing.T
	s *Session
	l *pipes
}

func newGuest(t *testing.T, b *Budget) *guest {
	l := newPipes()
	return &guest{t, NewSession(l, Within(b)), l}
}

// open dials, and answers at once when everything is at rest: what is not accepted waits, and is then sent when it is.
func (g *guest) open() (later chan *peer, p *peer) {
	g.t.Helper()
	later = make(chan *peer, 1)
	client, server := net.Pipe()
	g.t.Cleanup(func() { client.Close() })
	go func() {
		select {
		case g.l.conns <- server:
			later <- newPeer(g.t, client)
		case <-g.l.closed:
		}
	}()
	return later, arrived(later)
}

func arrived(later chan *peer) *peer {
	synctest.Wait()
	select {
	case p := <-later:
		return p
	default:
		return nil
	}
}

// served opens n connections and checks that all are answered.
func (g *guest) served(n int) []*peer {
	g.t.Helper()
	var all []*peer
	for i := range n {
		_, p := g.open()
		if p == nil {
			g.t.Fatalf("connection %d was not accepted", i+1)
		}
		ping(g.t, p)
		all = append(all, p)
	}
	return all
}

func ping(t *testing.T, p *peer) {
	t.Helper()
	p.send("GET /ping HTTP/1.1\nHost: a\n\n")
	if g := p.reply(); g.status == 0 || g.close {
		t.Fatalf("%+v", g)
	}
}

// waits opens one that must not be accepted.
func (g *guest) waits() chan *peer {
	g.t.Helper()
	later, p := g.open()
	if p != nil {
		g.t.Fatal("one connection too many was accepted")
	}
	return later
}

func (g *guest) close() {
	g.t.Helper()
	if err := g.s.Close(); err != nil {
		g.t.Error(err)
	}
}

// TestBudget: what a greedy sandbox takes is bounded, and others have their first connections anyway.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const common = 3
		b := NewBudget(common)
		greedy, other, third := newGuest(t, b), newGuest(t, b), newGuest(t, b)
		held := greedy.served(guaranteed + common)
		if used, most := b.Use(); used != common || most != common {
			t.Errorf("%d of %d connections are in use, want %d of %d", used, most, common, common)
		}
		first := greedy.waits()
		few := other.served(guaranteed)
		second := other.waits()
		third.served(guaranteed)
		third.waits()

		for _, later := range []chan *peer{first, second} { // whoever has waited longest is next
			held[0].nc.Close()
			held = held[1:]
			p := arrived(later)
			if p == nil {
				t.Fatal("what became free was not given to who waited for it")
			}
			ping(t, p)
		}

		again := other.waits()
		few[0].nc.Close() // what it has drawn becomes free, for third
		few[1].nc.Close() // and one of its own
		if p := arrived(again); p == nil {
			t.Fatal("a sandbox with less than its own share was not served")
		}
		greedy.close()
		other.close()
		third.close() // while it waits in Accept
		if n, _ := b.Use(); n != 0 {
			t.Errorf("%d connections of the budget are held by nobody", n)
		}
	})
}

// TestBudgetClose: Close ends who waits for the budget, and leaves it to others.
func TestBudgetClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1)
		greedy := newGuest(t, b)
		greedy.served(guaranteed + 1)
		var others []*guest
		var later chan *peer
		for range 10 {
			g := newGuest(t, b)
			g.served(guaranteed)
			later = g.waits()
			others = append(others, g)
		}
		last := others[len(others)-1]
		for _, g := range others[:len(others)-1] {
			g.close()
		}
		if arrived(later) != nil {
			t.Fatal("who waited for the budget had something of it")
		}
		greedy.close()
		if arrived(later) == nil {
			t.Error("what the greedy one had is lost")
		}
		last.close()
		if n, _ := b.Use(); n != 0 {
			t.Errorf("%d connections of the budget are held by nobody", n)
		}
	})
}

// TestBudgetAtRest: a listener that had many connections and has few holds nothing of the budget, though it waits for the next one.
func TestBudgetAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(5)
		g := newGuest(t, b)
		for _, p := range g.served(guaranteed + 5)[guaranteed-1:] {
			p.nc.Close()
		}
		synctest.Wait()
		if n, _ := b.Use(); n != 0 {
			t.Errorf("%d of the budget are held", n)
		}
		g.close()
	})
}

// TestBudgetCrowd: all connections of all sandboxes are served at last, and nothing is lost on the way.
func TestBudgetCrowd(t *testing.T) {
	b := NewBudget(2)
	var sessions []*Session
	var all sync.WaitGroup
	for range 8 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := NewSession(l, Within(b))
		sessions = append(sessions, s)
		for range 40 {
			all.Go(func() {
				if err := askOnce(l.Addr().String()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	for _, s := range sessions {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := len(b.tokens); n != 0 {
		t.Errorf("%d connections of the budget are held by nobody", n)
	}
}

// askOnce makes a connection, has one answer and closes it.
func askOnce(addr string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	if _, err := io.WriteString(nc, "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	_, err = nc.Read(make([]byte, 1))
	return err
}
