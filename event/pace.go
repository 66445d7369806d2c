package event

import "time"

// Prefetching: a lane whose tries are short claims more than it has places for, so that a claim, which is a transaction, is
// not made for a handful. When its tries turn out to take long, it gives back what has not begun.
const (
	mostAhead   = 128
	aheadFor    = 500 * time.Millisecond
	paceWindow  = 25 * time.Millisecond
	mostSettles = 512 // of a lane, waiting for the disk at once
)

// pace is how fast the tries of a lane end.
type pace struct {
	total     int64 // tries that ended
	since     time.Time
	ends      int // since then
	perSecond float64
}

// end counts a try that ended.
func (p *pace) end(now time.Time) {
	p.total++
	p.ends++
	switch took := now.Sub(p.since); {
	case took > aheadFor: // nothing is known of such a time
		p.since, p.ends, p.perSecond = now, 0, 0
	case took >= paceWindow:
		p.perSecond = float64(p.ends) / took.Seconds()
		p.since, p.ends = now, 0
	}
}

// ahead is how many deliveries to have claimed for places that are free later.
func (p *pace) ahead(now time.Time) int {
	if now.Sub(p.since) > aheadFor {
		return 0
	}
	return int(min(p.perSecond*aheadFor.Seconds(), mostAhead))
}
