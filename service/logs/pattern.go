package logs

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/enfold-run/enfold/aws"
)

// Limits of filter patterns. See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html.
const (
	maxPattern     = 1024
	maxExpressions = 2 // regular expressions in one pattern
)

// matcher says whether an event's message is one that a filter pattern asks for.
type matcher func(message []byte) bool

// parsePattern reads a filter pattern: terms, a JSON pattern in braces or a space-delimited one in brackets. The empty
// pattern and "" match everything.
func parsePattern(pattern string) (matcher, error) {
	if len(pattern) > maxPattern {
		return nil, errPattern("Pattern is too long")
	}
	p := &patternParser{}
	switch text := strings.TrimSpace(pattern); {
	case text == "" || text == `""`:
		return func([]byte) bool { return true }, nil
	case text[0] == '{':
		if text[len(text)-1] != '}' || len(text) == 1 {
			return nil, invalid("If a filter pattern starts with '{' it must end with '}'")
		}
		return p.json(text[1 : len(text)-1])
	case text[0] == '[':
		if text[len(text)-1] != ']' || len(text) == 1 {
			return nil, invalid("If a filter pattern starts with '[' it must end with ']'")
		}
		return p.columns(text[1 : len(text)-1])
	default:
		return p.terms(text)
	}
}

func errPattern(format string, args ...any) *aws.Error {
	return invalid("Invalid filter pattern: %s", fmt.Sprintf(format, args...))
}

func errTerm(term string) *aws.Error { return errPattern("Invalid character(s) in term '%s'", term) }

// patternParser counts what the parts of one pattern share.
type patternParser struct{ expressions int }

// terms reads words and quoted phrases. Those with a minus must be absent, all others present; if every term has a question
// mark, one of them is enough, and where only some have, those count for nothing.
func (p *patternParser) terms(text string) (matcher, error) {
	var all, any, none []matcher
	for text != "" {
		token, rest, err := nextTerm(text)
		if err != nil {
			return nil, err
		}
		list := &all
		switch token[0] {
		case '-':
			list, token = &none, token[1:]
		case '?':
			list, token = &any, token[1:]
		}
		m, err := p.term(token)
		if err != nil {
			return nil, err
		}
		*list = append(*list, m)
		text = strings.TrimLeftFunc(rest, unicode.IsSpace)
	}
	if len(all)+len(none) > 0 {
		any = nil
	}
	return func(message []byte) bool {
		for _, m := range all {
			if !m(message) {
				return false
			}
		}
		for _, m := range none {
			if m(message) {
				return false
			}
		}
		for _, m := range any {
			if m(message) {
				return true
			}
		}
		return len(any) == 0
	}, nil
}

// nextTerm cuts the first term off, which ends at a space outside quotes.
func nextTerm(text string) (term, rest string, err error) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'):
			return text[:i], text[i:], nil
		}
	}
	if quoted {
		return "", "", errTerm(text)
	}
	return text, "", nil
}

// term is one term without its sign: a word, a quoted phrase or a regular expression.
func (p *patternParser) term(token string) (matcher, error) {
	switch {
	case token == "":
		return nil, errTerm(token)
	case token[0] == '"':
		phrase, ok := unquote(token)
		if !ok || phrase == "" {
			return nil, errTerm(token)
		}
		return contains(phrase), nil
	case token[0] == '%':
		re, err := p.expression(token)
		if err != nil {
			return nil, err
		}
		return re.Match, nil
	}
	for _, r := range token {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return nil, errTerm(token)
		}
	}
	return contains(token), nil
}

func contains(s string) matcher {
	want := []byte(s)
	return func(message []byte) bool { return bytes.Contains(message, want) }
}

// unquote reads a string in double quotes, in which a backslash makes a quote or a backslash ordinary.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '"':
			return "", false
		case c == '\\' && i+1 == len(s)-1:
			return "", false
		case c == '\\' && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// expressionSymbols are what a regular expression may hold beyond ASCII letters, digits and backslash escapes.
const expressionSymbols = `:_#=@/;,-^$?[]{}|*+.`

// expression reads %…%, the subset of regular expressions that CloudWatch Logs documents.
func (p *patternParser) expression(token string) (*regexp.Regexp, error) {
	if len(token) < 3 || token[len(token)-1] != '%' {
		return nil, errTerm(token)
	}
	if p.expressions++; p.expressions > maxExpressions {
		return nil, errPattern("A pattern can have at most %d regular expressions", maxExpressions)
	}
	body := token[1 : len(token)-1]
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '\\' && i+1 < len(body) && body[i+1] < unicode.MaxASCII:
			i++
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(expressionSymbols, c) >= 0:
		default:
			return nil, errTerm(token)
		}
	}
	re, err := regexp.Compile(body)
	if err != nil {
		return nil, errTerm(token)
	}
	return re, nil
}

// operand is the right side of a comparison in a JSON or space-delimited pattern.
type operand struct {
	re     *regexp.Regexp
	text   string   // unless re
	parts  []string // text cut at its wildcards
	quoted bool
	number float64
	isNum  bool
}

// operand reads a quoted string, a %regular expression% or a bare word.
func (p *patternParser) operand(token string) (operand, error) {
	if token == "" {
		return operand{}, errTerm(token)
	}
	if token[0] == '%' {
		re, err := p.expression(token)
		return operand{re: re}, err
	}
	o := operand{text: token}
	if token[0] == '"' {
		text, ok := unquote(token)
		if !ok {
			return operand{}, errTerm(token)
		}
		o.text, o.quoted = text, true
	} else {
		for _, r := range token {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_*.-+:/@$#", r) {
				return operand{}, errTerm(token)
			}
		}
		o.number, o.isNum = parseNumber(token)
	}
	o.parts = strings.Split(o.text, "*")
	return o, nil
}

// parseNumber reads a decimal number and nothing else that strconv would: no hex, no underscore, no Inf.
func parseNumber(s string) (float64, bool) {
	if s == "" || len(s) > 64 || strings.Trim(s, "+-.eE0123456789") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// equals compares text, in which the operand's stars stand for anything.
func (o operand) equals(s string) bool {
	if o.re != nil {
		return o.re.MatchString(s)
	}
	if len(o.parts) == 1 {
		return s == o.text
	}
	first, last := o.parts[0], o.parts[len(o.parts)-1]
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for _, part := range o.parts[1 : len(o.parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

// order compares numbers: "<", "<=", ">" or ">=".
func order(op string, a, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}
