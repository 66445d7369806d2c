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

// Tries that take their time may wait for something else than a processor, and then more of them at once get more done.
const (
	longTry = 5 * time.Millisecond
	paysOff = 1.1 // times as many that end are worth more places
	slower  = 0.7 // times as many mean that they have changed
)

// climb finds out whether more places make more tries end: it asks for more as long as the last ones did. Of tries that need
// nothing but a processor, more would only stand in each other's way.
type climb struct {
	since time.Time
	ends  int     // since then
	most  float64 // a second, of those that were measured
}

// end counts a try that ended. It answers how many places more to have, beside the limit of them; full says that all are taken
// and something waits.
func (c *climb) end(now time.Time, limit int, full bool) (more int) {
	c.ends++
	took := now.Sub(c.since)
	if took < patience {
		return 0
	}
	perSecond := float64(c.ends) / took.Seconds()
	c.since, c.ends = now, 0
	if took > 10*patience { // much of it without any
		c.most = 0
		return 0
	}
	if perSecond < c.most*slower { // each takes longer than it did: what more places give is not known any more
		c.most = 0
	}
	if !full || float64(limit)/perSecond < longTry.Seconds() || perSecond < c.most*paysOff {
		return 0
	}
	c.most = perSecond
	return max(limit/4, 1)
}

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
