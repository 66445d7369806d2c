package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/worker"
)

// health is the answer of /_enfold/health. It tells strangers nothing about accounts or functions.
type health struct {
	Status    string   `json:"status"` // "ok"
	Version   string   `json:"version"`
	Isolation string   `json:"isolation"`
	Services  []string `json:"services"`
	LogsLost  bool     `json:"logsLost"` // within the last minute: the metrics and the server's log say why
	Sandboxes struct {
		Busy  int `json:"busy"`
		Idle  int `json:"idle"`
		Ready int `json:"ready"` // with a runtime that has booted, for a function that nobody knows yet
	} `json:"sandboxes"`
}

func (s *Server) health() any {
	h := health{Status: "ok", Version: Version(), Isolation: s.tiers.first.Name(), Services: make([]string, len(s.services))}
	for i, one := range s.services {
		h.Services[i] = one.Name
	}
	h.LogsLost = s.shipper.Losing()
	stats := s.pool.Stats()
	h.Sandboxes.Busy, h.Sandboxes.Idle, h.Sandboxes.Ready = stats.Busy, stats.Idle, stats.Ready
	return h
}

// registerPoolMetrics makes the pool visible in /_enfold/metrics.
func registerPoolMetrics(r prometheus.Registerer, p *worker.Pool) {
	gauge := func(name, help string, value func(worker.Stats) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(p.Stats()) }))
	}
	counter := func(name, help string, value func(worker.Stats) float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(p.Stats()) }))
	}
	gauge("enfold_sandboxes_busy", "Sandboxes that run an invocation.", func(s worker.Stats) float64 { return float64(s.Busy) })
	gauge("enfold_sandboxes_idle", "Sandboxes that wait for one.", func(s worker.Stats) float64 { return float64(s.Idle) })
	r.MustRegister(readyCollector{p, prometheus.NewDesc("enfold_sandboxes_ready",
		"Sandboxes with a runtime that has booted, for functions nobody knows yet.", []string{"runtime"}, nil)})
	gauge("enfold_sandboxes_ready_bytes", "Memory that those use.", func(s worker.Stats) float64 { return float64(s.ReadyMemory) })
	gauge("enfold_sandboxes_connections", "Connections of sandboxes to their Runtime APIs and to AWS, beyond the first four to each.",
		func(s worker.Stats) float64 { return float64(s.Conns) })
	gauge("enfold_sandboxes_connections_limit", "How many of those there may be; 0 for no limit.", func(s worker.Stats) float64 { return float64(s.MaxConns) })
	counter("enfold_ready_claims_total", "Cold starts that found one of those.", func(s worker.Stats) float64 { return float64(s.Claimed) })
	counter("enfold_cold_starts_total", "Invocations that had to make a sandbox.", func(s worker.Stats) float64 { return float64(s.Cold) })
	counter("enfold_warm_starts_total", "Invocations that found a sandbox.", func(s worker.Stats) float64 { return float64(s.Warm) })
}

// A readyCollector tells how many sandboxes wait of each runtime.
type readyCollector struct {
	pool *worker.Pool
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c readyCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c readyCollector) Collect(to chan<- prometheus.Metric) {
	for runtime, n := range c.pool.Ready() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), runtime)
	}
}
