package worker

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// provisioned provisions n and waits until they are there.
func (w *world) provisioned(f *Function, n int) {
	w.t.Helper()
	w.Provision(f, n)
	w.allocated(f, n)
}

func (w *world) allocated(f *Function, n int) {
	w.t.Helper()
	patiently(w.t, "as many as wanted are provisioned", func() bool {
		got, err := w.Provisioned(f.Key)
		if errors.Is(err, ErrInit) {
			w.t.Fatal(err)
		}
		return got == n
	})
}

// patiently is eventually for what takes long on a slow machine.
func patiently(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not in a minute: %s", what)
}

func TestProvision(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function("INIT", "print")
		w.provisioned(f, 2)
		if s := w.Stats(); s.Idle != 2 || s.Cold != 0 {
			t.Errorf("stats are %+v, want two that wait and no cold start", s)
		}
		r := w.request("state")
		first := w.do(f, r)
		if !first.Provisioned || first.Init <= 0 {
			t.Errorf("the first invocation: provisioned = %t, Init %v", first.Provisioned, first.Init)
		}
		if again := w.run(f, "state"); !again.Provisioned || again.Init != 0 {
			t.Errorf("the second invocation: provisioned = %t, Init %v", again.Provisioned, again.Init)
		}
		if env := string(w.good(f, "env").Payload); !strings.Contains(env, `"AWS_LAMBDA_INITIALIZATION_TYPE=provisioned-concurrency"`) {
			t.Errorf("the environment is %s", env)
		}
		log := regexp.MustCompile(`[\d.]+ ms`).ReplaceAllString(w.logs.text(), "N ms")
		for _, want := range []string{"static code\n", "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: success\n"} {
			if strings.Count(log, want) != 2 {
				t.Errorf("log is\n%s\nwant twice\n%s", log, want)
			}
		}
		if s := w.Stats(); s.Cold != 0 {
			t.Errorf("stats are %+v, want no cold start", s)
		}
		w.Provision(f, 0)
		patiently(t, "they are gone", func() bool { return w.Stats().Idle == 0 && len(w.processes()) == 0 })
		if resp := w.run(f, "state"); resp.Provisioned {
			t.Error("an invocation ran in a provisioned sandbox after Provision(f, 0)")
		}
	})
}

// What is more than provisioned spills over to sandboxes made on demand, which end when they are idle; the others stay.
func TestProvisionSpillover(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	f := w.function()
	w.provisioned(f, 1)
	busy, err := w.acquire(f)
	if err != nil || busy == nil || busy.of == nil {
		t.Fatalf("the first of two invocations at once gets %v, %v", busy, err)
	}
	if resp := w.good(f, "state"); resp.Provisioned || resp.Init <= 0 {
		t.Errorf("the second: provisioned = %t, Init %v", resp.Provisioned, resp.Init)
	}
	if n, err := w.Provisioned(f.Key); n != 1 || err != nil {
		t.Errorf("one that is busy is allocated: %d, %v", n, err)
	}
	w.release(busy)
	if resp := w.good(f, "state"); !resp.Provisioned {
		t.Error("of two that wait, the one made on demand was used first")
	}
	w.reapBefore(time.Now().Add(time.Hour)) // as if all had been idle for long
	patiently(t, "the one made on demand is gone", func() bool { return w.Stats().Idle == 1 })
	if resp := w.good(f, "state"); !resp.Provisioned {
		t.Error("the provisioned sandbox did not outlive being idle")
	}
}

func TestProvisionFails(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function("INIT", "exit:4")
		w.Provision(f, 2)
		patiently(t, "the failure is known", func() bool {
			n, err := w.Provisioned(f.Key)
			return n == 0 && errors.Is(err, ErrInit)
		})
		if log := w.logs.text(); !strings.Contains(log, "Phase: init\tStatus: error\tError Type: Runtime.ExitError\n") {
			t.Errorf("log is %s", log)
		}
		patiently(t, "it is tried again", func() bool { return strings.Count(w.logs.text(), "INIT_REPORT") > 1 })
		w.Retire(f.Key)
		if n, err := w.Provisioned(f.Key); n != 0 || err != nil {
			t.Errorf("after Retire: %d, %v", n, err)
		}
	})
}

