package runtimeapi

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestPipelined: our Python runtime sends its response and the next request at once.
func TestPipelined(t *testing.T) {
	s, addr := serve(t)
	p := dial(t, addr)
	p.next()
	for range 100 {
		ch := run(t, s, &Invocation{RequestID: testID, Payload: []byte("e")})
		if g := p.reply(); g.body != "e" {
			t.Fatalf("%+v", g)
		}
		p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 1\n\nrGET " + pathNext + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if o := <-ch; o.err != nil || string(o.answer.Payload) != "r" {
			t.Fatal(o)
		}
		if g := p.reply(); g.status != 202 {
			t.Fatalf("%+v", g)
		}
	}
	// Requests behind an unanswered next wait for it.
	p.send("GET /ping HTTP/1.1\nHost: a\n\n")
	ch := run(t, s, &Invocation{RequestID: testID, Payload: []byte("last")})
	if g := p.reply(); g.body != "last" {
		t.Errorf("%+v", g)
	}
	if g := p.reply(); g.body != "pong" {
		t.Errorf("%+v", g)
	}
	p.post(pathResponse(testID), "")
	<-ch
}

// TestHeldReply: on a connection of our own bootstrap, that an answer was accepted is told together with the next event, if that is what
// it has asked for already.
func TestHeldReply(t *testing.T) {
	answer := "POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 1\n\nr"
	next := "GET " + pathNext + " HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, tt := range []struct {
		name, behind string
		own, held    bool
	}{
		{"next", next, true, true},
		{"next of another client", next, false, false},
		{"nothing", "", true, false},
		{"ping", "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
		{"half a next", next[:len(next)-1], true, false},
		{"more than a next", next + "G", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *Session, l *pipes) {
				var p *peer
				if tt.own {
					ours, theirs := net.Pipe()
					s.Serve(ours)
					p = newPeer(t, theirs)
				} else {
					p = newPeer(t, l.dial())
				}
				first := run(t, s, &Invocation{RequestID: testID})
				p.next()
				p.reply()
				p.send(answer + tt.behind)
				if o := <-first; o.err != nil || string(o.answer.Payload) != "r" {
					t.Fatal(o)
				}
				synctest.Wait()
				g := p.poll()
				if (g == nil) != tt.held || g != nil && g.status != 202 {
					t.Fatalf("got %+v, want it held: %t", g, tt.held)
				}
				if !tt.held {
					return
				}
				run(t, s, &Invocation{RequestID: testID, Payload: []byte("second")})
				if g := p.reply(); g.status != 202 {
					t.Errorf("%+v", g)
				}
				if g := p.reply(); g.body != "second" {
					t.Errorf("%+v", g)
				}
			})
		})
	}
}

// TestServeAmongMany: a function that holds every connection that it may does not keep its bootstrap from one that is there already.
func TestServeAmongMany(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		for range maxConns {
			l.dial()
		}
		synctest.Wait()
		ours, theirs := net.Pipe()
		s.Serve(ours)
		p := newPeer(t, theirs)
		first := run(t, s, &Invocation{RequestID: testID})
		p.next()
		p.reply()
		p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 1\n\nr")
		if o := <-first; o.err != nil || string(o.answer.Payload) != "r" {
			t.Fatal(o)
		}
	})
}

// TestConnectionPerRequest is how curl and urllib do it.
func TestConnectionPerRequest(t *testing.T) {
	s, addr := serve(t)
	for _, version := range []string{"1.0", "1.1"} {
		for range 10 {
			p := dial(t, addr)
			p.send("GET " + pathNext + " HTTP/" + version + "\nHost: a\nConnection: close\n\n")
			ch := run(t, s, &Invocation{RequestID: testID, Payload: make([]byte, 100<<10)})
			if g := p.reply(); !g.close || len(g.body) != 100<<10 {
				t.Fatalf("%d bytes, close %v", len(g.body), g.close)
			}
			p.ended()
			p = dial(t, addr)
			p.send("POST " + pathResponse(testID) + " HTTP/" + version + "\nHost: a\nContent-Length: 1\nConnection: close\n\n1")
			if g := p.reply(); !g.close || g.status != 202 {
				t.Fatalf("%+v", g)
			}
			p.ended()
			if o := <-ch; o.err != nil {
				t.Fatal(o.err)
			}
		}
	}
}

