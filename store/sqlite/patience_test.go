package sqlite

import (
	"testing"
	"time"

	"github.com/enfold-run/enfold/store"
)

// busy has calls land for some time, so many in an epoch as calls says, and answers in what share of it groups waited.
func busy(p *patience, now *time.Time, epochs int, calls func(waits bool) int) (waited float64) {
	for range epochs {
		waits := p.waits.Load()
		if waits {
			waited += 1 / float64(epochs)
		}
		*now = now.Add(p.epoch)
		p.landed(calls(waits), *now)
	}
	return waited
}

// What gets more calls done is what is done nearly always, also when that changes. Nothing gained is nothing to wait for.
func TestPatienceDoesWhatGetsMoreDone(t *testing.T) {
	var p patience
	p.start()
	now := time.Unix(1e9, 0)
	busy(&p, &now, 1, func(bool) int { return 100 })
	if busy(&p, &now, 2, func(bool) int { return 100 }); !p.waits.Load() {
		t.Error("while nothing is known nobody waits")
	}
	for _, c := range []struct {
		name           string
		alone, waiting int
		least, most    float64
	}{
		{"waiting pays", 100, 115, 0.9, 1},
		{"waiting costs much", 100, 50, 0, 0.1},
		{"waiting pays again", 100, 115, 0.9, 1},
		{"it makes no difference", 100, 100, 0, 0.1},
		{"nothing is done but when nobody waits", 100, 0, 0, 0.1},
	} {
		calls := func(waits bool) int {
			if waits {
				return c.waiting
			}
			return c.alone
		}
		busy(&p, &now, 600, calls) // to notice
		if got := busy(&p, &now, 1000, calls); got < c.least || got > c.most {
			t.Errorf("%s: groups waited %.2f of the time, want %.1f to %.1f", c.name, got, c.least, c.most)
		}
	}
}

// Where hardly anybody calls nobody waits, and nothing is learned: one call in an epoch and none in the next are no difference.
func TestPatienceWhereHardlyAnybodyCalls(t *testing.T) {
	var p patience
	p.start()
	now := time.Unix(1e9, 0)
	for i := range 10_000 {
		now = now.Add(time.Duration(1+i%3) * p.epoch)
		if p.landed(1+i%(fewCalls-1), now); p.waits.Load() {
			t.Fatalf("somebody waits after %d calls", i)
		}
	}
	if p.gain != firstGain {
		t.Errorf("learned that waiting gains %v", p.gain)
	}
}

// A group waits for who was answered a moment ago, and no longer than it may.
func TestAGroupWaitsForItsCompany(t *testing.T) {
	for name, longest := range map[string]time.Duration{"they come": time.Minute, "nobody comes": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			o, syncs := hold(t)
			s := openWith(t, o)
			w := s.writer
			w.patience.longest, w.patience.began, w.patience.epoch = longest, time.Now(), time.Hour
			w.patience.waits.Store(true)
			put := func(key string) <-chan error {
				return begin(s, func(tx store.Tx) error { return putKey(tx, key, nil) })
			}
			first := put("first")
			soon(t, "the first sync", syncs.begun)
			all := []<-chan error{put("a"), put("b"), put("c")}
			for len(w.calls) > 0 || w.patience.callers.Load() < 4 {
				time.Sleep(time.Millisecond)
			}
			syncs.goOn <- nil
			if err := soon(t, "the first caller", first); err != nil {
				t.Error(err)
			}
			if longest > time.Second {
				notYet(t, "the group", syncs.begun)
				all = append(all, put("first again"))
			}
			soon(t, "the second sync", syncs.begun)
			syncs.goOn <- nil
			for _, c := range all {
				if err := soon(t, "a caller", c); err != nil {
					t.Error(err)
				}
			}
			if len(syncs.begun) > 0 {
				t.Error("the second group took more than one sync")
			}
		})
	}
}
