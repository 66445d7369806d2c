package event

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/enfold-run/enfold/store"
)

// metrics are what operators see of the relay.
type metrics struct {
	tries   *prometheus.CounterVec
	lost    *prometheus.CounterVec
	backlog *backlog
}

func newMetrics(r prometheus.Registerer, db store.Store) *metrics {
	m := &metrics{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "enfold_event_tries_total", Help: "Tries to deliver events, by kind and what became of them.",
		}, []string{"kind", "result"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "enfold_event_unsent_total",
			Help: "Events that the end of a delivery should have caused and that could not be stored, by its kind. The log says why.",
		}, []string{"kind"}),
		backlog: &backlog{store: db, desc: prometheus.NewDesc(
			"enfold_event_backlog", "Events on their way, by kind: waiting for their first try or the next, or being tried.", []string{"kind"}, nil)},
	}
	if r != nil {
		r.MustRegister(m.tries, m.lost, m.backlog)
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

// backlog counts what the outbox holds when it is asked, every few seconds at most.
type backlog struct {
	store store.Store
	desc  *prometheus.Desc

	mu     sync.Mutex
	counts map[string]int64
	at     time.Time
}

const countEvery = 5 * time.Second

// Describe implements prometheus.Collector.
func (b *backlog) Describe(c chan<- *prometheus.Desc) { c <- b.desc }

// Collect implements prometheus.Collector.
func (b *backlog) Collect(c chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) > countEvery {
		counts, err := b.count()
		if err != nil {
			c <- prometheus.NewInvalidMetric(b.desc, err)
			return
		}
		for kind := range b.counts {
			if _, ok := counts[kind]; !ok {
				counts[kind] = 0 // it had some, and is seen to have none
			}
		}
		b.counts, b.at = counts, time.Now()
	}
	for kind, n := range b.counts {
		c <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, float64(n), kind)
	}
}

func (b *backlog) count() (counts map[string]int64, err error) {
	err = b.store.View(context.Background(), func(tx store.Tx) error {
		counts = map[string]int64{}
		scopes, err := lanes.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range lanes.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				d, err := tx.Depth(row.Key, sc, time.Now())
				if err != nil {
					return err
				}
				counts[row.Value.Kind] += d.Due + d.Delayed + d.Claimed
			}
		}
		return nil
	})
	return counts, err
}
