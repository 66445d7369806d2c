package logs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
)

// condition is a node of a parsed JSON pattern.
type condition func(document any) bool

// json reads what is inside the braces of a JSON pattern. Messages that are not one JSON object or array do not match.
func (p *patternParser) json(text string) (matcher, error) {
	j := &jsonParser{patternParser: p, text: text}
	c, err := j.or()
	if err != nil {
		return nil, err
	}
	if j.skipSpace(); j.text != "" {
		return nil, errTerm(j.text)
	}
	return func(message []byte) bool {
		message = bytes.TrimSpace(message)
		if len(message) == 0 || message[0] != '{' && message[0] != '[' || !json.Valid(message) {
			return false
		}
		d := json.NewDecoder(bytes.NewReader(message))
		d.UseNumber()
		var document any
		return d.Decode(&document) == nil && c(document)
	}, nil
}

// jsonParser is a recursive descent; the length of a pattern bounds its depth.
type jsonParser struct {
	*patternParser
	text string // what is left
}

func (j *jsonParser) skipSpace() { j.text = strings.TrimLeftFunc(j.text, unicode.IsSpace) }

// accept skips s if it comes next.
func (j *jsonParser) accept(s string) bool {
	j.skipSpace()
	if !strings.HasPrefix(j.text, s) {
		return false
	}
	j.text = j.text[len(s):]
	return true
}

func (j *jsonParser) or() (condition, error) {
	left, err := j.and()
	for err == nil && j.accept("||") {
		a, b := left, condition(nil)
		b, err = j.and()
		left = func(d any) bool { return a(d) || b(d) }
	}
	return left, err
}

func (j *jsonParser) and() (condition, error) {
	left, err := j.primary()
	for err == nil && j.accept("&&") {
		a, b := left, condition(nil)
		b, err = j.primary()
		left = func(d any) bool { return a(d) && b(d) }
	}
	return left, err
}

func (j *jsonParser) primary() (condition, error) {
	if !j.accept("(") {
		return j.comparison()
	}
	c, err := j.or()
	if err == nil && !j.accept(")") {
		err = errTerm(j.text)
	}
	return c, err
}

func (j *jsonParser) comparison() (condition, error) {
	path, err := j.selector()
	if err != nil {
		return nil, err
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if !j.accept(op) {
			continue
		}
		o, err := j.patternParser.operand(j.word())
		if err != nil {
			return nil, err
		}
		if op != "=" && op != "!=" && (o.re != nil || !o.isNum) {
			return nil, errTerm(o.text)
		}
		return func(d any) bool {
			v, ok := lookup(d, path)
			return ok && compareJSON(v, op, o)
		}, nil
	}
	switch a, b := strings.ToUpper(j.word()), strings.ToUpper(j.word()); a + " " + b {
	case "NOT EXISTS":
		return func(d any) bool { _, ok := lookup(d, path); return !ok }, nil
	case "IS NULL":
		return func(d any) bool { v, ok := lookup(d, path); return ok && v == nil }, nil
	case "IS TRUE":
		return func(d any) bool { v, ok := lookup(d, path); return ok && v == true }, nil
	case "IS FALSE":
		return func(d any) bool { v, ok := lookup(d, path); return ok && v == false }, nil
	default:
		return nil, errTerm(strings.TrimSpace(a + " " + b))
	}
}

// word cuts off a quoted string, a %regular expression% or what reaches to the next space or operator.
func (j *jsonParser) word() string {
	j.skipSpace()
	end := wordEnd(j.text)
	w := j.text[:end]
	j.text = j.text[end:]
	return w
}

// wordEnd is where the operand at the start of text ends.
func wordEnd(text string) int {
	if text == "" {
		return 0
	}
	if q := text[0]; q == '"' || q == '%' {
		for i := 1; i < len(text); i++ {
			if text[i] == '\\' {
				i++
			} else if text[i] == q {
				return i + 1
			}
		}
		return len(text)
	}
	if i := strings.IndexAny(text, " \t\r\n\v\f&|()=!<>,"); i >= 0 {
		return i
	}
	return len(text)
}

// step is one step of a selector: a member's name or an element's index.
type step struct {
	name  string
	index int // if name is empty
}

// selector reads $.a.b[0]['c.d'].
func (j *jsonParser) selector() ([]step, error) {
	if !j.accept("$") {
		return nil, errTerm(j.text)
	}
	var path []step
	for {
		switch {
		case strings.HasPrefix(j.text, ".["):
			j.text = j.text[1:]
		case strings.HasPrefix(j.text, "."):
			j.text = j.text[1:]
			end := strings.IndexFunc(j.text, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-@:", r)
			})
			if end < 0 {
				end = len(j.text)
			}
			if end == 0 {
				return nil, errTerm(j.text)
			}
			path = append(path, step{name: j.text[:end]})
			j.text = j.text[end:]
		case strings.HasPrefix(j.text, "["):
			s, n, ok := subscript(j.text)
			if !ok {
				return nil, errTerm(j.text)
			}
			path = append(path, s)
			j.text = j.text[n:]
		default:
			if len(path) == 0 {
				return nil, errTerm(j.text)
			}
			return path, nil
		}
	}
}

// subscript reads [0], ['name'] or ["name"] and says how long it is.
func subscript(text string) (s step, length int, ok bool) {
	if len(text) > 3 && (text[1] == '\'' || text[1] == '"') {
		end := strings.IndexByte(text[2:], text[1])
		if end < 1 || !strings.HasPrefix(text[2+end+1:], "]") {
			return step{}, 0, false
		}
		return step{name: text[2 : 2+end]}, 2 + end + 2, true
	}
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return step{}, 0, false
	}
	i, err := strconv.ParseUint(text[1:end], 10, 31)
	return step{index: int(i)}, end + 1, err == nil
}

// lookup follows a path into a decoded document.
func lookup(v any, path []step) (any, bool) {
	for _, s := range path {
		switch c := v.(type) {
		case map[string]any:
			member, ok := c[s.name]
			if !ok || s.name == "" {
				return nil, false
			}
			v = member
		case []any:
			if s.name != "" || s.index >= len(c) {
				return nil, false
			}
			v = c[s.index]
		default:
			return nil, false
		}
	}
	return v, true
}

// compareJSON compares a member that is there. Numbers compare with bare operands, strings with all; objects, arrays and
// null with none.
func compareJSON(v any, op string, o operand) bool {
	var text string
	switch v := v.(type) {
	case string:
		if op != "=" && op != "!=" {
			return false
		}
		text = v
	case bool:
		text = strconv.FormatBool(v)
	case json.Number:
		if n, ok := parseNumber(v.String()); ok && o.isNum {
			switch op {
			case "=":
				return n == o.number
			case "!=":
				return n != o.number
			}
			return order(op, n, o.number)
		}
		text = v.String()
	default:
		return false
	}
	if _, isString := v.(string); op != "=" && op != "!=" || o.quoted && !isString {
		return op == "!="
	}
	return o.equals(text) == (op == "=")
}
