package worker

import (
	"runtime"
	"testing"
	"time"
)

func TestPoll(t *testing.T) {
	cores := max(runtime.NumCPU()/2, 1)
	for _, tt := range []struct {
		name     string
		memoryMB int
		channel  bool
		busy     int
		since    time.Duration // when so many were busy
		others   bool          // the machine has no core to spare
		want     time.Duration
	}{
		{"alone", coreMB, true, 1, 0, false, pollTime},
		{"beside others who compute", coreMB, true, 1, 0, true, 0},
		{"without a core of its own", coreMB - 1, true, 1, 0, false, 0},
		{"by its own client", coreMB, false, 1, 0, false, 0},
		{"as many as there is room for", coreMB, true, cores, 0, false, pollTime},
		{"a crowd", coreMB, true, cores + 1, 0, false, 0},
		{"a crowd just now", coreMB, true, cores + 1, lull / 2, false, 0},
		{"a crowd a while ago", coreMB, true, cores + 1, 2 * lull, false, pollTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pool{crowd: crowd{since: time.Now().Add(-time.Minute)}}
			p.crowd.looked.Store(int64(2 * time.Hour)) // not now
			p.crowd.idle.Store(!tt.others)
			p.crowd.note(tt.busy)
			p.crowd.since = p.crowd.since.Add(-tt.since)
			e := &environment{pool: p, function: &Function{MemoryMB: tt.memoryMB}, channeled: tt.channel}
			if got := e.poll(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for stat, want := range map[string][2]uint64{
		"cpu  100 2 30 4000 50 6 7 8 90 10\ncpu0 1 1 1 1 1\n": {4050, 4203},
		"cpu  1 2 3 4": {4, 10},
		"":             {0, 0},
		"cpu x":        {0, 0},
	} {
		if idle, all := ticks(stat); idle != want[0] || all != want[1] {
			t.Errorf("%q: %d of %d", stat, idle, all)
		}
	}
}

// TestCrowdLooks: the machine itself is looked at, and what it has to spare is known from the second look on.
func TestCrowdLooks(t *testing.T) {
	c := crowd{since: time.Now().Add(-time.Minute)}
	if c.over() || c.looked.Load() == 0 {
		t.Error("something was known at the first look")
	}
	if runtime.GOOS != "linux" {
		return
	}
	for until, seen := time.Now().Add(10*time.Second), false; !seen; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("nothing was seen")
		}
		c.looking.Lock()
		seen = c.allTicks > 0
		c.looking.Unlock()
	}
}
