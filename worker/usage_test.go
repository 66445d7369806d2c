package worker

import (
	"fmt"
	"testing"
	"time"
)

// stat is /proc/stat of two cores that were so long idle and busy, in hundredths of a second.
func stat(idle0, busy0, idle1, busy1 int) string {
	return fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\ncpu0 %d 0 0 %d 0 0 0 0 0 0\ncpu1 %d 0 0 %d 0 0 0 0 0 0\nintr 1 2 3\n",
		busy0+busy1, idle0+idle1, busy0, idle0, busy1, idle1)
}

func TestUsage(t *testing.T) {
	type step struct {
		idle0, busy0, idle1, busy1 int // since the step before
		known                      time.Duration
		hog                        bool
	}
	for _, tt := range []struct {
		name                string
		steps               []step
		full, others, alone int
	}{
		{"one look tells nothing", []step{{busy0: 10, busy1: 10}}, 0, 0, 0},
		{"idle", []step{{}, {idle0: 10, idle1: 10}}, 0, 0, 1},
		{"ours full, the rest too", []step{{}, {idle0: 1, busy0: 9, busy1: 10, known: 180 * time.Millisecond}}, 0, 0, 1},
		{"ours full, the rest has room", []step{{}, {idle0: 4, busy0: 6, busy1: 10, known: 150 * time.Millisecond}}, 1, 0, 1},
		{"and again", []step{
			{}, {idle0: 4, busy0: 6, busy1: 10, known: 150 * time.Millisecond}, {idle0: 10, busy1: 10, known: 100 * time.Millisecond},
		}, 2, 0, 2},
		{"not any more", []step{{}, {idle0: 4, busy0: 6, busy1: 10, known: 150 * time.Millisecond}, {idle0: 10, idle1: 10}}, 0, 0, 2},
		{"the rest full, ours have room", []step{{}, {busy0: 10, idle1: 10, known: 100 * time.Millisecond}}, 0, 0, 1},
		{"others compute", []step{{}, {busy0: 10, idle1: 10, known: 20 * time.Millisecond}}, 0, 1, 0},
		{"others do a little", []step{{}, {busy0: 10, idle1: 10, known: 60 * time.Millisecond}}, 0, 0, 1},
		{"an invocation computes", []step{{}, {idle0: 10, idle1: 10, hog: true}}, 0, 1, 0},
		{"the count of what is idle went back", []step{{idle0: 10, busy0: 10}, {idle0: -5, busy0: 10, busy1: 10}}, 0, 0, 0},
		{"no time went by", []step{{}, {}}, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var u usage
			var sum step
			for _, s := range tt.steps {
				sum.idle0 += s.idle0
				sum.busy0 += s.busy0
				sum.idle1 += s.idle1
				sum.busy1 += s.busy1
				sum.known += s.known
				u.look(stat(sum.idle0, sum.busy0, sum.idle1, sum.busy1), sum.known, s.hog, []int{1}, []int{0})
			}
			if u.full != tt.full || u.others != tt.others || u.alone != tt.alone {
				t.Errorf("full %d, others %d, alone %d, want %d, %d, %d", u.full, u.others, u.alone, tt.full, tt.others, tt.alone)
			}
		})
	}
}

func TestUsageForgets(t *testing.T) {
	var u usage
	u.look(stat(0, 0, 0, 0), 0, false, []int{1}, []int{0})
	u.forget()
	if u.look(stat(10, 0, 0, 10), 0, true, []int{1}, []int{0}); u.full+u.others+u.alone != 0 {
		t.Errorf("it compares with what it forgot: %+v", u)
	}
}

// The pauses grow while there is little between them, and no further than the last.
func TestPause(t *testing.T) {
	var u usage
	now := time.Now()
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 32} {
		if got := u.pause(now); got != want*time.Second {
			t.Errorf("%v, want %v s", got, want)
		}
		now = u.until.Add(time.Second)
	}
	if got := u.pause(u.until.Add(4*lastSpread + 1)); got != firstSpread {
		t.Errorf("%v after a long time, want %v", got, firstSpread)
	}
}