func TestExpectContinue(t *testing.T) {
	for _, tt := range []struct {
		name, path, length string
		proceeds           bool
		status             int
	}{
		{"response", pathResponse(testID), "1", true, 202},
		{"error", pathError(testID), "1", true, 202},
		{"wrong id", pathResponse("other"), "1", false, 400},
		{"too large", pathResponse(testID), "7000000", false, 413},
		{"unknown route", "/x", "1", false, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p, ch := running(t, &Invocation{})
			p.send("POST " + tt.path + " HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: " + tt.length + "\n\n")
			if tt.proceeds {
				if line, err := p.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
					t.Fatal(line, err)
				}
				if line, err := p.r.ReadString('\n'); err != nil || line != "\r\n" {
					t.Fatal(line, err)
				}
				_, _ = io.WriteString(p.nc, "1")
			}
			g := p.reply()
			if g.status != tt.status || g.close == tt.proceeds {
				t.Errorf("%+v", g)
			}
			if tt.proceeds {
				<-ch
			} else {
				p.ended()
			}
		})
	}
}

// TestRefused: heads that cannot be read are answered, and nothing behind them is.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		status     int
	}{
		{"malformed", "GET /ping\n\n", 400},
		{"smuggled", "POST " + pathInit + " HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\r\n\r\nGET /ping HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"large head", "GET /ping HTTP/1.1\nHost: a\nX: " + long('x', 100<<10) + "\n\n", 431},
		{"coding", "POST " + pathInit + " HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n", 501},
		{"version", "GET /ping HTTP/3.0\nHost: a\n\n", 505},
		{"expectation", "GET /ping HTTP/1.1\nHost: a\nExpect: more\n\n", 417},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := serve(t)
			p := dial(t, addr)
			p.send(tt.send)
			if g := p.reply(); g.status != tt.status || !g.close {
				t.Errorf("%+v", g)
			}
			p.ended()
		})
	}
}

// TestEndlessBody: a runtime cannot keep us reading for ever.
func TestEndlessBody(t *testing.T) {
	_, p, ch := running(t, &Invocation{})
	p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
	chunk := []byte("100000\r\n" + long('x', 1<<20) + "\r\n")
	sent, err := 0, error(nil)
	for err == nil && sent < 2*maxDrain {
		_, err = p.nc.Write(chunk)
		sent += 1 << 20
	}
	if o := <-ch; !errors.Is(o.err, ErrTooLarge) {
		t.Errorf("run: %v", o.err)
	}
	if err == nil {
		t.Errorf("%d MiB were read", sent>>20)
	}
}

// TestTooManyConnections: more connections wait, and the runtime's own is served once others go.
func TestTooManyConnections(t *testing.T) {
	s, addr := serve(t)
	var idle []*peer
	for range maxConns {
		idle = append(idle, dial(t, addr))
	}
	p := dial(t, addr)
	p.next()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("connection %d was served: %v", maxConns+1, err)
	}
	idle[7].nc.Close()
	wait(t, s.WaitReady)
}

// TestRuntimeAsksAgain: a runtime whose connection broke gets the same event once more.
func TestRuntimeAsksAgain(t *testing.T) {
	s, p, ch := running(t, &Invocation{Payload: []byte("e")})
	p.nc.Close()
	p = dial(t, p.nc.RemoteAddr().String())
	p.next()
	if g := p.reply(); g.body != "e" || g.header.Get("Lambda-Runtime-Aws-Request-Id") != testID {
		t.Errorf("%+v", g)
	}
	p.post(pathResponse(testID), "r")
	if o := <-ch; o.err != nil || string(o.answer.Payload) != "r" {
		t.Error(o)
	}
	p.reply()
	// Of two that wait the later one counts.
	p.next()
	wait(t, s.WaitIdle)
	q := dial(t, p.nc.RemoteAddr().String())
	q.next()
	p.ended()
	ch = run(t, s, &Invocation{RequestID: testID})
	q.reply()
	q.post(pathResponse(testID), "r")
	<-ch
}
