package worker

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// where is the sandbox that an invocation ran in. It takes that many milliseconds.
func (w *world) where(f *Function, took int) string {
	w.t.Helper()
	return string(w.good(f, `{"do":"sleep","n":`+strconv.Itoa(took)+`}`).Payload)
}

// fill makes sandboxes of a function and answers them in the order in which they became idle.
func (w *world) fill(f *Function, n int) []string {
	w.t.Helper()
	boxes := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { boxes[i] = w.where(f, 300+100*i) })
	}
	wg.Wait()
	return boxes
}

func TestConcurrentColdStarts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		seen := map[string]bool{}
		for _, box := range w.fill(f, 6) {
			seen[box] = true
		}
		if len(seen) != 6 {
			t.Errorf("six invocations at once ran in %d sandboxes", len(seen))
		}
		if got := w.Stats(); got != (Stats{Idle: 6, Cold: 6}) {
			t.Errorf("stats are %+v", got)
		}
	})
}

func TestMostRecentFirst(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	f := w.function()
	boxes := w.fill(f, 3)
	for range 3 {
		if got := w.where(f, 0); got != boxes[2] {
			t.Errorf("it ran in %s, want the most recently used %s", got, boxes[2])
		}
	}
	if got := w.Stats(); got != (Stats{Idle: 3, Cold: 3, Warm: 3}) {
		t.Errorf("stats are %+v", got)
	}
	other := *f
	other.Key = newID()
	if got := w.where(&other, 0); strings.Contains(strings.Join(boxes, " "), got) {
		t.Error("another revision ran in a sandbox of the first")
	}
}

func TestIdleOnesAreReaped(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		testReap(t, newWorld(t, w.driver.Name(), Deps{Idle: 2 * time.Second}))
	})
}

func testReap(t *testing.T, w *world) {
	f := w.function()
	boxes := w.fill(f, 2)
	for begun := time.Now(); w.Stats().Idle != 1; time.Sleep(100 * time.Millisecond) { // one is used all the time, the other is not
		if got := w.where(f, 0); got != boxes[1] {
			t.Fatalf("it ran in %s, want %s", got, boxes[1])
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("stats are %+v, want one sandbox", w.Stats())
		}
	}
	eventually(t, "all are reaped", func() bool { return w.Stats().Idle == 0 && len(w.processes()) == 0 })
	w.state(f)
}

func TestMaxAge(t *testing.T) {
	w := newWorld(t, "process", Deps{MaxAge: 400 * time.Millisecond})
	f := w.function()
	first := w.where(f, 0)
	if got := w.where(f, 600); got != first {
		t.Errorf("it ran in %s, want %s", got, first)
	}
	if s := w.Stats(); s.Idle != 0 {
		t.Errorf("a sandbox that has become too old during an invocation was kept: %+v", s)
	}
	second := w.where(f, 0)
	time.Sleep(500 * time.Millisecond)
	if got := w.where(f, 0); got == first || got == second {
		t.Error("an invocation ran in a sandbox that had become too old while idle: its credentials may be")
	}
}

func TestMaxSandboxes(t *testing.T) {
	w := newWorld(t, "process", Deps{MaxSandboxes: 2})
	a, b, c := w.function(), w.function(), w.function()
	w.where(a, 0)
	inB := w.where(b, 0)
	w.where(c, 0) // instead of a's, which has been idle longest
	if got := w.where(b, 0); got != inB {
		t.Error("b's sandbox was evicted, a's had been idle longer")
	}
	if s := w.Stats(); s.Idle != 2 || s.Cold != 3 {
		t.Errorf("stats are %+v", s)
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.where(b, 500) })
	wg.Go(func() { w.where(c, 500) })
	eventually(t, "both are busy", func() bool { return w.Stats().Busy == 2 })
	if _, err := w.Run(t.Context(), a, w.request("state")); !errors.Is(err, ErrFull) {
		t.Errorf("with all busy: %v, want ErrFull", err)
	}
	wg.Wait()
	w.where(a, 0)
	if s := w.Stats(); s.Busy != 0 || s.Idle != 2 {
		t.Errorf("stats are %+v", s)
	}
}

func TestRetire(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f, other := w.function(), w.function()
		w.fill(f, 2)
		w.state(other)
		done := make(chan *Response)
		go func() {
			resp, err := w.Run(context.Background(), f, w.request(`{"do":"sleep","n":1000}`))
			if err != nil {
				t.Error(err)
			}
			done <- resp
		}()
		eventually(t, "it runs", func() bool { return w.Stats().Busy == 1 })
		w.Retire(f.Key)
		if s := w.Stats(); s.Idle != 1 || s.Busy != 1 {
			t.Errorf("stats are %+v, want the other function's sandbox and the busy one", s)
		}
		// Whoever resolved the function before may still run it; that sandbox goes away at once after.
		w.state(f)
		if resp := <-done; resp == nil || resp.FunctionError != "" {
			t.Errorf("what ran during Retire failed: %+v", resp)
		}
		if s := w.Stats(); s.Idle != 1 || s.Busy != 0 {
			t.Errorf("stats are %+v, want the other function's sandbox", s)
		}
		eventually(t, "the sandboxes are gone", func() bool { return len(w.processes()) == 1 })
		w.Retire(f.Key)
		w.Retire("never seen")
	})
}

