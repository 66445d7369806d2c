package runtimeapi

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestStates asks for everything in every state.
func TestStates(t *testing.T) {
	ask := func(p *peer, method, path string) got {
		p.send(method + " " + path + " HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}")
		return p.replyTo(method)
	}
	enter := map[string]func(t *testing.T) (*Session, string){
		"Started": func(t *testing.T) (*Session, string) { return serve(t) },
		"InitError": func(t *testing.T) (*Session, string) {
			s, addr := serve(t)
			if g := ask(dial(t, addr), "POST", pathInit); g.status != 202 || g.body != acceptedB {
				t.Fatalf("init error: %+v", g)
			}
			return s, addr
		},
		"Ready": func(t *testing.T) (*Session, string) {
			s, addr := serve(t)
			dial(t, addr).next()
			wait(t, s.WaitReady)
			return s, addr
		},
		"Running": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			return s, p.nc.RemoteAddr().String()
		},
		"InvocationResponse": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			waitState(t, s, stateResponse)
			return s, p.nc.RemoteAddr().String()
		},
		"InvocationErrorResponse": func(t *testing.T) (*Session, string) {
			s, p, _ := running(t, &Invocation{})
			p.send("POST " + pathError(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			waitState(t, s, stateErrorAnswer)
			return s, p.nc.RemoteAddr().String()
		},
		"RuntimeResponseSentState": func(t *testing.T) (*Session, string) {
			s, p, ch := running(t, &Invocation{})
			p.post(pathResponse(testID), "{}")
			<-ch
			p.reply()
			return s, p.nc.RemoteAddr().String()
		},
	}
	const accepted, waits = "202", "waits"
	for _, tt := range []struct{ state, next, response, fail, init, other string }{
		{"Started", waits, "403", "403", accepted, "403"},
		{"InitError", "403", "403", "403", "403", "403"},
		{"Ready", waits, "403", "403", "403", "403"},
		{"Running", "200", accepted, accepted, "403", "400"},
		{"InvocationResponse", "403", "400", "400", "403", "400"},
		{"InvocationErrorResponse", "403", "400", "400", "403", "400"},
		{"RuntimeResponseSentState", waits, "400", "400", "403", "400"},
	} {
		for _, q := range []struct{ name, method, path, to, want string }{
			{"next", "GET", pathNext, "Ready", tt.next},
			{"response", "POST", pathResponse(testID), "InvocationResponse", tt.response},
			{"error", "POST", pathError(testID), "InvocationErrorResponse", tt.fail},
			{"init error", "POST", pathInit, "InitError", tt.init},
			{"another's id", "POST", pathResponse("8476a536-e9f4-11e8-9739-000000000000"), "InvocationResponse", tt.other},
			{"ping", "GET", "/ping", "", "200"},
			{"extension", "POST", "/2020-01-01/extension/register", "", "404"},
			{"telemetry", "PUT", "/2022-07-01/telemetry", "", "404"},
			{"restore", "GET", "/2018-06-01/runtime/restore/next", "", "404"},
			{"restore error", "POST", "/2018-06-01/runtime/restore/error", "", "404"},
			{"root", "GET", "/", "", "404"},
			{"get response", "GET", pathResponse(testID), "", "405"},
			{"post next", "POST", pathNext, "", "405"},
			{"head next", "HEAD", pathNext, "", "405"},
			{"head nothing", "HEAD", "/nothing", "", "404"},
			{"delete ping", "DELETE", "/ping", "", "405"},
		} {
			t.Run(tt.state+"/"+q.name, func(t *testing.T) {
				s, addr := enter[tt.state](t)
				p := dial(t, addr)
				if q.want == waits {
					p.next()
					wait(t, s.WaitIdle)
					return
				}
				g := ask(p, q.method, q.path)
				want := ""
				switch q.want {
				case accepted:
					want = acceptedB
				case "400":
					want = invalidID
				case "403":
					want = transition(tt.state, q.to)
				case "404":
					if want = "404 page not found\n"; q.method == "HEAD" {
						want = ""
					}
				case "200":
					if want = ""; q.path == "/ping" {
						want = "pong"
					}
				}
				if g.body != want || strconv.Itoa(g.status) != q.want || g.close {
					t.Errorf("got %d %q (close %v), want %s %q", g.status, g.body, g.close, q.want, want)
				}
			})
		}
	}
}

func waitState(t *testing.T, s *Session, want state) {
	t.Helper()
	for end := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		st := s.state
		s.mu.Unlock()
		if st == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("state %v, want %v", st, want)
		}
	}
}

