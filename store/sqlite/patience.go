package sqlite

import (
	"sync/atomic"
	"time"
)

// patience decides whether a group waits for those who were answered a moment ago. If it does not, half of the callers are in the
// group that is synced and half in the next one, and each sync is for half of them. Where all come back at once and the machine is busy,
// one sync for nearly all gets a tenth more calls done, each sooner. Where they have other things to do, or some of them, who waits for
// them waits in vain. A call does not tell which it is. So now and then the other way is tried for a moment, and what gets more
// calls done is what is done.
type patience struct {
	callers  atomic.Int64 // of update, at the moment
	expected atomic.Int64 // of them when the last group landed
	since    atomic.Int64 // when that was, in nanoseconds after origin: a clock that is set must not change how long a group waits
	origin   time.Time
	waits    atomic.Bool
	longest  time.Duration // since the last group landed

	// Of who has the landing.
	epoch time.Duration // how long one way is kept
	began time.Time     // the epoch
	calls int           // that landed in it
	rates [3]float64    // calls a second in the last epochs, the latest last
	past  int           // epochs since the last trial was judged
	every int           // so many epochs until the next: the more often trials say the same, the rarer
	gain  float64       // of waiting: 0.1 is a tenth more calls a second
}

const (
	shortEpoch   = 20 * time.Millisecond
	fewCalls     = 8 // in an epoch: nobody waits for company
	trySoon      = 8 // epochs
	tryLate      = 64
	firstGain    = 0.05 // until something is known
	worthWaiting = 0.02 // less may be chance
	freshGain    = 0.15 // how much of the gain is what the last trial says
	oddGain      = 0.25 // more is chance, as when a checkpoint is made
	longestWait  = time.Millisecond
	largeGroup   = 16 // to wait for more would cost more than their sync
)

func (p *patience) start() {
	p.origin, p.longest, p.epoch, p.every, p.gain = time.Now(), longestWait, shortEpoch, trySoon, firstGain
}

// landed notes that a group of so many calls is durable and about to be answered.
func (p *patience) landed(calls int, now time.Time) {
	p.expected.Store(p.callers.Load())
	p.since.Store(int64(now.Sub(p.origin)))
	p.calls += calls
	took := now.Sub(p.began)
	if took < p.epoch {
		return
	}
	if p.calls >= fewCalls && took < 2*p.epoch {
		p.end(float64(p.calls) / took.Seconds())
	} else { // what was measured says nothing, and there is nothing to gain
		p.past = 0
		p.waits.Store(false)
	}
	p.began, p.calls = now, 0
}

// end ends an epoch that had so many calls a second. The one after p.every others is a trial; it is judged by the one before it and
// the one after it.
func (p *patience) end(rate float64) {
	p.rates = [3]float64{p.rates[1], p.rates[2], rate}
	p.past++
	switch p.past {
	case 1: // of many that call, or the first after a trial
		p.waits.Store(p.gain > worthWaiting)
	case p.every, p.every + 1: // the trial begins, ends
		p.waits.Store(!p.waits.Load())
	case p.every + 2:
		p.judge(p.rates[1], (p.rates[0]+p.rates[2])/2)
		p.past = 0
		p.waits.Store(p.gain > worthWaiting)
	}
}

// judge learns from a trial. It had so many calls a second, and what is done usually had the others.
func (p *patience) judge(trial, usual float64) {
	with, without := trial, usual
	if p.waits.Load() {
		with, without = usual, trial
	}
	gain := min(max(with/without-1, -oddGain), oddGain)
	p.gain += freshGain * (gain - p.gain)
	if p.waits.Load() == (gain > worthWaiting) {
		p.every = min(2*p.every, tryLate)
	} else {
		p.every = trySoon
	}
}

// company is how long a group that has so many calls is to wait for another one; zero if it is not.
func (p *patience) company(group int) time.Duration {
	if !p.waits.Load() {
		return 0
	}
	expected := int(p.expected.Load())
	if group >= min(expected-expected/8, largeGroup) { // the last few may take long
		return 0
	}
	return max(0, p.longest-(time.Since(p.origin)-time.Duration(p.since.Load())))
}
