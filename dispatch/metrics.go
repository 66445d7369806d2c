package dispatch

import (
	"strconv"
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

// opMetrics are the series of one op, looked up once.
type opMetrics struct {
	m        *metrics
	op       *aws.Op
	status   int // of success
	duration prometheus.Observer
	byStatus [600]atomic.Pointer[prometheus.Counter]
}

func (m *metrics) op(op *aws.Op) *opMetrics {
	if m == nil {
		return nil
	}
	status := op.Status
	if status == 0 {
		status = 200
	}
	return &opMetrics{m: m, op: op, status: status, duration: m.duration.WithLabelValues(op.Service.Name, op.Name)}
}

func (o *opMetrics) observe(d time.Duration, refusal *aws.Error) {
	if o == nil {
		return
	}
	status := o.status
	if refusal != nil {
		status = refusal.Type.Status
	}
	o.duration.Observe(d.Seconds())
	o.counter(status).Inc()
}

// counter makes the series of a status when it is first answered, so that there are no series of zeros.
func (o *opMetrics) counter(status int) prometheus.Counter {
	status = min(max(status, 0), len(o.byStatus)-1)
	if c := o.byStatus[status].Load(); c != nil {
		return *c
	}
	c := o.m.calls.WithLabelValues(o.op.Service.Name, o.op.Name, strconv.Itoa(status))
	o.byStatus[status].Store(&c)
	return c
}
