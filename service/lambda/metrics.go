package lambda

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// metrics are what CloudWatch would know of every function: invocations, errors, throttles, duration, cold starts.
// See https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html.
type metrics struct {
	invocations, errors, throttles, cold *prometheus.CounterVec
	onProvisioned, spillover             *prometheus.CounterVec
	deadLetters, destinations            *prometheus.CounterVec // that did not get what they should have got
	duration, init                       *prometheus.HistogramVec
	functions                            sync.Map // functionID -> *functionMetrics: label look-ups stay off the warm path
}

// functionID is whose metrics they are.
type functionID struct{ account, region, name string }

type functionMetrics struct {
	invocations, errors, throttles, cold prometheus.Counter
	duration, init                       prometheus.Observer
}

func newMetrics(r prometheus.Registerer) *metrics {
	labels := []string{"account", "region", "function"}
	counter := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "enfold_lambda_" + name, Help: help}, labels)
		if r != nil {
			r.MustRegister(v)
		}
		return v
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "enfold_lambda_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 14), // to 74 s
		}, labels)
		if r != nil {
			r.MustRegister(v)
		}
		return v
	}
	return &metrics{
		invocations:   counter("invocations_total", "Invocations that ran, failed ones included."),
		errors:        counter("errors_total", "Invocations whose function failed."),
		throttles:     counter("throttles_total", "Invocations refused by a concurrency limit."),
		cold:          counter("cold_starts_total", "Invocations that waited for an Init phase."),
		onProvisioned: counter("provisioned_concurrency_invocations_total", "Invocations that ran on provisioned concurrency."),
		spillover: counter("provisioned_concurrency_spillover_invocations_total",
			"Invocations that began while all provisioned concurrency of their version was in use."),
		deadLetters: counter("dead_letter_errors_total",
			"Events that could not be sent to the function's dead-letter queue: its policy, the role's, or the size."),
		destinations: counter("destination_delivery_failures_total",
			"Records of asynchronous invocations that could not be sent to the function's destination: its policy, the role's, or the size."),
		duration: seconds("duration_seconds", "Time from START to the function's answer."),
		init:     seconds("init_duration_seconds", "Time of Init phases."),
	}
}

// of finds a function's own.
func (m *metrics) of(f *worker.Function) *functionMetrics {
	id := functionID{f.Account, f.Region, f.Name}
	if fm, ok := m.functions.Load(id); ok {
		return fm.(*functionMetrics)
	}
	l := []string{id.account, id.region, id.name}
	fm, _ := m.functions.LoadOrStore(id, &functionMetrics{
		m.invocations.WithLabelValues(l...), m.errors.WithLabelValues(l...), m.throttles.WithLabelValues(l...),
		m.cold.WithLabelValues(l...), m.duration.WithLabelValues(l...), m.init.WithLabelValues(l...),
	})
	return fm.(*functionMetrics)
}

func (m *metrics) throttled(f *worker.Function) { m.of(f).throttles.Inc() }

// ran counts one invocation.
func (m *metrics) ran(f *worker.Function, resp *worker.Response) {
	fm := m.of(f)
	fm.invocations.Inc()
	fm.duration.Observe(resp.Duration.Seconds())
	if resp.FunctionError != "" {
		fm.errors.Inc()
	}
	if resp.Provisioned {
		m.onProvisioned.WithLabelValues(f.Account, f.Region, f.Name).Inc()
	}
	if resp.Restore > 0 || resp.Init > 0 && !resp.Provisioned {
		fm.cold.Inc()
	}
	if resp.Init > 0 {
		fm.init.Observe(resp.Init.Seconds())
	}
}

// spilled counts an invocation that finds all provisioned concurrency in use.
func (m *metrics) spilled(f *worker.Function) {
	m.spillover.WithLabelValues(f.Account, f.Region, f.Name).Inc()
}

// undelivered counts a dead letter, or a record for a destination, that was given up.
func (m *metrics) undelivered(sc store.Scope, function string, deadLetter bool) {
	v := m.destinations
	if deadLetter {
		v = m.deadLetters
	}
	v.WithLabelValues(sc.Account, sc.Region, function).Inc()
}

// forget drops a deleted function's metrics.
func (m *metrics) forget(account, region, name string) {
	id := functionID{account, region, name}
	m.functions.Delete(id)
	for _, v := range []*prometheus.CounterVec{
		m.invocations, m.errors, m.throttles, m.cold, m.onProvisioned, m.spillover, m.deadLetters, m.destinations,
	} {
		v.DeleteLabelValues(id.account, id.region, id.name)
	}
	m.duration.DeleteLabelValues(id.account, id.region, id.name)
	m.init.DeleteLabelValues(id.account, id.region, id.name)
}
