package wire

import (
	"regexp"
	"strings"
	"sync"
)

// pattern is a regular expression of a model: a Java one that must match the whole value. It is compiled when the first
// value needs it.
type pattern struct {
	source   string
	compile  sync.Once
	fast     func(string) bool // decides without the engine where it can; nil if it never can
	match    *regexp.Regexp    // nil if RE2 cannot say it: then everything passes
	refuse   *regexp.Regexp    // from a negative look-around: what it matches is refused
	accepted sync.Map          // values that matched, a bounded number of them
	count    countdown
}

// countdown bounds how many verdicts a pattern keeps.
type countdown struct {
	sync.Mutex
	used int
}

// maxVerdicts is how many accepted values a pattern keeps, maxVerdictBytes how long each may be.
const (
	maxVerdicts     = 1024
	maxVerdictBytes = 256
)

func (c *countdown) take() bool {
	c.Lock()
	defer c.Unlock()
	if c.used >= maxVerdicts {
		return false
	}
	c.used++
	return true
}

func newPattern(source string) *pattern { return &pattern{source: source, fast: fastMatcher(source)} }

// matches reports whether the whole value matches. Values that were seen before, such as the name of a function that is
// invoked all the time, cost a look-up.
func (p *pattern) matches(s string) bool {
	if p.fast != nil && p.fast(s) {
		return true
	}
	keep := len(s) <= maxVerdictBytes
	if keep {
		if _, ok := p.accepted.Load(s); ok {
			return true
		}
	}
	p.compile.Do(p.build)
	if p.refuse != nil && p.refuse.MatchString(s) {
		return false
	}
	if p.match != nil && !p.match.MatchString(s) {
		return false
	}
	if keep && p.count.take() {
		p.accepted.Store(strings.Clone(s), true)
	}
	return true
}

// build translates the pattern to RE2. Look-around, which RE2 lacks, stands at either end in the models: "(?!X)" and
// "(?!X$)" before the rest, "(?<!X)" after it.
func (p *pattern) build() {
	body, refuse := splitLookaround(p.source)
	p.match = compile(`\A(?:` + java(body) + `)\z`)
	if refuse != "" {
		p.refuse = compile(java(refuse))
	}
}

func compile(expr string) *regexp.Regexp {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil
	}
	return re
}

// splitLookaround takes the first negative look-around out of a pattern, and says what a value that it refuses matches.
func splitLookaround(expr string) (body, refuse string) {
	for _, kind := range []string{"(?!", "(?<!"} {
		start := strings.Index(expr, kind)
		if start < 0 {
			continue
		}
		end := closing(expr, start)
		if end < 0 {
			continue
		}
		inner := expr[start+len(kind) : end]
		body = expr[:start] + "(?:)" + expr[end+1:]
		if kind == "(?<!" {
			return body, `(?:` + inner + `)\z`
		}
		return body, `\A(?:` + inner + `)`
	}
	return expr, ""
}

// closing is the index of the bracket that closes the one at start.
func closing(expr string, start int) int {
	depth, class := 0, false
	for i := start; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// java rewrites what Java spells differently: \uXXXX, and possessive and atomic forms that change nothing for a match
// of the whole value.
func java(expr string) string {
	if !strings.Contains(expr, `\u`) {
		return expr
	}
	var b strings.Builder
	for i := 0; i < len(expr); i++ {
		if expr[i] != '\\' || i+1 >= len(expr) {
			b.WriteByte(expr[i])
			continue
		}
		if expr[i+1] == 'u' && i+6 <= len(expr) {
			b.WriteString(`\x{` + expr[i+2:i+6] + `}`)
			i += 5
			continue
		}
		b.WriteString(expr[i : i+2])
		i++
	}
	return b.String()
}

// fastMatcher accepts the common values of the patterns on the path of every Invoke: a plain name. What it does not
// accept goes to the engine.
func fastMatcher(source string) func(string) bool {
	if strings.Contains(source, `(function:)?([a-zA-Z0-9-_`) || strings.HasSuffix(source, `|[a-zA-Z0-9-_$]+`) ||
		source == `[a-zA-Z0-9-_]+` || source == `([a-zA-Z0-9-_]+)` {
		return isPlainName
	}
	return nil
}

func isPlainName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
