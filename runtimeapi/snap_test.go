package runtimeapi

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

const (
	pathRestore      = "/2018-06-01/runtime/restore/next"
	pathRestoreError = "/2018-06-01/runtime/restore/error"
	hostEnd          = " HTTP/1.1\nHost: a\n"
)

// serveSnap starts a session of a function with SnapStart.
func serveSnap(t *testing.T, snap Snap) (*Session, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapSession(l, snap)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s, l.Addr().String()
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// TestHold takes a runtime to where it is stored: nobody is connected then, and nobody can connect.
func TestHold(t *testing.T) {
	s, addr := serveSnap(t, Snap{Hold: true})
	idle := dial(t, addr) // such as a client keeps for its next request
	idle.send("GET /ping" + hostEnd + "\n")
	idle.reply()
	p := dial(t, addr)
	p.send("GET " + pathRestore + hostEnd + "\n")
	if err := s.WaitHeld(within(t)); err != nil {
		t.Fatal(err)
	}
	go func() { // it hangs up when we do
		p.nc.Read(make([]byte, 1))
		p.nc.Close()
	}()
	begun := time.Now()
	s.Quiet()
	if took := time.Since(begun); took < patience {
		t.Errorf("it waited %v for the connection that nobody closes", took)
	}
	s.mu.Lock()
	left := len(s.conns)
	s.mu.Unlock()
	for left > 0 && time.Since(begun) < testTimeout { // their goroutines are on their way out
		time.Sleep(time.Millisecond)
		s.mu.Lock()
		left = len(s.conns)
		s.mu.Unlock()
	}
	if left > 0 {
		t.Errorf("there are %d connections", left)
	}
	late := dial(t, addr)
	if n, err := late.nc.Read(make([]byte, 1)); err == nil {
		t.Errorf("a late connection reads %d bytes", n)
	}
}

// TestHoldFailures are runtimes that never get there.
func TestHoldFailures(t *testing.T) {
	t.Run("init error", func(t *testing.T) {
		s, addr := serveSnap(t, Snap{Hold: true})
		p := dial(t, addr)
		p.send("POST " + pathInit + hostEnd + "Content-Length: 2\nLambda-Runtime-Function-Error-Type: Runtime.BeforeSnapshotError\n\n{}")
		p.reply()
		var failed *InitError
		if err := s.WaitHeld(within(t)); !errors.As(err, &failed) || failed.ErrorType != "Runtime.BeforeSnapshotError" {
			t.Errorf("%v", err)
		}
		p.send("GET " + pathRestore + hostEnd + "\n")
		if r := p.reply(); r.status != 403 {
			t.Errorf("restore/next after it: %d", r.status)
		}
	})
	t.Run("next instead", func(t *testing.T) {
		s, addr := serveSnap(t, Snap{Hold: true})
		p := dial(t, addr)
		p.send("GET " + pathNext + hostEnd + "\n")
		if r := p.reply(); r.status != 403 || !strings.Contains(r.body, "Started to Ready") {
			t.Errorf("%d %s", r.status, r.body)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.WaitHeld(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s, _ := serveSnap(t, Snap{Hold: true})
		s.shut()
		if err := s.WaitHeld(within(t)); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("%v", err)
		}
	})
}

// TestRestored goes on with a runtime that was stored.
func TestRestored(t *testing.T) {
	s, addr := serveSnap(t, Snap{LogStream: "2026/01/01/[1]abc"})
	p := dial(t, addr)
	for range 2 { // it may have lost the first answer
		p.send("GET " + pathRestore + hostEnd + "\n")
		r := p.reply()
		if r.status != 200 || r.body != "" || r.header.Get(LogStreamHeader) != "2026/01/01/[1]abc" {
			t.Fatalf("%+v", r)
		}
	}
	p.send("POST " + pathInit + hostEnd + "Content-Length: 2\n\n{}")
	if r := p.reply(); r.status != 403 {
		t.Errorf("init error after restore/next: %d", r.status)
	}
	p.send("GET " + pathNext + hostEnd + "\n")
	if err := s.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(within(t), &Invocation{RequestID: testID, Payload: []byte("{}")})
		done <- err
	}()
	p.reply()
	p.send("POST " + pathResponse(testID) + hostEnd + "Content-Length: 2\n\n{}")
	p.reply()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRestoreError(t *testing.T) {
	s, addr := serveSnap(t, Snap{})
	p := dial(t, addr)
	post := "POST " + pathRestoreError + hostEnd + "Content-Length: 4\nLambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\n\n{ }\n"
	p.send(post)
	if r := p.reply(); r.status != 403 {
		t.Errorf("restore error before restore/next: %d", r.status)
	}
	p.send("GET " + pathRestore + hostEnd + "\n")
	p.reply()
	p.send(post)
	if r := p.reply(); r.status != 202 {
		t.Errorf("restore error: %d", r.status)
	}
	var failed *RestoreError
	if err := s.WaitReady(within(t)); !errors.As(err, &failed) || failed.ErrorType != "Runtime.AfterRestoreError" || string(failed.Payload) != "{ }\n" {
		t.Errorf("%v", err)
	}
	if _, err := s.Run(within(t), &Invocation{RequestID: testID}); !errors.Is(err, ErrNotReady) {
		t.Errorf("Run: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	_, addr := serveSnap(t, Snap{Token: "secret", Credentials: func() []byte { return []byte(`{"AccessKeyId":"A"}`) }})
	_, without := serve(t)
	for _, tt := range []struct {
		name, addr, auth string
		status           int
		body             string
	}{
		{"right token", addr, "Authorization: secret\n", 200, `{"AccessKeyId":"A"}`},
		{"wrong token", addr, "Authorization: secrex\n", 404, "cannot get credentials for the provided token\n"},
		{"no token", addr, "", 404, "cannot get credentials for the provided token\n"},
		{"empty token", addr, "Authorization:\n", 404, "cannot get credentials for the provided token\n"},
		{"without SnapStart", without, "Authorization: secret\n", 404, "404 page not found\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, tt.addr)
			p.send("GET " + CredentialsPath + hostEnd + tt.auth + "\n")
			if r := p.reply(); r.status != tt.status || r.body != tt.body {
				t.Errorf("%d %q", r.status, r.body)
			}
		})
	}
	for _, path := range []string{pathRestore, pathRestoreError} {
		p := dial(t, without)
		p.send("GET " + path + hostEnd + "\n")
		if r := p.reply(); r.status != 404 {
			t.Errorf("%s without SnapStart: %d", path, r.status)
		}
	}
}

// TestRelease answers a restore/next that was held, whichever of the two comes first.
func TestRelease(t *testing.T) {
	for name, asksFirst := range map[string]bool{"asked before": true, "asks after": false} {
		t.Run(name, func(t *testing.T) {
			s, addr := serveSnap(t, Snap{Hold: true, LogStream: "stream"})
			p := dial(t, addr)
			if asksFirst {
				p.send("GET " + pathRestore + hostEnd + "\n")
				if err := s.WaitHeld(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			s.Release()
			s.Release()
			if !asksFirst {
				p.send("GET " + pathRestore + hostEnd + "\n")
			}
			if r := p.reply(); r.status != 200 || r.header.Get(LogStreamHeader) != "stream" {
				t.Fatalf("%+v", r)
			}
			p.send("GET " + pathNext + hostEnd + "\n")
			if err := s.WaitReady(within(t)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("hung up", func(t *testing.T) {
		s, addr := serveSnap(t, Snap{Hold: true})
		p := dial(t, addr)
		p.send("GET " + pathRestore + hostEnd + "\n")
		if err := s.WaitHeld(within(t)); err != nil {
			t.Fatal(err)
		}
		p.nc.Close()
		for begun := time.Now(); s.Connected() && time.Since(begun) < testTimeout; {
			time.Sleep(time.Millisecond)
		}
		s.Release()
		again := dial(t, addr)
		again.send("GET " + pathRestore + hostEnd + "\n")
		if r := again.reply(); r.status != 200 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("asks for more meanwhile", func(t *testing.T) {
		s, addr := serveSnap(t, Snap{Hold: true})
		p := dial(t, addr)
		p.send("GET " + pathRestore + hostEnd + "\n")
		p.send("GET " + pathNext + hostEnd + "\n")
		if n, err := p.nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("it reads %d bytes", n)
		}
		if s.WaitHeld(within(t)) != nil {
			t.Error("it is not held")
		}
	})
}
