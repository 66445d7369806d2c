// Command summary reads the output of `go test -json`, several runs one after the other, and prints what a person wants to
// see of it: a line per package, the output of what failed, what was skipped and why, and at the end how many tests passed,
// failed and were skipped. It ends non-zero if anything failed or nothing ran.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// module is left out of packages' names.
const module = "github.com/enfold-run/enfold/"

func main() {
	s := newSummary(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(2)
	}
	if !s.close() {
		os.Exit(1)
	}
}

// event is a line of `go test -json`; see `go doc test2json`. Of a build there are ImportPath and Output.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// summary counts the leaves: a test with subtests is not a test beside them.
type summary struct {
	out     io.Writer
	output  map[string][]string // of what runs, by package and test
	parents map[string]bool     // has subtests
	results []result
	took    []timed // tests that are nobody's subtest
	notes   []string
	broken  int // packages that failed without a failing test, and builds
	failing map[string]bool
}

type result struct{ name, action, reason string }

// timed is how long a test took.
type timed struct {
	name    string
	seconds float64
}

// The slowest tests are printed: so many, if they took so long.
const (
	slowest     = 12
	slowSeconds = 5
)

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[string][]string{}, parents: map[string]bool{}, failing: map[string]bool{}}
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, lines.Text()) // not JSON: a message of the go command
			continue
		}
		s.add(e)
	}
	return lines.Err()
}

func (s *summary) add(e event) {
	e.Package = strings.TrimPrefix(e.Package, module)
	key := e.Package + " " + e.Test
	switch e.Action {
	case "note":
		s.notes = append(s.notes, strings.TrimSpace(e.Output))
	case "run":
		for name := e.Test; strings.Contains(name, "/"); {
			name = name[:strings.LastIndex(name, "/")]
			s.parents[e.Package+" "+name] = true
		}
	case "output", "build-output":
		if e.Action == "build-output" {
			key = e.ImportPath
		}
		s.output[key] = append(s.output[key], e.Output)
	case "build-fail":
		s.broken++
		fmt.Fprintf(s.out, "FAIL %s does not build\n%s", e.ImportPath, strings.Join(s.output[e.ImportPath], ""))
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(key, e)
		}
		delete(s.output, key)
	}
}

func (s *summary) endTest(key string, e event) {
	if e.Action == "fail" {
		s.failing[e.Package] = true
		fmt.Fprintf(s.out, "\n--- FAIL %s %s (%.1f s)\n%s\n", e.Package, e.Test, e.Elapsed, strings.Join(s.output[key], ""))
	}
	if !strings.Contains(e.Test, "/") && e.Elapsed >= slowSeconds {
		s.took = append(s.took, timed{key, e.Elapsed})
	}
	if s.parents[key] {
		return
	}
	s.results = append(s.results, result{name: key, action: e.Action, reason: reason(s.output[key])})
}

func (s *summary) endPackage(e event) {
	switch e.Action {
	case "fail":
		if !s.failing[e.Package] {
			s.broken++
			fmt.Fprintf(s.out, "\n%s", strings.Join(s.output[e.Package+" "], ""))
		}
		fmt.Fprintf(s.out, "FAIL %s (%.1f s)\n", e.Package, e.Elapsed)
		delete(s.failing, e.Package) // it may run again, under the race detector
	case "pass":
		fmt.Fprintf(s.out, "ok   %s (%.1f s)\n", e.Package, e.Elapsed)
	}
}

// reason is what a test said when it skipped.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			if _, said, ok := strings.Cut(after, ": "); ok {
				return said
			}
		}
		return line
	}
	return "no reason given"
}

// close prints the end and says whether all is well.
func (s *summary) close() bool {
	count := map[string]int{}
	skipped := map[string][]string{}
	for _, r := range s.results {
		count[r.action]++
		if r.action == "skip" {
			skipped[r.reason] = append(skipped[r.reason], r.name)
		}
	}
	failed := count["fail"] + s.broken
	if len(skipped)+len(s.notes) > 0 {
		fmt.Fprintln(s.out, "\nSkipped, and why:")
	}
	for _, note := range s.notes {
		fmt.Fprintf(s.out, "  %s\n", note)
	}
	reasons := make([]string, 0, len(skipped))
	for r := range skipped {
		reasons = append(reasons, r)
	}
	slices.Sort(reasons)
	for _, r := range reasons {
		fmt.Fprintf(s.out, "  %s: %s\n", r, strings.Join(skipped[r], ", "))
	}
	slices.SortStableFunc(s.took, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for i, t := range s.took[:min(len(s.took), slowest)] {
		if i == 0 {
			fmt.Fprintln(s.out, "\nSlowest:")
		}
		fmt.Fprintf(s.out, "  %6.1f s  %s\n", t.seconds, t.name)
	}
	for _, r := range s.results {
		if r.action == "fail" {
			fmt.Fprintf(s.out, "FAILED %s\n", r.name)
		}
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", count["pass"], failed, count["skip"])
	return failed == 0 && count["pass"] > 0
}
