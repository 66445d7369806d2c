package filter

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
)

// leaf is a list of conditions on a value of which one must hold.
type leaf struct {
	texts   map[string]bool // exactly
	numbers map[string]bool // exactly, by decimal.key
	words   map[string]bool // true, false, null
	tests   []test
	present bool
	absent  bool
	size    int // conditions, as AWS counts them
}

// scalar is a value of a document: a string, a number or a word.
type scalar struct {
	text    string
	isText  bool
	number  decimal
	isValue bool // it is a number
}

// test is a condition that is more than being the same.
type test func(s *scalar) bool

// match is about a member's value, or that there is none. Of an array one element must satisfy one condition. What is an object or
// holds nothing is no value.
func (l *leaf) match(v any, ok bool) bool {
	found, holds := false, false
	if ok {
		found, holds = l.walk(v)
	}
	return holds || !found && l.absent
}

// walk looks for values, and for one that satisfies a condition.
func (l *leaf) walk(v any) (found, holds bool) {
	switch v := v.(type) {
	case map[string]any:
		return false, false
	case []any:
		for _, e := range v {
			some, ok := l.walk(e)
			if ok {
				return true, true
			}
			found = found || some
		}
		return found, false
	}
	return true, l.holds(newScalar(v))
}

// newScalar is a value that is neither an object nor an array.
func newScalar(v any) *scalar {
	switch v := v.(type) {
	case string:
		return &scalar{text: v, isText: true}
	case json.Number:
		d, ok := parseDecimal(v.String())
		return &scalar{text: v.String(), number: d, isValue: ok}
	case bool:
		return &scalar{text: strconv.FormatBool(v)}
	}
	return &scalar{text: "null"}
}

func (l *leaf) holds(s *scalar) bool {
	switch {
	case l.present:
		return true
	case s.isText && l.texts[s.text]:
		return true
	case s.isValue && len(l.numbers) > 0 && l.numbers[s.number.key()]:
		return true
	case !s.isText && !s.isValue && l.words[s.text]:
		return true
	}
	for _, t := range l.tests {
		if t(s) {
			return true
		}
	}
	return false
}

func (l *leaf) addText(s string)    { put(&l.texts, s) }
func (l *leaf) addWord(s string)    { put(&l.words, s) }
func (l *leaf) addNumber(d decimal) { put(&l.numbers, d.key()) }
func (l *leaf) addTest(t test)      { l.tests = append(l.tests, t) }
func put(m *map[string]bool, s string) {
	if *m == nil {
		*m = map[string]bool{}
	}
	(*m)[s] = true
}

// none is a test that holds for what l does not.
func (l *leaf) none() test { return func(s *scalar) bool { return !l.holds(s) } }

func prefixTest(p string) test {
	return func(s *scalar) bool { return s.isText && strings.HasPrefix(s.text, p) }
}

func suffixTest(p string) test {
	return func(s *scalar) bool { return s.isText && strings.HasSuffix(s.text, p) }
}

func foldTest(p string) test {
	p = fold(p)
	return func(s *scalar) bool { return s.isText && fold(s.text) == p }
}

func foldPrefixTest(p string) test {
	p = fold(p)
	return func(s *scalar) bool { return s.isText && strings.HasPrefix(fold(s.text), p) }
}

func foldSuffixTest(p string) test {
	p = fold(p)
	return func(s *scalar) bool { return s.isText && strings.HasSuffix(fold(s.text), p) }
}

// fold makes texts that differ in case only the same.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// wildcardTest is about the parts between the stars.
func wildcardTest(parts []string) test {
	first, rest := parts[0], parts[1:]
	if len(rest) == 0 {
		return func(s *scalar) bool { return s.isText && s.text == first }
	}
	middle, last := rest[:len(rest)-1], rest[len(rest)-1]
	return func(s *scalar) bool {
		text, ok := strings.CutPrefix(s.text, first)
		if !s.isText || !ok {
			return false
		}
		if text, ok = strings.CutSuffix(text, last); !ok {
			return false
		}
		for _, part := range middle { // the first place is as good as any other
			if _, text, ok = strings.Cut(text, part); !ok {
				return false
			}
		}
		return true
	}
}

// parseWildcard takes a wildcard pattern apart at its stars; what follows a backslash is a star or a backslash itself.
func parseWildcard(p string) (parts []string, problem string) {
	var part strings.Builder
	star := false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			if i++; i == len(p) || p[i] != '*' && p[i] != '\\' {
				return nil, "Invalid escape character at pos"
			}
			part.WriteByte(p[i])
			star = false
		case c == '*':
			if star {
				return nil, "Consecutive wildcard characters at pos"
			}
			parts, star = append(parts, part.String()), true
			part.Reset()
		default:
			part.WriteByte(c)
			star = false
		}
	}
	return append(parts, part.String()), ""
}

// cidrTest is about addresses in a block.
func cidrTest(block netip.Prefix) test {
	return func(s *scalar) bool {
		if !s.isText || len(s.text) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
			return false
		}
		a, err := netip.ParseAddr(s.text)
		return err == nil && block.Contains(a)
	}
}

// bound is one end of a range of numbers.
type bound struct {
	set, inclusive bool
	at             decimal
}

// rangeTest is about numbers between two bounds.
func rangeTest(bottom, top bound) test {
	return func(s *scalar) bool {
		if !s.isValue {
			return false
		}
		if bottom.set {
			if c := s.number.compare(bottom.at); c < 0 || c == 0 && !bottom.inclusive {
				return false
			}
		}
		if top.set {
			if c := s.number.compare(top.at); c > 0 || c == 0 && !top.inclusive {
				return false
			}
		}
		return true
	}
}
