package event

import "github.com/prometheus/client_golang/prometheus"

// metrics are what operators see of the relay.
type metrics struct{ tries *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{tries: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "enfold_event_tries_total", Help: "Tries to deliver events, by kind and what became of them.",
	}, []string{"kind", "result"})}
	if r != nil {
		r.MustRegister(m.tries)
	}
	return m
}

func (m *metrics) tried(kind string, again bool, o Outcome) {
	result := string(o.Cause)
	switch {
	case again:
		result = "Retried"
	case o.Err == nil:
		result = "Delivered"
	}
	m.tries.WithLabelValues(kind, result).Inc()
}
