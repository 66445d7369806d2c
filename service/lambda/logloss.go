package lambda

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/worker"
)

// How often a loss is told while it goes on.
const (
	tellEvery = 5 * time.Second // by the function's log
	warnEvery = time.Minute     // by the server's
)

// loss is why a log lost events.
type loss int

const (
	beyondShare  loss = iota // the function, or all of its account, wrote more than its share
	beyondMemory             // more than waits for the disk
	notStored                // CloudWatch Logs did not take them, because the disk is full for one
	losses                   // how many there are
)

// String is the reason as the function's log tells it.
func (l loss) String() string {
	return [losses]string{
		"the function writes more than its share of the disk", "the function writes faster than its log is stored", "they could not be stored",
	}[l]
}

// lossMetrics count what logs lost. There is no label for the function, because its own log tells.
type lossMetrics struct{ events, bytes [losses]prometheus.Counter }

func newLossMetrics(r prometheus.Registerer) *lossMetrics {
	counters := func(name, help string) (all [losses]prometheus.Counter) {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "enfold_lambda_log_" + name + "_dropped_total", Help: help}, []string{"reason"})
		if r != nil {
			r.MustRegister(v)
		}
		for i, reason := range [losses]string{"share", "memory", "store"} {
			all[i] = v.WithLabelValues(reason)
		}
		return all
	}
	const why = " because the function, or all of its account, wrote more than its share of the disk (share), than waits for the disk (memory), " +
		"or because the log was not stored (store)."
	return &lossMetrics{
		events: counters("events", "Lines of functions' logs that were not kept,"+why),
		bytes:  counters("bytes", "Bytes of functions' logs that were not kept,"+why),
	}
}

// lose counts events that are not kept. The caller holds s.mu.
func (s *LogShipper) lose(stream *worker.LogStream, t tally, why loss) {
	s.metrics.events[why].Add(float64(t.events))
	s.metrics.bytes[why].Add(float64(t.bytes))
	s.lost.add(t)
	s.lost.stream, s.lost.fresh = stream, true
	f := s.shares.of(stream)
	f.lost.add(t)
	f.why, f.stream = why, stream
}

// tell has the log of each function say what it lost, every few seconds while it goes on, or at once. The caller holds s.mu.
func (s *LogShipper) tell(atOnce bool) {
	now := time.Now()
	for _, f := range s.shares.functions {
		if f.lost.events == 0 || !atOnce && now.Sub(f.told) < tellEvery {
			continue
		}
		p := s.waiting(f.stream)
		p.loss, p.why = f.lost, f.why
		f.lost, f.told = tally{}, now
	}
}

// say adds the line that tells the loss. It is the last one: the events before it were there before.
func (p *pending) say(now time.Time) {
	at, from := now.UnixMilli(), len(p.data)
	if n := len(p.events); n > 0 {
		at = max(at, p.events[n-1].at)
	}
	p.data = fmt.Appendf(p.data, "[enfold] %d log events were dropped, of %d bytes: %s\n", p.loss.events, p.loss.bytes, p.why)
	p.events = append(p.events, span{at: at, from: from, to: len(p.data)})
}

// refused counts events that could not be stored. What this stream would have told is told later.
func (s *LogShipper) refused(stream *worker.LogStream, p *pending, events []span, err error) {
	t := tally{events: len(events)}
	for _, e := range events {
		t.bytes += e.to - e.from
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost.err = err
	if t.events > 0 {
		s.lose(stream, t, notStored)
	}
	f := s.shares.of(stream)
	f.lost.add(p.loss)
	f.why, f.stream = notStored, stream
}

// lostEvents are what all logs lost.
type lostEvents struct {
	tally                    // that the server's log does not tell yet
	stream *worker.LogStream // the last that lost
	err    error             // why the last that were not stored were not
	fresh  bool              // some since the last flush
	at     time.Time         // the flush that found the last
	told   time.Time         // when the server's log told last
}

// warn has the server's log tell what all logs lost, once a minute while it goes on, or at once.
func (s *LogShipper) warn(atOnce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := &s.lost, time.Now()
	if l.fresh {
		l.fresh, l.at = false, now
	}
	if l.events == 0 || !atOnce && now.Sub(l.told) < warnEvery {
		return
	}
	args := []any{"events", l.events, "bytes", l.bytes, "account", l.stream.Account, "function", l.stream.Function}
	if l.err != nil {
		args = append(args, "error", l.err)
	}
	s.log.Warn("lines of functions' logs are lost, the last of this function", args...)
	l.tally, l.err, l.told = tally{}, nil, now
}

// Losing says whether logs have lost events within the last minute.
func (s *LogShipper) Losing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost.fresh || !s.lost.at.IsZero() && time.Since(s.lost.at) < warnEvery
}
