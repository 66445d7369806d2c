//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{3}, 3},
		{"two", []float64{1, 4}, 2.5},
		{"three, unsorted", []float64{9, 1, 2}, 2},
		{"four", []float64{4, 1, 3, 2}, 2.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// A ratio is the median of the rounds' ratios, not the ratio of the medians: a slow round is slow on both sides.
func TestPairs(t *testing.T) {
	var p pairs
	p.add(12, 10)
	p.add(300, 100)
	p.add(26, 20)
	mid, lowest, highest := p.ratio()
	if mid != 1.3 || lowest != 1.2 || highest != 3 {
		t.Errorf("%v, %v to %v", mid, lowest, highest)
	}
}

func TestTable(t *testing.T) {
	latency, throughput := &pairs{}, &pairs{}
	latency.add(130, 100)
	throughput.add(79, 100)
	rows := []row{
		latency.row("latency", "%.0f µs", atMost(1.3, "×"), ""),
		throughput.row("throughput", "%.0f/s", atLeast(0.8), "beside it"),
		{what: "memory", got: "40.1 MiB", value: 40.1, target: atMost(40, "MiB")},
		latency.row("told", "%.0f µs", stated, ""),
	}
	for _, tt := range []struct {
		name    string
		foreign bool
		want    []string // what each line ends with or holds, blanks squeezed
	}{
		{"judged", false, []string{
			"latency 130 µs 100 µs 1.30× ≤ 1.3× ok 1.30–1.30", "throughput 79/s 100/s 0.79× ≥ 0.8× MISSED 0.79–0.79; beside it",
			"memory 40.1 MiB ≤ 40 MiB MISSED", "told 130 µs 100 µs 1.30× stated 1.30–1.30",
		}},
		{"another isolation", true, []string{"1.3× not judged", "0.8× not judged", "MiB not judged", "1.30× stated"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			(&table{rows: rows, foreign: tt.foreign}).print(&b)
			text := strings.Join(strings.Fields(b.String()), " ")
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, b.String())
				}
			}
		})
	}
}

func TestTailIsBounded(t *testing.T) {
	b := &tail{}
	for range 100 {
		if n, err := b.Write([]byte(strings.Repeat("x", 999) + "\n")); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = b.Write([]byte("last"))
	if s := b.String(); len(s) != 8<<10 || !strings.HasSuffix(s, "\nlast") {
		t.Errorf("%d bytes", len(s))
	}
}
