package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestScalingRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScaling(0)
		f := &Function{Account: "000000000000", Region: "us-east-1", Name: "f", Version: "1"}
		taken := func(f *Function) (n int) {
			for s.take(f, time.Now()) {
				n++
			}
			return n
		}
		if n := taken(f); n != 1000 {
			t.Errorf("at once there was room for %d, want 1,000", n)
		}
		latest, other := *f, *f
		latest.Version, other.Name = "$LATEST", "g"
		if n := taken(&latest); n != 0 {
			t.Errorf("another version had room for %d of its own", n)
		}
		if n := taken(&other); n != 1000 {
			t.Errorf("another function had room for %d, want 1,000", n)
		}
		time.Sleep(time.Second)
		if n := taken(f); n != 100 {
			t.Errorf("a second later there was room for %d, want 100", n)
		}
		time.Sleep(time.Hour)
		if n := taken(f); n != 1000 {
			t.Errorf("after a quiet hour there was room for %d, want 1,000: it does not add up", n)
		}
		s.forget(time.Now())
		if len(s.functions) != 1 {
			t.Errorf("%d functions are remembered, want the one without room", len(s.functions))
		}
		time.Sleep(scalingWindow)
		if s.forget(time.Now()); len(s.functions) != 0 {
			t.Errorf("%d functions are remembered for nothing", len(s.functions))
		}
	})
}
