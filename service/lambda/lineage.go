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
	maxLoops   = 16
	maxTrace   = 1024 // bytes of a trace header; a longer one is not passed on
	maxLineage = 32   // functions in a Lineage
	lineageLen = 8    // digits that stand for a function in it
)

var errLoop = api.ErrRecursiveInvocation.New(
	"Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your function's invocation.")

// lineageOf is what stands for a function in a Lineage.
func lineageOf(functionArn string) string {
	sum := sha256.Sum256([]byte(functionArn))
	return hex.EncodeToString(sum[:4])
}

// follow is the trace header that an invocation passes on, or errLoop. It begins a chain of its own if the caller's has no Root.
func follow(t *target, trace string) (string, error) {
	c := readChain(trace, t.lineage)
	if c.rest == "" {
		c = chain{rest: newTraceID(time.Now()), id: t.lineage}
	}
	if c.runs >= maxLoops && !t.loops {
		return "", errLoop
	}
	return c.another(), nil
}

// stopped says that a function was stopped already in the chain that a trace header belongs to. Being stopped counts like a run,
// so that functions which tell each other that they were stopped do not do so for ever.
func stopped(t *target, trace string) bool {
	return !t.loops && readChain(trace, t.lineage).runs > maxLoops
}

// chain is what a trace header says of one function.
type chain struct {
	rest   string   // of the header
	others []string // of the Lineage
	id     string
	runs   int
}

func readChain(trace, id string) chain {
	rest, lineage := readTrace(trace)
	c := chain{rest: rest, id: id}
	for part := range strings.SplitSeq(lineage, "|") {
		name, n, ok := readLoops(part)
		switch {
		case !ok:
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
	b = append(b, ";Lineage="...)
	for _, o := range c.others {
		b = append(append(b, o...), '|')
	}
	b = append(append(b, c.id...), ':')
	return string(strconv.AppendInt(b, int64(min(c.runs, maxLoops))+1, 10))
}

// hasRoot says that a trace header names the chain of events and calls that it is of. What another says is not believed.
func hasRoot(trace string) bool {
	rest, _ := readTrace(trace)
	return rest != ""
}

// readTrace is the Root, Parent and Sampled of a trace header as far as they are well-formed, and its Lineage. Without a Root, or if
// it is longer than maxTrace, there is nothing: a function's libraries read what they are given.
// See https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func readTrace(trace string) (rest, lineage string) {
	if len(trace) > maxTrace {
		return "", ""
	}
	var root, parent, sampled string
	for field := range strings.SplitSeq(trace, ";") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(field), "="); {
		case name == "Root" && isRoot(value):
			root = "Root=" + value
		case name == "Parent" && isHex(value, 16):
			parent = ";Parent=" + value
		case name == "Sampled" && (value == "0" || value == "1"):
			sampled = ";Sampled=" + value
		case name == "Lineage":
			lineage = value
		}
	}
	if root == "" {
		return "", ""
	}
	return root + parent + sampled, lineage
}

// isRoot says that s is "1-", the time in eight hexadecimal digits, "-", and 24 more.
func isRoot(s string) bool {
	return len(s) == 35 && s[:2] == "1-" && isHex(s[2:10], 8) && s[10] == '-' && isHex(s[11:], 24)
}

// isHex says that s is n hexadecimal digits.
func isHex(s string, n int) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return len(s) == n
}

// readLoops is a function of a Lineage, and how often it has run.
func readLoops(part string) (name string, n int, ok bool) {
	name, count, _ := strings.Cut(part, ":")
	u, err := strconv.ParseUint(count, 10, 31)
	return name, int(u), err == nil && isHex(name, lineageLen)
}

// loops is how often the busiest function of a trace header's Lineage has run.
func loops(trace string) int {
	most := 0
	_, lineage := readTrace(trace)
	for part := range strings.SplitSeq(lineage, "|") {
		if _, n, ok := readLoops(part); ok {
			most = max(most, n)
		}
	}
	return most
}
