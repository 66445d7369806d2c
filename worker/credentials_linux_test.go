package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// minter mints credentials that are told apart by their number, good for so long; from a certain one on it fails.
type minter struct {
	life  time.Duration
	minds error // why it fails
	after int32 // how many it mints before
	n     atomic.Int32
}

func (m *minter) mint(context.Context, *Function) (Credentials, error) {
	n := m.n.Add(1)
	if m.minds != nil && n > m.after {
		return Credentials{}, m.minds
	}
	c := Credentials{AccessKeyID: fmt.Sprint("ASIA", n), SecretAccessKey: "secret", SessionToken: "token"}
	if m.life > 0 {
		c.Expires = time.Now().Add(m.life)
	}
	return c, nil
}

func TestWhenCredentialsAreStale(t *testing.T) {
	for _, c := range []struct{ life, stale time.Duration }{
		{12 * time.Hour, 12*time.Hour - spare},
		{time.Hour, 45 * time.Minute},
		{30 * time.Minute, 15 * time.Minute},
		{15 * time.Minute, 7*time.Minute + 30*time.Second}, // else a sandbox would be good for nothing
		{time.Second, time.Second / 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &Pool{deps: Deps{Credentials: (&minter{life: c.life}).mint}}
			id, err := p.mint(t.Context(), &Function{})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.stale - 1)
			if id.stale(time.Now()) {
				t.Errorf("of %v: stale before %v", c.life, c.stale)
			}
			time.Sleep(time.Nanosecond)
			if !id.stale(time.Now()) {
				t.Errorf("of %v: good after %v", c.life, c.stale)
			}
		})
	}
	id, err := (&Pool{deps: Deps{Credentials: (&minter{}).mint}}).mint(t.Context(), &Function{})
	if err != nil || id.stale(time.Now().Add(1e6*time.Hour)) {
		t.Errorf("credentials that never expire: %v", err)
	}
}

// keyOf is the access key that a function has.
func (w *world) keyOf(f *Function) string { return w.environ(f)["AWS_ACCESS_KEY_ID"] }

// A sandbox whose credentials come to their end is replaced when it is idle, and not while it runs.
func TestCredentialsExpire(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := &minter{life: 3 * time.Second}
		w = newWorld(t, w.driver.Name(), Deps{Credentials: m.mint})
		f := w.function()
		first := w.where(f, 0)
		if key := w.keyOf(f); key != "ASIA1" {
			t.Errorf("the key is %s", key)
		}
		if got := w.where(f, 1600); got != first {
			t.Errorf("it ran in %s, want %s", got, first)
		}
		if s := w.Stats(); s.Idle != 0 {
			t.Errorf("a sandbox whose credentials have become too old during an invocation was kept: %+v", s)
		}
		second := w.where(f, 0)
		if key := w.keyOf(f); key != "ASIA2" || second == first {
			t.Errorf("the key is %s, in %s after %s", key, second, first)
		}
		time.Sleep(1600 * time.Millisecond)
		if third := w.where(f, 0); third == second || m.n.Load() != 3 {
			t.Errorf("an invocation ran in %s after %s with credentials that had become too old while idle; %d were minted", third, second, m.n.Load())
		}
	})
}

// The reaper does not wait for an invocation.
func TestCredentialsExpireWhileIdle(t *testing.T) {
	w := newWorld(t, "process", Deps{Credentials: (&minter{life: time.Second}).mint, Idle: 20 * time.Second})
	w.state(w.function())
	eventually(t, "the sandbox is gone", func() bool { return w.Stats().Idle == 0 && len(w.processes()) == 0 })
}

// The Init phase that is repeated does not start with what was minted before it.
func TestCredentialsOfARepeatedInit(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := &minter{life: time.Second}
		w = newWorld(t, w.driver.Name(), Deps{Credentials: m.mint})
		w.initLimit = 700 * time.Millisecond
		if key := w.keyOf(w.function("INIT", "hang-once")); key != "ASIA2" || m.n.Load() != 2 {
			t.Errorf("the key is %s, of %d", key, m.n.Load())
		}
	})
}

func TestNoCredentials(t *testing.T) {
	for name, why := range map[string]error{"the role": fmt.Errorf("role x is gone: %w", ErrRole), "something else": errors.New("the disk is full")} {
		t.Run(name, func(t *testing.T) {
			m := &minter{minds: why}
			w := newWorld(t, "process", Deps{Credentials: m.mint})
			f := w.function()
			fails := func() {
				t.Helper()
				_, err := w.Run(t.Context(), f, w.request("echo"))
				if !errors.Is(err, why) || errors.Is(err, ErrRole) != errors.Is(why, ErrRole) {
					t.Errorf("Run failed with %v, want %v", err, why)
				}
				if s := w.Stats(); s.Busy != 0 || s.Idle != 0 {
					t.Errorf("stats are %+v", s)
				}
			}
			fails()
			// And when the first process of a sandbox has taken too long to start.
			m.life, m.after, w.initLimit = time.Second, 2, 700*time.Millisecond
			f.Env["INIT"] = "hang-once"
			fails()
			if n := m.n.Load(); n != 3 {
				t.Errorf("it was tried %d times", n)
			}
		})
	}
}

// A function whose role is refused takes one waiting sandbox for nothing, and no more.
func TestRefusedRoleLeavesWhatWaits(t *testing.T) {
	refused := errors.New("the role cannot be assumed")
	w := newWorld(t, "namespace", Deps{ReadyMemory: 1 << 30, Credentials: (&minter{minds: refused}).mint})
	f := w.python(t, pythonCode)
	w.Expect(f)
	w.waitReady(1)
	for range 3 {
		if _, err := w.Run(t.Context(), f, w.request(`{"do":"env"}`)); !errors.Is(err, refused) {
			t.Fatalf("it ran, or did not for another reason: %v", err)
		}
	}
	if n := w.Stats().Claimed; n > 1 {
		t.Errorf("%d waiting sandboxes were taken", n)
	}
}