func TestInitError(t *testing.T) {
	for _, tt := range []struct {
		name, head, body string
		want             InitError
	}{
		{"JSON", "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\n", `{"errorMessage":"no"}`, InitError{[]byte(`{"errorMessage":"no"}`), typeJSON, "Runtime.ImportModuleError"}},
		{"not JSON", "Content-Type: application/json\n", `no`, InitError{[]byte(`no`), typeBinary, "Runtime.Unknown"}},
		{"nothing", "", ``, InitError{nil, typeBinary, "Runtime.Unknown"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := serve(t)
			p := dial(t, addr)
			ready := make(chan error, 1)
			go func() { ready <- s.WaitReady(t.Context()) }()
			ch := run(t, s, &Invocation{RequestID: testID})
			p.send("POST " + pathInit + " HTTP/1.1\nHost: a\n" + tt.head + "Content-Length: " + strconv.Itoa(len(tt.body)) + "\n\n" + tt.body)
			var e *InitError
			if err := <-ready; !errors.As(err, &e) {
				t.Fatalf("ready: %v", err)
			}
			if string(e.Payload) != string(tt.want.Payload) || e.ContentType != tt.want.ContentType || e.ErrorType != tt.want.ErrorType {
				t.Errorf("got %+v, want %+v", e, tt.want)
			}
			if g := p.reply(); g.status != 202 {
				t.Errorf("%+v", g)
			}
			if o := <-ch; !errors.Is(o.err, ErrNotReady) {
				t.Errorf("the Run that waited: %v", o.err)
			}
			if err := s.WaitIdle(t.Context()); !errors.As(err, &e) {
				t.Errorf("idle: %v", err)
			}
			if _, err := s.Run(t.Context(), &Invocation{}); !errors.Is(err, ErrNotReady) {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// A runtime that is posting why it cannot start gets no event, however long that takes: the caller is to hear of it. If nothing comes of
// it, it may still start.
func TestNextDuringInitError(t *testing.T) {
	for _, whole := range []bool{true, false} {
		t.Run(map[bool]string{true: "whole", false: "cut off"}[whole], func(t *testing.T) {
			s, addr := serve(t)
			posting := func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.receiver != nil
			}
			ch := run(t, s, &Invocation{RequestID: testID})
			failing, other := dial(t, addr), dial(t, addr)
			failing.send("POST " + pathInit + " HTTP/1.1\nHost: a\nContent-Length: 2\n\n{")
			for !posting() {
				time.Sleep(time.Millisecond)
			}
			other.next()
			if g := other.reply(); g.status != 403 || g.body != transition("InitError", "Ready") {
				t.Errorf("next: %+v", g)
			}
			if !whole {
				failing.nc.Close()
				for posting() {
					time.Sleep(time.Millisecond)
				}
				other.next()
				if g := other.reply(); g.status != 200 {
					t.Errorf("next: %+v", g)
				}
				return
			}
			if _, err := failing.nc.Write([]byte("}")); err != nil {
				t.Fatal(err)
			}
			var e *InitError
			if err := s.WaitReady(t.Context()); !errors.As(err, &e) {
				t.Errorf("ready: %v", err)
			}
			if o := <-ch; !errors.Is(o.err, ErrNotReady) {
				t.Errorf("run: %v", o.err)
			}
		})
	}
}

// TestBegin: whatever state the old process was in, the new one starts afresh.
func TestBegin(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	s.Begin()
	if o := <-ch; !errors.Is(o.err, ErrNotReady) {
		t.Errorf("the Run that waited: %v", o.err)
	}
	p.ended()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("ready after Begin: %v", err)
	}
	p = dial(t, p.nc.RemoteAddr().String())
	p.next()
	wait(t, s.WaitReady)
	ch = run(t, s, &Invocation{RequestID: "2"})
	p.reply()
	p.post(pathResponse("2"), "{}")
	if o := <-ch; o.err != nil {
		t.Fatal(o.err)
	}
	p.reply()
	p.next()
	wait(t, s.WaitIdle)
	s.Begin()
	p.ended() // parked
}

// TestLateConnection: a process that asked for an event and died must not make its successor ready.
func TestLateConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, l.Addr().String())
	p.next()
	p.nc.Close() // before anybody accepted it
	s := NewSession(l)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready: %v", err)
	}
}

func TestOneRunAtATime(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	if _, err := s.Run(t.Context(), &Invocation{RequestID: "2"}); !errors.Is(err, ErrNotReady) {
		t.Errorf("second Run: %v", err)
	}
	p.post(pathResponse(testID), "")
	if o := <-ch; o.err != nil {
		t.Error(o.err)
	}
}

func TestClose(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	ready, _ := serve(t)
	waited := make(chan error, 1)
	go func() { waited <- ready.WaitReady(t.Context()) }()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := ready.Close(); err != nil {
			t.Error(err)
		}
	}
	if o := <-ch; !errors.Is(o.err, ErrSessionClosed) {
		t.Errorf("the Run that waited: %v", o.err)
	}
	if err := <-waited; !errors.Is(err, ErrSessionClosed) {
		t.Errorf("ready: %v", err)
	}
	p.ended()
	if _, err := s.Run(t.Context(), &Invocation{}); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("run: %v", err)
	}
	if err := s.WaitIdle(t.Context()); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("idle: %v", err)
	}
	if nc, err := net.Dial("tcp", p.nc.RemoteAddr().String()); err == nil {
		nc.Close()
		t.Error("it still listens")
	}
}

// TestCloseBehindNext: a request that waits behind an unanswered next does not hold Close up.
func TestCloseBehindNext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		p.send("GET /ping HTTP/1.1\nHost: a\n\n")
		synctest.Wait()
		after(t, 0, nil, s.Close)
	})
}

// TestListenerClosed: the sandbox may take its listener away.
func TestListenerClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSession(l)
	l.Close()
	if err := s.WaitReady(t.Context()); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("ready: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
