package worker

import (
	"strconv"
	"strings"
	"time"
)

// usage is what the cores were used for between two looks at /proc/stat.
type usage struct {
	before map[int]coreTicks // nil before the first look
	known  time.Duration
	brief  time.Duration // of it, that of sandboxes
	// How many times in a row our cores were full while the rest had room, others have computed, and have not.
	full, others, alone int

	paused time.Duration // the last pause
	until  time.Time     // when it was over
}

// coreTicks are how long a core has been idle so far, and altogether.
type coreTicks struct{ idle, all uint64 }

// look compares with the look before. known is the processor time that was used so far by those who are no others, of whom hog says that
// they compute anyhow.
func (u *usage) look(stat string, known time.Duration, hog bool, ours, rest []int) {
	before, knownBefore := u.before, u.known
	u.before, u.known = coresOf(stat), known
	sum := func(of []int) (t coreTicks) {
		for _, n := range of {
			t.idle += u.before[n].idle - before[n].idle
			t.all += u.before[n].all - before[n].all
		}
		return t
	}
	o, r := sum(ours), sum(rest)
	if before == nil || o.all == 0 || o.idle > o.all || r.idle > r.all { // the kernel's count of what is idle may go back
		u.full, u.others, u.alone = 0, 0, 0
		return
	}
	count(&u.full, o.idle*fullPart <= o.all && r.idle*roomPart >= r.all)
	by := time.Duration(o.all-o.idle+r.all-r.idle)*statTick - (known - knownBefore)
	computed := hog || by*othersPart > time.Duration(o.all+r.all)*statTick
	count(&u.others, computed)
	count(&u.alone, !computed)
}

// count counts how many times in a row.
func count(n *int, so bool) {
	if *n++; !so {
		*n = 0
	}
}

// statTick is /proc/stat's unit, which is the same on every machine.
const statTick = 10 * time.Millisecond

// coresOf reads /proc/stat.
func coresOf(stat string) map[int]coreTicks {
	all := map[int]coreTicks{}
	for line := range strings.Lines(stat) {
		name, _, _ := strings.Cut(line, " ")
		number, is := strings.CutPrefix(name, "cpu")
		if n, err := strconv.Atoi(number); is && err == nil {
			idle, sum := ticks(line)
			all[n] = coreTicks{idle, sum}
		}
	}
	return all
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
