package dispatch

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/aws"
)

// metrics are the series of all ops. A nil one measures nothing.
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	if r == nil {
		return nil
	}
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "enfold_calls_total", Help: "API calls that are over, by what they answered.",
		}, []string{"service", "op", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "enfold_call_duration_seconds", Help: "Time from a call's authorization to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}, []string{"service", "op"}),
	}
	r.MustRegister(m.calls, m.duration)
	return m
}

// opMetrics are the series of one op, made when it is first answered and looked up once: there are hundreds of ops, a server calls few
// of them, and a start would wait for the series of zeros.
type opMetrics struct {
	m        *metrics
	op       *aws.Op
	status   int // of success
	duration func() prometheus.Observer
	answered atomic.Pointer[[]answered] // replaced, never changed
}

// answered is the series of a status.
type answered struct {
	status int
	calls  prometheus.Counter
}

func (m *metrics) op(op *aws.Op) *opMetrics {
	if m == nil {
		return nil
	}
	status := op.Status
	if status == 0 {
		status = 200
	}
	return &opMetrics{m: m, op: op, status: status, duration: sync.OnceValue(func() prometheus.Observer {
		return m.duration.WithLabelValues(op.Service.Name, op.Name)
	})}
}

func (o *opMetrics) observe(d time.Duration, refusal *aws.Error) {
	if o == nil {
		return
	}
	status := o.status
	if refusal != nil {
		status = refusal.Type.Status
	}
	o.duration().Observe(d.Seconds())
	o.counter(status).Inc()
}

// counter makes the series of a status when it is first answered, so that there are no series of zeros.
func (o *opMetrics) counter(status int) prometheus.Counter {
	for {
		old := o.answered.Load()
		var known []answered
		if old != nil {
			known = *old
		}
		for _, a := range known {
			if a.status == status {
				return a.calls
			}
		}
		made := answered{status, o.m.calls.WithLabelValues(o.op.Service.Name, o.op.Name, strconv.Itoa(status))}
		if o.answered.CompareAndSwap(old, new(append(slices.Clip(known), made))) {
			return made.calls
		}
	}
}
