package sandbox

import (
	"math"
	"time"
)

// paceOver is over which time it is counted how many are taken.
const paceOver = 10 * time.Second

// Pace says how many should wait of what takes a while to make: it knows how fast they are taken and made. The zero value knows of
// none. It is not safe for concurrent use.
type Pace struct {
	taken float64 // in the last paceOver, older ones fading
	at    time.Time
	made  time.Duration // that one takes
}

// Take counts one that is wanted.
func (p *Pace) Take(now time.Time) { p.taken, p.at = p.takenAt(now)+1, now }

// Make counts one that took so long to make.
func (p *Pace) Make(took time.Duration) { p.made = (p.made + took) / 2 }

// Meanwhile is how many are wanted, at the pace of late, while one is made, after a pause.
func (p *Pace) Meanwhile(now time.Time, pause time.Duration) float64 {
	return p.takenAt(now) / paceOver.Seconds() * (p.made + pause).Seconds()
}

func (p *Pace) takenAt(now time.Time) float64 {
	return p.taken * math.Exp(-now.Sub(p.at).Seconds()/paceOver.Seconds())
}
