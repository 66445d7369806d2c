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

// inBubble gives f a session in memory and a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T, s *Session, l *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := NewSession(l)
		f(t, s, l)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

const second = time.Second

// after checks that f ends with want, exactly d from now, and lets everything come to rest.
func after(t *testing.T, d time.Duration, want error, f func() error) {
	t.Helper()
	start := time.Now()
	if err := f(); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if took := time.Since(start); took != d {
		t.Errorf("took %v, want %v", took, d)
	}
	synctest.Wait()
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*second)
		defer cancel()
		after(t, 10*second, context.DeadlineExceeded, func() error { return s.WaitReady(ctx) })
		after(t, 0, context.DeadlineExceeded, func() error { return s.WaitIdle(ctx) })
		after(t, 0, context.DeadlineExceeded, func() error { _, err := s.Run(ctx, &Invocation{}); return err })
		p := newPeer(t, l.dial())
		p.next()
		synctest.Wait()
		after(t, 0, nil, func() error { return s.WaitReady(t.Context()) })
		after(t, 0, nil, func() error { return s.WaitIdle(t.Context()) })
	})
}

// TestTimeout: Run ends when the function's time is over, and what the function still does for it is refused.
func TestTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		ctx, cancel := context.WithTimeout(t.Context(), 3*second)
		defer cancel()
		go p.reply()
		after(t, 3*second, context.DeadlineExceeded, func() error { _, err := s.Run(ctx, &Invocation{RequestID: testID}); return err })
		p.post(pathResponse(testID), "late")
		if g := p.reply(); g.status != 400 || g.body != invalidID {
			t.Errorf("a late answer: %+v", g)
		}
		p.next()
		after(t, 0, nil, func() error { return s.WaitIdle(t.Context()) })
	})
}

// TestTimeoutWhileUploading: the upload is cut off and the next invocation does not get its bytes.
func TestTimeoutWhileUploading(t *testing.T) {
	for _, streaming := range []bool{false, true} {
		inBubble(t, func(t *testing.T, s *Session, l *pipes) {
			p := newPeer(t, l.dial())
			p.next()
			ctx, cancel := context.WithTimeout(t.Context(), 3*second)
			defer cancel()
			inv := &Invocation{RequestID: testID}
			if streaming {
				inv.Stream = io.Discard
			}
			go func() {
				p.reply()
				p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			}()
			after(t, 3*second, context.DeadlineExceeded, func() error { _, err := s.Run(ctx, inv); return err })
			p.ended()
			q := newPeer(t, l.dial())
			q.next()
			go func() { q.reply(); q.post(pathResponse("2"), "mine"); q.reply() }()
			a, err := s.Run(t.Context(), &Invocation{RequestID: "2"})
			synctest.Wait()
			if err != nil || string(a.Payload) != "mine" {
				t.Error(a, err)
			}
		})
	}
}

// TestRuntimeDoesNotRead: the write of an event ends with the invocation too.
func TestRuntimeDoesNotRead(t *testing.T) {
	for _, size := range []int{0, maxJoin + 1} {
		inBubble(t, func(t *testing.T, s *Session, l *pipes) {
			p := newPeer(t, l.dial())
			p.next()
			ctx, cancel := context.WithTimeout(t.Context(), 3*second)
			defer cancel()
			after(t, 3*second, context.DeadlineExceeded, func() error {
				_, err := s.Run(ctx, &Invocation{Payload: make([]byte, size)})
				return err
			})
		})
		inBubble(t, func(t *testing.T, s *Session, l *pipes) {
			p := newPeer(t, l.dial())
			p.next()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(second, cancel)
			after(t, second, context.Canceled, func() error {
				_, err := s.Run(ctx, &Invocation{Payload: make([]byte, size)})
				return err
			})
		})
	}
}

// TestWriteDeadlineIsOver: the deadline of one invocation does not end the connection for the next.
func TestWriteDeadlineIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		for range 3 {
			p.next()
			go func() { p.reply(); p.post(pathResponse(testID), "x"); p.reply() }()
			ctx, cancel := context.WithTimeout(t.Context(), second)
			if _, err := s.Run(ctx, &Invocation{RequestID: testID}); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * second)
			synctest.Wait()
			cancel()
		}
	})
}

// stuck is a caller who takes nothing until it is let go.
type stuck struct{ let chan struct{} }

func (w stuck) Write([]byte) (int, error) { <-w.let; return 0, net.ErrClosed }

// TestRunWaitsForItsStream: Run must not return while somebody still writes to its caller.
func TestRunWaitsForItsStream(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		go func() { p.reply(); p.post(pathResponse(testID), "x") }()
		ctx, cancel := context.WithTimeout(t.Context(), second)
		defer cancel()
		w := stuck{make(chan struct{})}
		time.AfterFunc(5*second, func() { close(w.let) })
		after(t, 5*second, context.DeadlineExceeded, func() error {
			_, err := s.Run(ctx, &Invocation{RequestID: testID, Stream: w})
			return err
		})
	})
}

// TestStreamFails: a caller who went away is not the function's fault.
func TestStreamFails(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		told := make(chan got, 1)
		go func() { p.reply(); p.post(pathResponse(testID), long('x', 100<<10)); told <- p.reply() }()
		r, w := io.Pipe()
		r.Close()
		_, err := s.Run(t.Context(), &Invocation{RequestID: testID, Stream: w})
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		if g := <-told; g.status != 202 {
			t.Errorf("%+v", g)
		}
	})
}

// flushes counts.
type flushes struct {
	io.Writer
	n int
}

func (f *flushes) Flush() { f.n++ }

// TestStreamComesAsItIsSent: a piece is at the caller, flushed, before the next one is made.
func TestStreamComesAsItIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		var seen countingBuffer
		f := &flushes{Writer: &seen}
		go func() {
			p.reply()
			p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nLambda-Runtime-Function-Response-Mode: streaming\n\n")
			for i := range 3 {
				_, _ = io.WriteString(p.nc, "1\r\nx\r\n")
				time.Sleep(second)
				synctest.Wait()
				if seen.n != i+1 || f.n != i+1 {
					t.Errorf("after piece %d: %d bytes, %d flushes", i+1, seen.n, f.n)
				}
			}
			_, _ = io.WriteString(p.nc, "0\r\n\r\n")
			p.reply()
		}()
		after(t, 3*second, nil, func() error { _, err := s.Run(t.Context(), &Invocation{RequestID: testID, Stream: f}); return err })
	})
}

type countingBuffer struct{ n int }

func (b *countingBuffer) Write(p []byte) (int, error) { b.n += len(p); return len(p), nil }

// TestTruncatedByDeath: the process dies while it answers.
func TestTruncatedByDeath(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Session, l *pipes) {
		p := newPeer(t, l.dial())
		p.next()
		go func() {
			p.reply()
			p.send("POST " + pathResponse(testID) + " HTTP/1.1\nHost: a\nContent-Length: 9\n\nhalf")
			p.nc.Close()
		}()
		if _, err := s.Run(t.Context(), &Invocation{RequestID: testID}); !errors.Is(err, ErrTruncated) {
			t.Error(err)
		}
	})
}

// flaky is a listener that runs out of file descriptors for a while.
type flaky struct {
	*pipes
	failures int
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.pipes.Accept()
}

func TestAcceptComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := NewSession(&flaky{l, 30})
		defer s.Close()
		p := newPeer(t, l.dial())
		p.next()
		if err := s.WaitReady(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
