package worker

import "time"

// scalingWindow is the time that Deps.ScalingRate is for.
const scalingWindow = 10 * time.Second

// scaling bounds how fast each function gets sandboxes for its invocations. Room comes back evenly, and no more of it than
// one window's is kept.
// See https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html.
type scaling struct {
	rate      float64 // per window
	functions map[scaled]*growth
}

// scaled is a function, whatever its version.
type scaled struct{ account, region, name string }

// growth is the room that a function had left at a moment.
type growth struct {
	room float64
	at   time.Time
}

func newScaling(rate int) *scaling {
	if rate == 0 {
		rate = 1000
	}
	return &scaling{rate: float64(rate), functions: map[scaled]*growth{}}
}

// left is the room at now.
func (s *scaling) left(g *growth, now time.Time) float64 {
	return min(s.rate, g.room+s.rate*float64(now.Sub(g.at))/float64(scalingWindow))
}

// take says whether f may have one more, and counts it if so.
func (s *scaling) take(f *Function, now time.Time) bool {
	key := scaled{f.Account, f.Region, f.Name}
	g := s.functions[key]
	if g == nil {
		g = &growth{room: s.rate, at: now}
		s.functions[key] = g
	}
	g.room, g.at = s.left(g, now), now
	if g.room < 1 {
		return false
	}
	g.room--
	return true
}

// forget drops functions that have all of their room.
func (s *scaling) forget(now time.Time) {
	for key, g := range s.functions {
		if s.left(g, now) >= s.rate {
			delete(s.functions, key)
		}
	}
}
