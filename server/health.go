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
	Sandboxes struct {
		Busy int `json:"busy"`
		Idle int `json:"idle"`
	} `json:"sandboxes"`
}

func (s *Server) health() any {
	h := health{Status: "ok", Version: Version(), Isolation: s.driver.Name(), Services: []string{"lambda", "logs", "sts"}}
	stats := s.pool.Stats()
	h.Sandboxes.Busy, h.Sandboxes.Idle = stats.Busy, stats.Idle
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
	counter("enfold_cold_starts_total", "Invocations that had to make a sandbox.", func(s worker.Stats) float64 { return float64(s.Cold) })
	counter("enfold_warm_starts_total", "Invocations that found a sandbox.", func(s worker.Stats) float64 { return float64(s.Warm) })
}