// A function whose Init phase hangs keeps no other from being provisioned.
func TestProvisionHangs(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	hanging := w.function("INIT", "hang")
	w.Provision(hanging, 8)
	w.provisioned(w.function(), 2)
	if n, err := w.Provisioned(hanging.Key); n != 0 || err != nil {
		t.Errorf("of those that hang: %d, %v", n, err)
	}
	w.Retire(hanging.Key)
}

// A sandbox that dies, used or not, is replaced, and no invocation waits for that.
func TestProvisionReplacesTheDead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		w.provisioned(f, 1)
		before := w.state(f)
		if resp := w.run(f, "exit"); resp.FunctionError == "" || !resp.Provisioned {
			t.Fatalf("%+v", resp)
		}
		patiently(t, "another one is ready", func() bool { n, _ := w.Provisioned(f.Key); return n == 1 && w.Stats().Idle == 1 })
		if same, _ := w.alive(f, before); same {
			t.Error("the sandbox of the process that died was used again")
		}
		ready := func() []*environment {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.provisions[f.Key].ready)
		}
		idle := ready()
		idle[0].process.Kill()
		patiently(t, "another one is ready", func() bool { now := ready(); return len(now) == 1 && now[0] != idle[0] })
		if resp := w.good(f, "state"); !resp.Provisioned {
			t.Error("the invocation after that had a cold start")
		}
	})
}

// One that will soon be too old is there until another one is.
func TestProvisionRenewsTheOld(t *testing.T) {
	w := newWorld(t, "process", Deps{MaxAge: time.Hour})
	f := w.function()
	w.provisioned(f, 1)
	first := w.where(f, 0)
	w.mu.Lock()
	for _, e := range w.provisions[f.Key].ready {
		e.created = time.Now().Add(-time.Hour + renewAhead/2)
	}
	w.mu.Unlock()
	w.reapBefore(time.Now().Add(-time.Hour))
	patiently(t, "it is another sandbox", func() bool {
		if n, err := w.Provisioned(f.Key); n < 1 || err != nil {
			t.Fatalf("while it was renewed: %d, %v", n, err)
		}
		resp := w.good(f, `{"do":"sleep","n":0}`)
		return string(resp.Payload) != first && resp.Provisioned
	})
	patiently(t, "the old one is gone", func() bool { return w.Stats().Idle == 1 })

	w.mu.Lock()
	for _, e := range w.provisions[f.Key].ready {
		e.created = time.Now().Add(-2 * time.Hour)
	}
	w.mu.Unlock()
	second := w.good(f, `{"do":"sleep","n":0}`)
	if second.Provisioned {
		t.Error("an invocation ran in a sandbox that was too old")
	}
	patiently(t, "another one is ready", func() bool { return w.run(f, "state").Provisioned })
}

func TestProvisionMakesRoom(t *testing.T) {
	w := newWorld(t, "process", Deps{MaxSandboxes: 2})
	a, b := w.function(), w.function()
	w.where(a, 0)
	w.provisioned(b, 2) // a's idle one goes
	if _, err := w.Run(t.Context(), a, w.request("state")); !errors.Is(err, ErrFull) {
		t.Errorf("with only provisioned ones: %v, want ErrFull: they are not evicted", err)
	}
	w.Provision(b, 3)
	patiently(t, "there is no room for a third", func() bool { n, err := w.Provisioned(b.Key); return n == 2 && errors.Is(err, ErrFull) })
	w.Provision(b, 1)
	w.allocated(b, 1)
	patiently(t, "there is room again", func() bool { _, err := w.Run(t.Context(), a, w.request("state")); return err == nil })
}

func TestScalingThrottles(t *testing.T) {
	w := newWorld(t, "process", Deps{ScalingRate: 2})
	f := w.function()
	for range 2 {
		if e, err := w.acquire(f); e != nil || err != nil {
			t.Fatalf("%v, %v, want room for a new one", e, err)
		}
	}
	if _, err := w.Run(t.Context(), f, w.request("state")); !errors.Is(err, ErrScaling) {
		t.Errorf("a third sandbox: %v, want ErrScaling", err)
	}
	w.gone(f)
	w.gone(f)
	w.provisioned(f, 1) // which is not made for an invocation
	if resp := w.good(f, "state"); !resp.Provisioned {
		t.Error("the invocation had a cold start")
	}
	w.Provision(f, 0)
	patiently(t, "there is room again", func() bool { _, err := w.Run(t.Context(), f, w.request("state")); return err == nil })
}
