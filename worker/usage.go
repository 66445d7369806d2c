package worker

import (
	"strconv"
	"strings"
	"time"
)

// usage is how much of each core was used between two looks at /proc/stat.
type usage struct {
	before map[int]coreTicks
	paused time.Duration // the last pause
	until  time.Time     // when it was over
}

// coreTicks are how long a core has been idle so far, and altogether.
type coreTicks struct{ idle, all uint64 }

// full says whether the cores of ours are full since the last look while those of rest have room.
func (u *usage) full(stat string, ours, rest []int) bool {
	now := map[int]coreTicks{}
	for line := range strings.Lines(stat) {
		name, _, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(strings.TrimPrefix(name, "cpu"))
		if err != nil || !strings.HasPrefix(name, "cpu") {
			continue // of all cores together, or of something else
		}
		idle, all := ticks(line)
		now[n] = coreTicks{idle, all}
	}
	before := u.before
	u.before = now
	sum := func(of []int) (t coreTicks) {
		for _, n := range of {
			t.idle += now[n].idle - before[n].idle
			t.all += now[n].all - before[n].all
		}
		return t
	}
	o, r := sum(ours), sum(rest)
	return before != nil && o.all > 0 && o.idle*fullPart <= o.all && r.idle*roomPart >= r.all
}

// forget makes the next look the first one.
func (u *usage) forget() { u.before = nil }

// pause is for how long the kernel decides: longer each time, unless the last time is long ago.
func (u *usage) pause(now time.Time) time.Duration {
	if u.paused == 0 || now.Sub(u.until) > 4*u.paused {
		u.paused = firstSpread
	} else {
		u.paused = min(2*u.paused, lastSpread)
	}
	u.until = now.Add(u.paused)
	return u.paused
}