// Everything at once: the numbers must come out right, and nothing may be left.
func TestChurn(t *testing.T) {
	w := newWorld(t, "process", Deps{Idle: 50 * time.Millisecond, MaxAge: 300 * time.Millisecond, MaxSandboxes: 6, ScalingRate: 1_000_000})
	functions := []*Function{w.function(), w.function(), w.function()}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				event := []string{"echo", `{"do":"sleep","n":5}`, `{"do":"exit","n":1}`, `{"do":"next-exit"}`}[(n+i)%4]
				one, stop := context.WithTimeout(ctx, time.Duration(20+n%5*20)*time.Millisecond)
				resp, err := w.Run(one, functions[(n+i)%3], w.request(event))
				if err != nil && !errors.Is(err, ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				// Who comes just when a next-exit goes may have given it the event: it ends with 9 then.
				doomed := resp != nil && (strings.Contains(event, `"exit"`) || strings.Contains(string(resp.Payload), "exit status 9"))
				if err == nil && one.Err() == nil && resp.FunctionError != "" && !doomed {
					t.Errorf("%s: %s", event, resp.Payload)
				}
				stop()
			}
		})
	}
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.Retire(functions[n%3].Key)
			time.Sleep(70 * time.Millisecond)
		}
	})
	wg.Wait()
	if s := w.Stats(); s.Busy != 0 {
		t.Errorf("stats are %+v", s)
	}
	eventually(t, "all are gone", func() bool { return w.Stats().Idle == 0 && len(w.processes()) == 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.groups) != 0 || len(w.all) != 0 || w.total != 0 {
		t.Errorf("there are %d groups, %d sandboxes, total %d", len(w.groups), len(w.all), w.total)
	}
}

func TestDrainWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		w.fill(f, 2)
		done := make(chan string)
		go func() { done <- w.where(f, 700) }()
		eventually(t, "it runs", func() bool { return w.Stats().Busy == 1 })
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			w.Drain(context.Background())
		}()
		eventually(t, "it drains", func() bool {
			_, err := w.Run(context.Background(), f, w.request("echo"))
			return errors.Is(err, ErrDraining)
		})
		select {
		case <-drained:
			t.Error("Drain did not wait")
		case box := <-done:
			if box == "" {
				t.Error("no answer")
			}
		}
		<-drained
		w.Drain(context.Background()) // again
	})
}

func TestDrainKills(t *testing.T) {
	for _, c := range []struct{ name, init, event string }{
		{"an invocation", "", "ignore-term"},
		{"a stream", "", `{"do":"stream-hang","n":1,"text":"abc"}`},
		{"an Init phase", "hang", "echo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function("INIT", c.init)
				f.Timeout = time.Minute
				failed := make(chan error)
				go func() {
					r, _ := w.streamed(c.event)
					_, err := w.Run(context.Background(), f, r)
					failed <- err
				}()
				eventually(t, "it runs", func() bool { return len(w.processes()) == 1 })
				time.Sleep(50 * time.Millisecond)
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				begun := time.Now()
				drained := make(chan struct{})
				go func() {
					defer close(drained)
					w.Drain(ctx)
				}()
				if err := <-failed; !errors.Is(err, ErrDraining) {
					t.Errorf("Run failed with %v, want ErrDraining", err)
				}
				<-drained
				if took := time.Since(begun); took < 100*time.Millisecond || took > 3*time.Second {
					t.Errorf("Drain took %v", took)
				}
				if left := w.processes(); len(left) > 0 {
					t.Errorf("there are processes: %v", left)
				}
			})
		})
	}
	t.Run("nothing", func(t *testing.T) {
		w := newWorld(t, "process", Deps{})
		w.state(w.function())
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Drain(ctx)
	})
}

func TestBrokenDriver(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	f := w.function()
	why := errors.New("no room on the device")
	w.broken.Store(&why)
	for range 3 {
		if _, err := w.Run(t.Context(), f, w.request("echo")); !errors.Is(err, why) {
			t.Errorf("Run failed with %v, want %v", err, why)
		}
	}
	if s := w.Stats(); s.Busy != 0 || s.Idle != 0 || len(w.groups) != 0 {
		t.Errorf("stats are %+v, with %d groups", s, len(w.groups))
	}
	w.broken.Store(nil)
	w.good(f, "echo")
}

// A sandbox that goes away while it is idle costs no invocation.
func TestSandboxIsLostWhileIdle(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		w.fill(f, 2)
		w.mu.Lock()
		for _, e := range w.groups[f.Key].idle {
			if err := e.box.Destroy(); err != nil {
				t.Error(err)
			}
		}
		w.mu.Unlock()
		if now := w.state(f); now.Disk != 1 {
			t.Errorf("state is %+v", now)
		}
		if s := w.Stats(); s.Idle != 1 || s.Busy != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
}

// The first process of a sandbox is ours. If it dies, so does all of the sandbox.
func TestFirstProcessOfTheSandboxDies(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.function()
	w.state(f)
	w.mu.Lock()
	idle := w.groups[f.Key].idle[0]
	w.mu.Unlock()
	w.killParents()
	<-idle.process.Done()
	w.state(f)

	r := w.request("hang")
	done := make(chan *Response)
	go func() { done <- w.do(f, r) }()
	eventually(t, "its process is there", func() bool { return w.Stats().Busy == 1 && len(w.processes()) > 0 })
	time.Sleep(300 * time.Millisecond) // until it has its event
	w.killParents()
	failed(t, <-done, "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited with error: signal: killed"))
	w.state(f)
}

// killParents kills the parents of the functions' processes.
func (w *world) killParents() {
	w.t.Helper()
	for _, pid := range w.processes() {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			w.t.Fatal(err)
		}
		parent, err := strconv.Atoi(strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[1])
		if err != nil || parent == os.Getpid() || parent <= 1 {
			w.t.Fatalf("the parent of %s is %d: %v", pid, parent, err)
		}
		if err := syscall.Kill(parent, syscall.SIGKILL); err != nil {
			w.t.Fatal(err)
		}
	}
}
