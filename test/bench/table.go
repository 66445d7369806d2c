//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// table is what is printed.
type table struct {
	notes []string
	rows  []row
	// foreign says that the isolation is not the one that the targets are for: then nothing is judged.
	foreign bool
}

// row is one target.
type row struct {
	what   string
	got    string
	floor  string // "" if the target is absolute
	value  float64
	target target
	beside string
}

// target is a bound of a row's value.
type target struct {
	limit   float64
	atLeast bool // else at most
	unit    string
	none    bool // the row only states something
}

// stated is the target of a row that has none.
var stated = target{none: true}

func atMost(limit float64, unit string) target { return target{limit: limit, unit: unit} }
func atLeast(limit float64) target             { return target{limit: limit, atLeast: true, unit: "×"} }

func (t target) holds(v float64) bool {
	if t.atLeast {
		return v >= t.limit
	}
	return v <= t.limit
}

func (t target) String() string {
	if t.none {
		return ""
	}
	sign := "≤"
	if t.atLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s %g%s", sign, t.limit, spaced(t.unit))
}

// spaced puts a space before a unit that is a word.
func spaced(unit string) string {
	if unit == "" || unit == "×" {
		return unit
	}
	return " " + unit
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

func (t *table) print(w io.Writer) {
	for _, n := range t.notes {
		fmt.Fprintln(w, n)
	}
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join([]string{"", "Enfold", "floor", "ratio", "target", "", "beside"}, "\t"))
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.Join([]string{r.what, r.got, r.floor, r.ratio(), r.target.String(), t.verdict(r), r.beside}, "\t"))
	}
	tw.Flush()
}

// ratio is the value of a row that has a floor.
func (r row) ratio() string {
	if r.floor == "" {
		return ""
	}
	return fmt.Sprintf("%.2f×", r.value)
}

func (t *table) verdict(r row) string {
	switch {
	case r.target.none:
		return "stated"
	case t.foreign:
		return "not judged"
	case r.target.holds(r.value):
		return "ok"
	}
	return "MISSED"
}

// pairs are rounds of a measurement and its floor.
type pairs struct{ got, floor []float64 }

func (p *pairs) add(got, floor float64) {
	p.got, p.floor = append(p.got, got), append(p.floor, floor)
}

// ratio is the median of the rounds' ratios, with their range.
func (p *pairs) ratio() (mid, lowest, highest float64) {
	ratios := make([]float64, len(p.got))
	for i := range ratios {
		ratios[i] = p.got[i] / p.floor[i]
	}
	return median(ratios), slices.Min(ratios), slices.Max(ratios)
}

// median is the middle value, the mean of both if there are two, of at least one.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// row makes the row of the pairs. A value is written as format says.
func (p *pairs) row(what, format string, t target, beside string) row {
	mid, lowest, highest := p.ratio()
	spread := fmt.Sprintf("%.2f–%.2f", lowest, highest)
	if beside != "" {
		spread += "; " + beside
	}
	return row{
		what: what, got: fmt.Sprintf(format, median(p.got)), floor: fmt.Sprintf(format, median(p.floor)),
		value: mid, target: t, beside: spread,
	}
}
