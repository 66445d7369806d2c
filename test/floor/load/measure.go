//go:build unix

package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/test/floor"
)

// result is one client's part of a measurement.
type result struct {
	latencies []time.Duration
	requests  int
	errors    int
	first     error
}

// measure warms all clients up, then lets them start together.
func measure(o *options, s *source) (*floor.Report, error) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	results := make([]result, o.clients)
	left := atomic.Int64{}
	left.Store(int64(o.count))
	var begun time.Time
	for i := range results {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			c := &client{o: o, source: s}
			for range o.warmup {
				if c.once(time.Now()) != nil {
					break // the measurement will say why
				}
			}
			results[i].latencies = make([]time.Duration, 0, 1<<14)
			ready.Done()
			<-start
			results[i].loop(c, begun, &left)
			if c.nc != nil {
				c.nc.Close()
			}
		}()
	}
	ready.Wait()
	cpu, err := cpuTime()
	if err != nil {
		return nil, err
	}
	begun = time.Now()
	close(start)
	done.Wait()
	took := time.Since(begun)
	after, err := cpuTime()
	if err != nil {
		return nil, err
	}
	return report(o, results, took, after-cpu), nil
}

// loop sends requests until there are enough. A client that only gets errors pauses, so as not to spin.
func (r *result) loop(c *client, begun time.Time, left *atomic.Int64) {
	now := time.Now()
	for {
		if c.o.count > 0 {
			if left.Add(-1) < 0 {
				return
			}
		} else if now.Sub(begun) >= c.o.duration {
			return
		}
		err := c.once(now)
		end := time.Now()
		r.requests++
		if err == nil {
			r.latencies = append(r.latencies, end.Sub(now))
		} else {
			if r.errors++; r.first == nil {
				r.first = err
			}
			time.Sleep(time.Millisecond)
			end = time.Now()
		}
		now = end
	}
}

func report(o *options, results []result, took, cpu time.Duration) *floor.Report {
	r := &floor.Report{Mode: o.mode, Clients: o.clients}
	var all []time.Duration
	for i := range results {
		all = append(all, results[i].latencies...)
		r.Requests += results[i].requests
		r.Errors += results[i].errors
		if r.FirstError == "" && results[i].first != nil {
			r.FirstError = results[i].first.Error()
		}
	}
	r.Measure(all, took)
	if r.Requests > 0 {
		r.ClientCPU = float64(cpu.Microseconds()) / float64(r.Requests)
	}
	return r
}

// cpuTime is what this process has used so far.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
