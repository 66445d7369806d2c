package lambda

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/enfold-run/enfold/event"
)

// How long a throttled batch waits before it is tried again, unless it hears of a place that became free.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = time.Second
)

// batch is what a poller took out of its source, and what is known of where it goes.
type batch struct {
	records  []event.Record
	place    event.Place
	target   *target
	received time.Time     // the first of its records
	lease    time.Duration // of its records; zero for the queue's own, as far as it was not asked for
	wait     time.Duration // before the next try; zero if it was never throttled
	jammed   bool          // the jam counts it
}

// jam counts a feeder's batches that were throttled and wait for a place. While there are any, the feeder polls nothing: what it
// took would be throttled too, and each receive counts towards its queue's maxReceiveCount.
type jam struct {
	mu      sync.Mutex
	waiting int
	seen    bool          // a batch was throttled since recent was last asked
	over    chan struct{} // closed when none waits any more; nil before the first one does
	freed   chan struct{} // a batch of this feeder has ended, for one of those that wait
}

func newJam() *jam { return &jam{freed: make(chan struct{}, mostPollers)} }

// enter counts a batch that was throttled and will be tried again.
func (j *jam) enter(b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if b.jammed {
		return
	}
	b.jammed = true
	if j.waiting++; j.waiting == 1 {
		j.over = make(chan struct{})
	}
}

// leave counts a batch no more, if it was counted.
func (j *jam) leave(b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !b.jammed {
		return
	}
	b.jammed = false
	if j.waiting--; j.waiting == 0 {
		close(j.over)
	}
}

// free says that a place became free. There are never more such words than batches that wait for them.
func (j *jam) free() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.freed) >= j.waiting {
		return
	}
	select {
	case j.freed <- struct{}{}:
	default:
	}
}

// saw notes that a batch was throttled, whether it is tried again or not.
func (j *jam) saw() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = true
}

// any says whether batches wait now.
func (j *jam) any() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.waiting > 0
}

// recent says whether batches wait now, or one was throttled since it was last asked.
func (j *jam) recent() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := j.seen
	j.seen = false
	return seen || j.waiting > 0
}

// clear waits until no batch waits, or answers false if ctx ends first.
func (j *jam) clear(ctx context.Context) bool {
	for j.any() {
		j.mu.Lock()
		over := j.over
		j.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-over:
		}
	}
	return ctx.Err() == nil
}

// retry waits until a throttled batch is to be tried again, and finds its target anew, whose limits may have changed. It answers
// false if the batch is to be left to come again: if the function could not end before its records are visible, or polling ends. Lambda
// uses what a visibility timeout leaves after the function's own for this.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
func (f *feeder) retry(polling context.Context, b *batch) (bool, error) {
	f.jam.saw()
	if b.wait == 0 {
		lease, err := f.source.Check(polling, b.place)
		if err != nil {
			return false, err
		}
		b.lease, b.wait = cmp.Or(b.lease, lease), firstRetry
	}
	left := time.Until(b.received.Add(b.lease - b.target.Function.Timeout))
	if left <= 0 || polling.Err() != nil {
		return false, nil
	}
	f.jam.enter(b)
	t := time.NewTimer(min(left, b.wait/2+rand.N(b.wait/2))) // not all that were throttled together come back together
	defer t.Stop()
	select {
	case <-polling.Done():
		return false, nil
	case <-f.hurry.Done():
		return false, nil
	case <-f.jam.freed:
	case <-t.C:
		b.wait = min(2*b.wait, longestRetry)
	}
	var err error
	b.place, b.target, err = f.place(f.hurry)
	return err == nil, err
}
