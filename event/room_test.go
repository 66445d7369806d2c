package event

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// A target that has room for few takes one after the other as fast as it can, and is not asked again and again for more.
func TestBusyTarget(t *testing.T) {
	const all, room, took = 60, 2, 10 * time.Millisecond
	var running, refused atomic.Int64
	s := &script{places: 50, deliver: func(context.Context, *Delivery) error {
		defer running.Add(-1)
		if running.Add(1) > room {
			refused.Add(1)
			return Busy(errors.New("no room"))
		}
		time.Sleep(took)
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	begun := time.Now()
	for i := range all {
		w.emit(&Delivery{Kind: "k", Target: "t", Payload: []byte(strconv.Itoa(i)), Retry: Retry{Tries: 1}})
	}
	eventually(t, "all ended", func() bool { _, end := s.seen(); return len(end) == all })
	t.Logf("%d in %v, at best %v; %d tries found no room", all, time.Since(begun), all/room*took, refused.Load())
	if n := refused.Load(); n == 0 || n > 2*all {
		t.Errorf("%d tries of %d found no room", n, all)
	}
	_, end := s.seen()
	for _, e := range end {
		if e[len(e)-1] != ' ' {
			t.Errorf("ended %q", e)
		}
	}
}

// A target without any room is tried rarely, and used as soon as that changes.
func TestFullTarget(t *testing.T) {
	var tries atomic.Int64
	var open atomic.Bool
	s := &script{places: 50, deliver: func(context.Context, *Delivery) error {
		if tries.Add(1); !open.Load() {
			return Busy(errors.New("no room"))
		}
		return nil
	}}
	w := newWorld(t, map[string]Handler{"k": s})
	const all = 40
	for i := range all {
		w.emit(&Delivery{Kind: "k", Target: "t", Payload: []byte(strconv.Itoa(i)), Retry: Retry{Tries: 1}})
	}
	time.Sleep(time.Second)
	if n := tries.Load(); n == 0 || n > 2*all {
		t.Errorf("%d tries of %d deliveries in a second", n, all)
	}
	open.Store(true)
	eventually(t, "all ended", func() bool { _, end := s.seen(); return len(end) == all })
}

// Each time that there is no room for a single one the wait is longer, up to a limit.
func TestRoom(t *testing.T) {
	var r room
	now := time.Now()
	last := time.Duration(0)
	for range 20 {
		hold := r.full(now, 0)
		if hold < firstHold/2 || hold > longestHold || r.free(now, 10, 0) != 0 || r.free(now.Add(hold), 10, 0) != 1 {
			t.Errorf("it holds for %v: %+v", hold, r)
		}
		last = hold
	}
	if last < longestHold/2 {
		t.Errorf("at last it holds for %v", last)
	}
	if hold := r.full(now, 7); hold != 0 || r.most != 7 {
		t.Errorf("with 7 under way it holds for %v, with %d at most", hold, r.most)
	}
	r.found(now, 10)
	if got := r.free(now, 10, 3); got != 4 {
		t.Errorf("after one that found room %d are free", got)
	}
	for range 10 {
		now = now.Add(raiseEvery)
		r.found(now, 10)
	}
	if got := r.free(now, 10, 3); got != 7 {
		t.Errorf("after a while %d are free", got)
	}
}
