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
// not run, unless its RecursiveLoop allows it: who waits for its answer gets errLoop, and an event goes to its dead-letter queue and
// its destination for failures.
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
	c := readChain(trace, t.lineage)
	if c.runs >= maxLoops && !t.loops {
		return "", errLoop
	}
	return c.another(), nil
}

// stopped says that a function was stopped already in the chain that a trace header belongs to. Being stopped counts like a run,
// so that functions which tell each other that they were stopped do not do so for ever.
func stopped(t *target, trace string) bool {
	return len(trace) <= maxTrace && !t.loops && readChain(trace, t.lineage).runs > maxLoops
}

// chain is what a trace header says of one function.
type chain struct {
	rest   string   // of the header
	others []string // of the Lineage
	id     string
	runs   int
}

func readChain(trace, id string) chain {
	rest, lineage := cutLineage(trace)
	c := chain{rest: rest, id: id}
	for part := range strings.SplitSeq(lineage, "|") {
		name, count, ok := strings.Cut(part, ":")
		n, err := strconv.Atoi(count)
		switch {
		case !ok || err != nil || n < 0 || len(name) != len(id):
		case name == id:
			c.runs = n
		case len(c.others) < maxLineage:
			c.others = append(c.others, part)
		}
	}
	return c
}

// another is the trace header with one run more.
func (c chain) another() string {
	b := make([]byte, 0, maxTrace)
	b = append(b, c.rest...)
	b = append(b, ";"+lineageMark...)
	for _, o := range c.others {
		b = append(append(b, o...), '|')
	}
	b = append(append(b, c.id...), ':')
	return string(strconv.AppendInt(b, int64(min(c.runs, maxLoops))+1, 10))
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
