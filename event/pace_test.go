package event

import (
	"testing"
	"time"
)

// A lane whose tries become slower gets more places again.
func TestClimbAfterTriesBecameSlower(t *testing.T) {
	var c climb
	now, limit := time.Unix(1000, 0), 4
	run := func(d, try time.Duration) {
		for end := now.Add(d); now.Before(end); {
			now = now.Add(try / time.Duration(limit))
			limit = min(limit+c.end(now, limit, true), 500)
		}
	}
	run(700*time.Millisecond, 30*time.Millisecond)
	was := limit
	run(30*time.Second, 300*time.Millisecond)
	if was < 8 || limit < 10*was {
		t.Errorf("%d places for short tries, and %d for those that take ten times as long", was, limit)
	}
}
