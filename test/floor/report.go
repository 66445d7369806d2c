package floor

import (
	"encoding/json"
	"os"
	"slices"
	"time"
)

// Report is what load and cold print.
type Report struct {
	Mode     string `json:"mode"` // of load: "plain" or "lambda"; "cold"
	Clients  int    `json:"clients"`
	Requests int    `json:"requests"` // measured ones, failed ones included
	Errors   int    `json:"errors"`
	// FirstError is what the first failed request got.
	FirstError string  `json:"firstError,omitempty"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"perSecond"` // of requests that did not fail
	// Microseconds, of requests that did not fail. Zero if all did.
	Min  float64 `json:"minMicros"`
	Mean float64 `json:"meanMicros"`
	P50  float64 `json:"p50Micros"`
	P90  float64 `json:"p90Micros"`
	P99  float64 `json:"p99Micros"`
	Max  float64 `json:"maxMicros"`
	// ClientCPU is the processor time that load itself used, in microseconds per request.
	ClientCPU float64 `json:"clientCPUMicros,omitempty"`
}

// Measure fills in what follows from the latencies of all requests that did not fail. It sorts them.
func (r *Report) Measure(latencies []time.Duration, took time.Duration) {
	r.Seconds = took.Seconds()
	if len(latencies) == 0 {
		return
	}
	slices.Sort(latencies)
	sum := time.Duration(0)
	for _, d := range latencies {
		sum += d
	}
	r.PerSecond = float64(len(latencies)) / took.Seconds()
	r.Min, r.Max = micros(latencies[0]), micros(latencies[len(latencies)-1])
	r.Mean = micros(sum) / float64(len(latencies))
	r.P50, r.P90, r.P99 = Quantile(latencies, 50), Quantile(latencies, 90), Quantile(latencies, 99)
}

// Quantile is the nearest-rank percentile of sorted latencies, in microseconds.
func Quantile(sorted []time.Duration, percent int) float64 {
	rank := (len(sorted)*percent + 99) / 100
	return micros(sorted[max(rank, 1)-1])
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Print writes the report to standard output as one line of JSON.
func (r *Report) Print() error { return json.NewEncoder(os.Stdout).Encode(r) }
