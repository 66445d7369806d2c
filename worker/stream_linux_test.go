package worker

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// reader is the caller of a streaming invocation.
type reader struct {
	mu      sync.Mutex
	pieces  []string
	flushes int
	first   chan struct{} // closed at the first piece
	fail    bool
}

func newReader() *reader { return &reader{first: make(chan struct{})} }

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail {
		return 0, errors.New("gone")
	}
	if len(r.pieces) == 0 {
		close(r.first)
	}
	r.pieces = append(r.pieces, string(p))
	return len(p), nil
}

func (r *reader) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushes++
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.pieces, "")
}

func (w *world) streamed(event string) (*Request, *reader) {
	r, to := w.request(event), newReader()
	r.Stream = to
	return r, to
}

func TestStream(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		r, to := w.streamed(`{"do":"stream-end","n":20,"text":"0123456789"}`)
		resp := w.do(f, r)
		if resp.FunctionError != "" || !resp.Streamed || len(resp.Payload) != 0 || resp.ContentType != "text/plain" {
			t.Errorf("response is %+v", resp)
		}
		if got := to.text(); got != strings.Repeat("0123456789", 20) {
			t.Errorf("stream is %q", got)
		}
		if len(to.pieces) < 5 || to.flushes < len(to.pieces) {
			t.Errorf("%d pieces, %d flushes", len(to.pieces), to.flushes)
		}
		r, to = w.streamed(`{"do":"echo"}`)
		if resp := w.do(f, r); !resp.Streamed || to.text() != `{"do":"echo"}` {
			t.Errorf("a response that is not streamed came as %q, %+v", to.text(), resp)
		}
		r = w.request(`{"do":"stream-end","n":3,"text":"abc"}`)
		if resp := w.do(f, r); resp.Streamed || string(resp.Payload) != "abcabcabc" {
			t.Errorf("for a caller that does not stream it is %+v", resp)
		}
	})
}

// What was streamed stands; the error comes after it.
func TestStreamFails(t *testing.T) {
	for _, c := range []struct{ name, event, kind, text, body string }{
		{"the function says so", "stream-fail", "Function.Midway", "", `{"errorType":"Midway","errorMessage":"half done"}`},
		{"timeout", "stream-hang", "Sandbox.Timedout", "Task timed out after 1.00 seconds", ""},
		{"exit", "stream-exit", "Runtime.ExitError", "Runtime exited with error: exit status 5", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				f.Timeout = time.Second
				r, to := w.streamed(`{"do":"` + c.event + `","n":3,"text":"abc"}`)
				resp := w.do(f, r)
				want := c.body
				if want == "" {
					want = platform(c.kind, r, c.text)
				}
				if resp.FunctionError != "Unhandled" || resp.ErrorType != c.kind || !resp.Streamed || len(resp.Payload) != 0 || string(resp.StreamError) != want {
					t.Errorf("FunctionError %q, type %q, streamed %v, payload %q, error\n%s, want\n%s",
						resp.FunctionError, resp.ErrorType, resp.Streamed, resp.Payload, resp.StreamError, want)
				}
				if got := to.text(); got != "abcabcabc" {
					t.Errorf("stream is %q", got)
				}
				w.state(f)
			})
		})
	}
	t.Run("before the first byte", func(t *testing.T) {
		onBoth(t, func(t *testing.T, w *world) {
			r, to := w.streamed(`{"do":"exit","n":1}`)
			resp := w.do(w.function(), r)
			failed(t, resp, "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited with error: exit status 1"))
			if resp.Streamed || to.text() != "" {
				t.Errorf("streamed %v, %q", resp.Streamed, to.text())
			}
		})
	})
	t.Run("said in the trailers, to who does not stream", func(t *testing.T) {
		onBoth(t, func(t *testing.T, w *world) {
			f := w.function()
			failed(t, w.run(f, `{"do":"stream-fail","n":0}`), "Function.Midway", `{"errorType":"Midway","errorMessage":"half done"}`)
			resp := w.run(f, `{"do":"stream-fail","n":2,"text":"abc"}`)
			if string(resp.Payload) != "abcabc" || resp.ContentType != "text/plain" || resp.FunctionError != "Unhandled" {
				t.Errorf("after its first bytes: %q of %s, %s", resp.Payload, resp.ContentType, resp.FunctionError)
			}
			r, to := w.streamed(`{"do":"stream-fail","n":0}`)
			resp = w.do(f, r)
			if len(resp.Payload) != 0 || !resp.Streamed || string(resp.StreamError) != `{"errorType":"Midway","errorMessage":"half done"}` || to.text() != "" {
				t.Errorf("to who streams: %+v, %q", resp, to.text())
			}
		})
	})
	t.Run("mode", func(t *testing.T) {
		onBoth(t, func(t *testing.T, w *world) {
			f := w.function()
			r, _ := w.streamed(`{"do":"stream-mode","n":1,"text":"abc"}`)
			failed(t, w.do(f, r), "Runtime.InvalidResponseModeHeader", platform("Runtime.InvalidResponseModeHeader", r, "Invalid response mode header"))
			w.state(f)
		})
	})
}

// A reader that goes away midway takes the sandbox with it.
func TestStreamReaderGoesAway(t *testing.T) {
	for _, how := range []string{"its writes fail", "its context ends"} {
		t.Run(how, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				r, to := w.streamed(`{"do":"stream-hang","n":5,"text":"abc"}`)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if how == "its writes fail" {
					to.fail = true
				} else {
					go func() {
						<-to.first
						cancel()
					}()
				}
				if _, err := w.Run(ctx, f, r); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the sandbox is gone", func() bool { return len(w.processes()) == 0 && w.Stats() == Stats{Cold: 1} })
				w.state(f)
				if bytes.Contains(w.server.Bytes(), []byte("ERROR")) {
					t.Errorf("the server's log has an error: %s", w.server)
				}
			})
		})
	}
}
