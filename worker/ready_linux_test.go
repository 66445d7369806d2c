package worker

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// readyWorld is a Pool whose runtimes boot ahead.
func readyWorld(t testing.TB) *world { return newWorld(t, "namespace", Deps{ReadyMemory: 1 << 30}) }

// waitReady waits until n sandboxes wait.
func (w *world) waitReady(n int) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); w.Stats().Ready < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%d sandboxes are ready, want %d", w.Stats().Ready, n)
		}
	}
}

// A function's first invocation takes the runtime that has booted, with the function's own code, environment, limits and log. What
// it leaves behind is no different from a sandbox that was made for it: the next process after a crash is started as ever.
func TestReadyIsClaimed(t *testing.T) {
	w := readyWorld(t)
	f := w.python(t, pythonCode)
	f.MemoryMB = 1769
	f.Env["MINE"] = "yes"
	w.Expect(f)
	w.waitReady(1)
	resp := w.do(f, w.request(`{"do":"env","print":"hello"}`))
	var env map[string]string
	if err := json.Unmarshal(resp.Payload, &env); err != nil {
		t.Fatalf("%s: %v", resp.Payload, err)
	}
	if env["MINE"] != "yes" || env["AWS_SESSION_TOKEN"] != "token" || env["_HANDLER"] != "app.handler" {
		t.Errorf("its environment is %v", env)
	}
	if of := w.Ready(); len(of) != 1 {
		t.Errorf("of each runtime wait %v, want one runtime, %s", of, f.Runtime)
	} else if _, ok := of[f.Runtime]; !ok {
		t.Errorf("of each runtime wait %v, want %s", of, f.Runtime)
	}
	if s := w.Stats(); s.Claimed != 1 || s.Cold != 1 {
		t.Errorf("%+v, want one cold start that was claimed", s)
	}
	if resp.Init <= 0 {
		t.Errorf("Init %v", resp.Init)
	}
	text := w.logs.text()
	for _, want := range []string{"static code", "START RequestId", "hello"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q:\n%s", want, text)
		}
	}
	if resp := w.do(f, w.request(`{"do":"die"}`)); resp.FunctionError == "" {
		t.Error("it did not die")
	}
	var got struct{ Calls int }
	if resp := w.do(f, w.request(`{}`)); json.Unmarshal(resp.Payload, &got) != nil || got.Calls != 1 {
		t.Errorf("after its death: %s", resp.Payload)
	}
	if s := w.Stats(); s.Cold != 1 {
		t.Errorf("%d cold starts: the sandbox was not used again", s.Cold)
	}
}

// One that was claimed is replaced, and none goes from one function to another.
func TestReadyIsRefilled(t *testing.T) {
	w := readyWorld(t)
	code := "import os, sys\ndef handler(event, context):\n    open('/tmp/mark', 'x').close()\n    return os.getpid()\n"
	for range 3 {
		f := w.python(t, code)
		f.MemoryMB = 1769
		w.Expect(f)
		w.waitReady(1)
		if resp := w.do(f, w.request(`{}`)); resp.FunctionError != "" {
			t.Errorf("%s", resp.Payload)
		}
	}
	if s := w.Stats(); s.Claimed != 3 {
		t.Errorf("%d claimed, want 3", s.Claimed)
	}
}

// A runtime that died while it waited is not handed out.
func TestDeadReadyIsReplaced(t *testing.T) {
	w := readyWorld(t)
	f := w.python(t, pythonCode)
	w.Expect(f)
	w.waitReady(1)
	w.ready.mu.Lock()
	for _, s := range w.ready.shelves {
		for _, one := range s.waiting {
			if err := one.Destroy(); err != nil {
				t.Error(err)
			}
			<-one.Done()
		}
	}
	w.ready.mu.Unlock()
	if resp := w.do(f, w.request(`{}`)); resp.FunctionError != "" {
		t.Errorf("%s", resp.Payload)
	}
	if s := w.Stats(); s.Claimed != 0 {
		t.Errorf("%d claimed", s.Claimed)
	}
}

// fakeWarmer boots at once, of a size.
type fakeWarmer struct {
	sandbox.Driver
	size int64
}

func (f *fakeWarmer) Warm(_ context.Context, _ []sandbox.Mount, c sandbox.Command) (sandbox.Warmed, error) {
	defer c.Stderr.Close()
	_, err := c.Stdout.Write([]byte{0})
	return &fakeWarmed{size: f.size, done: make(chan struct{})}, err
}

func (f *fakeWarmer) Endpoints() (runtime, api string) { return "169.254.100.1:9001", "" }

type fakeWarmed struct {
	sandbox.Warmed
	size int64
	done chan struct{}
}

func (f *fakeWarmed) Done() <-chan struct{} { return f.done }
func (f *fakeWarmed) Memory() int64         { return f.size }
func (f *fakeWarmed) Destroy() error        { return nil }

// More demand keeps more ready; what all of them use stays within the budget, at the expense of what was wanted longest ago.
func TestReadyFollowsDemand(t *testing.T) {
	t0 := time.Now()
	s := &shelf{wanted: t0}
	s.pace.Make(200 * time.Millisecond) // the mean of that and nothing
	if n := s.goal(t0); n != 1 {
		t.Errorf("without demand %d, want 1", n)
	}
	for range 200 { // 20 a second
		s.pace.Take(t0)
	}
	if n := s.goal(t0); n != 5 {
		t.Errorf("at 20 cold starts a second of 100 ms each %d, want 5", n)
	}
	if n := s.goal(t0.Add(time.Minute)); n != 2 {
		t.Errorf("a minute later %d, want 2", n)
	}
	for range 10_000 {
		s.pace.Take(t0)
	}
	if n := s.goal(t0); n != readyAtMost {
		t.Errorf("%d, want no more than %d", n, readyAtMost)
	}
	if n := s.goal(t0.Add(readyFor + time.Second)); n != 0 {
		t.Errorf("long after anybody wanted one %d, want 0", n)
	}
}

func TestReadyBudget(t *testing.T) {
	r := &ready{driver: &fakeWarmer{size: 100}, budget: 250, stop: make(chan struct{}), shelves: map[string]*shelf{}}
	now := time.Now()
	for i, key := range []string{"old", "new", "newest"} {
		r.shelves[key] = &shelf{key: key, size: 100, wanted: now.Add(time.Duration(i-3) * time.Minute)}
	}
	fill := func(key string) bool {
		if !r.room(r.shelves[key], now) {
			return false
		}
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		box, err := r.driver.Warm(context.Background(), nil, sandbox.Command{Stdout: in, Stderr: in})
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, 1))
		r.shelves[key].waiting = append(r.shelves[key].waiting, &waiting{Warmed: box, log: out, size: 100})
		return true
	}
	if !fill("old") || !fill("new") {
		t.Fatal("there was room for two")
	}
	if fill("old") {
		t.Error("the oldest one pushed another out")
	}
	if !fill("newest") {
		t.Error("the newest one found no room")
	}
	if n := len(r.shelves["old"].waiting); n != 0 || r.memory() > r.budget {
		t.Errorf("%d of the oldest wait, %d bytes", n, r.memory())
	}
	r.done.Wait()
}
