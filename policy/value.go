package policy

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// value is a compiled value of a condition. A value that its operator cannot read, such as a date that is none, matches
// nothing.
type value struct {
	raw     string
	pattern pattern   // of strings and ARNs
	arn     []pattern // the six segments; nil if they cannot be told before the variables are known
	number  number
	time    time.Time
	prefix  netip.Prefix
	bytes   []byte
	ok      bool // the text is one of its family
}

// compileValue reads a value for an operator.
func compileValue(op operator, raw string, variables bool) value {
	v := value{raw: raw}
	switch op.family {
	case stringFamily:
		v.pattern, v.ok = compile(raw, spelling{wildcards: op.like, variables: variables}), true
	case arnFamily:
		v.pattern, v.ok = compile(raw, spelling{wildcards: true, variables: variables}), true
		v.arn = compileArn(v.pattern)
	case numericFamily:
		v.number, v.ok = parseNumber(raw)
	case dateFamily:
		v.time, v.ok = parseTime(raw)
	case ipFamily:
		v.prefix, v.ok = parsePrefix(raw)
	case binaryFamily:
		v.bytes, v.ok = parseBinary(raw)
	case boolFamily, nullFamily:
		v.ok = true
	}
	return v
}

// matches says whether a value of the request is what the policy says, without regard to negation. resolved is false if a
// variable had no value.
func (v *value) matches(e *eval, op operator, s string) (matched, resolved bool) {
	if !v.ok {
		return false, true
	}
	switch op.family {
	case stringFamily:
		return v.matchesString(e, op, s)
	case arnFamily:
		return v.matchesArn(e, s)
	case numericFamily:
		n, ok := parseNumber(s)
		return ok && op.compare.holds(n.cmp(v.number)), true
	case dateFamily:
		t, ok := parseTime(s)
		return ok && op.compare.holds(t.Compare(v.time)), true
	case ipFamily:
		a, err := netip.ParseAddr(s)
		return err == nil && v.prefix.Contains(a.Unmap().WithZone("")), true
	case binaryFamily:
		b, ok := parseBinary(s)
		return ok && bytes.Equal(b, v.bytes), true
	case boolFamily:
		return strings.EqualFold(s, v.raw), true
	}
	return false, true
}

func (v *value) matchesString(e *eval, op operator, s string) (matched, resolved bool) {
	if !op.fold {
		return v.pattern.match(e, s)
	}
	p, ok := v.pattern.resolve(e)
	return ok && strings.EqualFold(p.text, s), ok
}

// matchesArn compares segment by segment, so that a star never runs over a colon but in the last one.
func (v *value) matchesArn(e *eval, s string) (matched, resolved bool) {
	if v.pattern.shape == everything {
		return true, true
	}
	segments := v.arn
	if segments == nil {
		p, ok := v.pattern.resolve(e)
		if !ok {
			return false, false
		}
		if segments = compileArn(p); segments == nil {
			return false, true
		}
	}
	for i := range segments {
		segment := s
		if i < len(segments)-1 {
			var found bool
			if segment, s, found = strings.Cut(s, ":"); !found {
				return false, true
			}
		}
		if ok, resolved := segments[i].match(e, segment); !ok {
			return false, resolved
		}
	}
	return true, true
}

// compileArn cuts a pattern into the six segments of an ARN; a star at the end stands for those that are not there. It is
// nil if there are fewer.
func compileArn(p pattern) []pattern {
	segments := p.segments()
	if n := len(segments); n < 6 {
		last := segments[n-1]
		if len(last) == 0 || !strings.HasSuffix(last[len(last)-1].text, anyRunText) {
			return nil
		}
	}
	for len(segments) < 6 {
		segments = append(segments, []piece{{text: anyRunText}})
	}
	compiled := make([]pattern, 6)
	for i, list := range segments {
		compiled[i] = assemble(list)
	}
	return compiled
}

// segments are the pieces between the first five colons that do not come from a variable.
func (p *pattern) segments() [][]piece {
	segments := [][]piece{nil}
	for _, part := range p.parts() {
		rest := part.text
		for part.key == "" && len(segments) < 6 {
			head, tail, found := strings.Cut(rest, ":")
			if !found {
				break
			}
			segments[len(segments)-1] = append(segments[len(segments)-1], piece{text: head})
			segments, rest = append(segments, nil), tail
		}
		part.text = rest
		segments[len(segments)-1] = append(segments[len(segments)-1], part)
	}
	return segments
}

// assemble is the pattern of pieces.
func assemble(pieces []piece) pattern {
	text := ""
	for _, p := range pieces {
		if p.key != "" {
			return pattern{shape: template, pieces: pieces}
		}
		text += p.text
	}
	return fixed(text)
}

// number is a whole number, which must compare exactly, or a decimal one.
type number struct {
	whole   int64
	decimal *big.Float // nil for a whole number
}

// parseNumber reads digits with a sign, a point and an exponent: not hexadecimal, not infinity.
func parseNumber(s string) (number, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: n}, true
	}
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789+-.eE") != "" {
		return number{}, false
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil {
		return number{}, false
	}
	f, _, err := big.ParseFloat(s, 10, 256, big.ToNearestEven)
	return number{decimal: f}, err == nil
}

func (n number) cmp(other number) int {
	if n.decimal == nil && other.decimal == nil {
		return cmp.Compare(n.whole, other.whole)
	}
	return n.float().Cmp(other.float())
}

func (n number) float() *big.Float {
	if n.decimal != nil {
		return n.decimal
	}
	return new(big.Float).SetInt64(n.whole)
}

// parsePrefix reads an address or a range of them.
func parsePrefix(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err == nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

func parseBinary(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}
