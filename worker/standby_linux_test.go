package worker

import (
	"context"
	"strings"
	"testing"
	"time"
)

// newStandbys is a world in which restored sandboxes stand by, within bytes of memory.
func newStandbys(t *testing.T, bytes int64) (*world, *storing) {
	t.Helper()
	w, d := newStoring(t)
	w.deps.ReadyMemory = bytes
	return w, d
}

// standingBy waits until one stands by for a function, and answers it.
func (w *world) standingBy(f *Function) (e *environment) {
	w.t.Helper()
	eventually(w.t, "one stands by", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if s := w.standbys[f.Key]; s != nil {
			e = s.e
		}
		return e != nil
	})
	return e
}

// TestStandby is taken by the next cold start, and only then goes on from the snapshot.
func TestStandby(t *testing.T) {
	w, d := newStandbys(t, 0)
	f := w.snapping("good")
	w.snapshot(f)
	first := w.standingBy(f)
	if err := first.session.WaitHeld(context.Background()); err != nil {
		t.Fatal(err)
	}
	if log := w.logs.text(); strings.Contains(log, "after the restore") || strings.Contains(log, "RESTORE_START") {
		t.Errorf("its hooks have run\n%s", log)
	}
	stream1, key1, _ := w.twin(f)
	if stream1 != first.at.stream {
		t.Errorf("the invocation was in %s, %s stood by", stream1, first.at.stream)
	}
	if log := w.logs.text(); !strings.Contains(log, "RESTORE_START") || !strings.Contains(log, "after the restore in "+stream1) {
		t.Errorf("the restore is not in the log\n%s", log)
	}
	second := w.standingBy(f)
	w.run(f, "exit")
	w.mu.Lock()
	second.created = time.Now().Add(-time.Hour) // while it waited, nobody did
	w.mu.Unlock()
	if resp := w.good(f, "state"); resp.Restore <= 0 || resp.Restore > time.Minute {
		t.Errorf("it was restored in %v", resp.Restore)
	}
	stream2, key2, _ := w.twin(f)
	if stream2 != second.at.stream || stream2 == stream1 || key2 == key1 {
		t.Errorf("the second was in %s with %s, %s stood by; the first in %s with %s", stream2, key2, second.at.stream, stream1, key1)
	}
	w.standingBy(f)
	if n := d.restores.Load(); n != 3 {
		t.Errorf("%d restores", n)
	}
	if resp := w.good(f, "state"); resp.Restore != 0 {
		t.Error("a warm invocation was restored")
	}
	w.Retire(f.Key)
	eventually(t, "a retired function has none", func() bool { return len(w.processes()) == 0 })
}

// TestStandbyUnfit is not used.
func TestStandbyUnfit(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world, e *environment){
		"dead": func(t *testing.T, _ *world, e *environment) {
			e.claimed.Kill()
			<-e.claimed.Done()
		},
		"with old credentials": func(_ *testing.T, w *world, e *environment) {
			w.mu.Lock()
			defer w.mu.Unlock()
			e.identity.renew = time.Now().Add(-time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newStandbys(t, 0)
			f := w.snapping("good")
			w.snapshot(f)
			e := w.standingBy(f)
			spoil(t, w, e)
			if stream, _, _ := w.twin(f); stream == e.at.stream {
				t.Error("it was used")
			}
		})
	}
}

// TestStandbyBounds are memory, the number of sandboxes, and time.
func TestStandbyBounds(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		w, _ := newStandbys(t, standbySize)
		one, two := w.snapping("good"), w.snapping("good")
		w.snapshot(one)
		w.standingBy(one)
		w.snapshot(two)
		w.standingBy(two)
		w.mu.Lock()
		n := len(w.standbys)
		w.mu.Unlock()
		if n != 1 {
			t.Errorf("%d stand by", n)
		}
	})
	t.Run("none", func(t *testing.T) {
		w, d := newStandbys(t, -1)
		f := w.snapping("good")
		w.snapshot(f)
		w.good(f, "state")
		w.Drain(context.Background())
		if n := d.restores.Load(); n != 1 {
			t.Errorf("%d restores", n)
		}
	})
	t.Run("sandboxes", func(t *testing.T) {
		w, _ := newStandbys(t, 0)
		w.deps.MaxSandboxes = 1
		f := w.snapping("good")
		w.snapshot(f)
		eventually(t, "the one that was stored is gone", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.leaving == 0 })
		w.wantStandby(f, false)
		w.standingBy(f)
		w.good(w.function(), "state") // it makes room
	})
	t.Run("little memory is left", func(t *testing.T) {
		w, _ := newStandbys(t, 0)
		f := w.snapping("good")
		w.snapshot(f)
		w.standingBy(f)
		w.relieve(stopBelow - 1)
		eventually(t, "it is gone", func() bool { return len(w.processes()) == 0 })
	})
	t.Run("too old", func(t *testing.T) {
		w, _ := newStandbys(t, 0)
		f := w.snapping("good")
		w.snapshot(f)
		w.standingBy(f)
		w.mu.Lock()
		w.standbys[f.Key].wanted = time.Now().Add(-standbyFor - time.Second)
		w.mu.Unlock()
		w.reapBefore(time.Now().Add(-time.Hour))
		eventually(t, "it is gone", func() bool { return len(w.processes()) == 0 })
	})
	t.Run("retired while it is made", func(t *testing.T) {
		w, _ := newStandbys(t, 0)
		f := w.snapping("good")
		w.snapshot(f)
		w.Retire(f.Key)
		w.Drain(context.Background())
		if len(w.standbys) != 0 || w.total != 0 {
			t.Errorf("%d stand by, there are %d sandboxes", len(w.standbys), w.total)
		}
	})
}
