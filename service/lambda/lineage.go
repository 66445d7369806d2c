package lambda

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
)

// A trace header carries, as its Lineage, how often each function has run already in the chain of events and calls that the
// invocation belongs to: SDKs, queues and topics pass the header on. A function that would run once more than maxLoops times is
// not run, unless its RecursiveLoop allows it.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html.
const (
	maxLoops    = 16
	maxTrace    = 1024 // bytes of a trace header; a longer one is not passed on
	maxLineage  = 32   // functions in a Lineage
	lineageMark = "Lineage="
)

var errLoop = api.ErrRecursiveInvocation.New(
	"Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your function's invocation.")

// lineageOf is what stands for a function in a Lineage.
func lineageOf(functionArn string) string {
	sum := sha256.Sum256([]byte(functionArn))
	return hex.EncodeToString(sum[:4])
}

// follow is the trace header that an invocation passes on, or errLoop. One that the caller did not send is made up.
func follow(t *target, trace string) (string, error) {
	if trace == "" || len(trace) > maxTrace {
		trace = newTraceID(time.Now())
	}
	rest, lineage := cutLineage(trace)
	runs := 0
	var others []string
	for part := range strings.SplitSeq(lineage, "|") {
		id, count, ok := strings.Cut(part, ":")
		n, err := strconv.Atoi(count)
		switch {
		case !ok || err != nil || n < 0 || len(id) != len(t.lineage):
		case id == t.lineage:
			runs = n
		case len(others) < maxLineage:
			others = append(others, part)
		}
	}
	if runs >= maxLoops && !t.loops {
		return "", errLoop
	}
	b := make([]byte, 0, maxTrace)
	b = append(b, rest...)
	b = append(b, ";"+lineageMark...)
	for _, o := range others {
		b = append(append(b, o...), '|')
	}
	b = append(append(b, t.lineage...), ':')
	return string(strconv.AppendInt(b, int64(min(runs, maxLoops))+1, 10)), nil
}

// cutLineage takes the Lineage out of a trace header.
func cutLineage(trace string) (rest, lineage string) {
	var others []string
	for field := range strings.SplitSeq(trace, ";") {
		if l, ok := strings.CutPrefix(field, lineageMark); ok {
			lineage = l
		} else if field != "" {
			others = append(others, field)
		}
	}
	return strings.Join(others, ";"), lineage
}

// loops is how often the busiest function of a trace header's Lineage has run.
func loops(trace string) int {
	most := 0
	_, lineage := cutLineage(trace)
	for part := range strings.SplitSeq(lineage, "|") {
		if _, count, ok := strings.Cut(part, ":"); ok {
			if n, err := strconv.Atoi(count); err == nil {
				most = max(most, n)
			}
		}
	}
	return most
}
