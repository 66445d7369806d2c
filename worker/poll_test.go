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
		want     time.Duration
	}{
		{"alone", coreMB, true, 1, 0, pollTime},
		{"without a core of its own", coreMB - 1, true, 1, 0, 0},
		{"by its own client", coreMB, false, 1, 0, 0},
		{"as many as there is room for", coreMB, true, cores, 0, pollTime},
		{"a crowd", coreMB, true, cores + 1, 0, 0},
		{"a crowd just now", coreMB, true, cores + 1, lull / 2, 0},
		{"a crowd a while ago", coreMB, true, cores + 1, 2 * lull, pollTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pool{crowd: crowd{since: time.Now().Add(-time.Minute)}}
			p.crowd.note(tt.busy)
			p.crowd.since = p.crowd.since.Add(-tt.since)
			e := &environment{pool: p, function: &Function{MemoryMB: tt.memoryMB}, channeled: tt.channel}
			if got := e.poll(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
