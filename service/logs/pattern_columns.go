package logs

import (
	"strings"
	"unicode"
)

// column is one field of a space-delimited pattern: its alternatives, each a list of tests that must all hold. No
// alternative means that anything does.
type column [][]columnTest

type columnTest struct {
	op string
	operand
}

// columns reads what is inside the brackets of a space-delimited pattern. A message matches if it has as many fields,
// an ellipsis standing for any number of them, and each is as its column says.
func (p *patternParser) columns(text string) (matcher, error) {
	var cols []column
	ellipsis := -1
	for _, part := range splitColumns(text) {
		part = strings.TrimSpace(part)
		if part == "..." {
			if ellipsis >= 0 {
				return nil, errPattern("An ellipsis can occur only once")
			}
			ellipsis = len(cols)
			continue
		}
		c, err := p.column(part)
		if err != nil {
			return nil, err
		}
		cols = append(cols, c)
	}
	return func(message []byte) bool {
		fields := splitFields(string(message), len(cols)+1, ellipsis >= 0)
		if len(fields) < len(cols) || ellipsis < 0 && len(fields) != len(cols) {
			return false
		}
		for i, c := range cols {
			f := i
			if ellipsis >= 0 && i >= ellipsis {
				f = len(fields) - len(cols) + i
			}
			if !c.matches(fields[f]) {
				return false
			}
		}
		return true
	}, nil
}

// column reads a name, or comparisons of that name joined by && and ||, where && binds more tightly.
func (p *patternParser) column(text string) (column, error) {
	text = strings.TrimSpace(text)
	for strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	rest := text
	name, ok := cutName(&rest)
	if !ok {
		return nil, errTerm(text)
	}
	if rest == "" {
		return nil, nil
	}
	c := column{nil}
	for again := name; ; {
		if again != name {
			return nil, errTerm(again)
		}
		test, err := p.columnTest(&rest)
		if err != nil {
			return nil, err
		}
		c[len(c)-1] = append(c[len(c)-1], test)
		switch {
		case rest == "":
			return c, nil
		case strings.HasPrefix(rest, "&&"):
		case strings.HasPrefix(rest, "||"):
			c = append(c, nil)
		default:
			return nil, errTerm(rest)
		}
		rest = rest[2:]
		if again, ok = cutName(&rest); !ok {
			return nil, errTerm(rest)
		}
	}
}

// columnTest reads an operator and its operand.
func (p *patternParser) columnTest(text *string) (columnTest, error) {
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if !strings.HasPrefix(*text, op) {
			continue
		}
		rest := strings.TrimLeftFunc((*text)[len(op):], unicode.IsSpace)
		end := wordEnd(rest)
		o, err := p.operand(rest[:end])
		if err != nil {
			return columnTest{}, err
		}
		if op != "=" && op != "!=" && !o.isNum {
			return columnTest{}, errTerm(o.text)
		}
		*text = strings.TrimLeftFunc(rest[end:], unicode.IsSpace)
		return columnTest{op, o}, nil
	}
	return columnTest{}, errTerm(*text)
}

// cutName takes the name of a column off text, and the spaces around it.
func cutName(text *string) (string, bool) {
	s := strings.TrimLeftFunc(*text, unicode.IsSpace)
	end := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		end = len(s)
	}
	*text = strings.TrimLeftFunc(s[end:], unicode.IsSpace)
	return s[:end], end > 0
}

// splitColumns cuts at the commas outside quotes and regular expressions.
func splitColumns(text string) []string {
	var parts []string
	var inside byte
	start := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside != 0 && c == '\\':
			i++
		case inside != 0 && c == inside:
			inside = 0
		case inside != 0:
		case c == '"' || c == '%':
			inside = c
		case c == ',':
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// splitFields cuts a message at spaces; what stands in double quotes or brackets is one field, without them. Unless all
// are wanted it stops after max.
func splitFields(s string, max int, all bool) []string {
	var fields []string
	for all || len(fields) < max {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		if s == "" {
			break
		}
		closing := ""
		switch s[0] {
		case '"':
			closing = `"`
		case '[':
			closing = "]"
		}
		if closing != "" {
			if end := strings.Index(s[1:], closing); end >= 0 {
				fields, s = append(fields, s[1:1+end]), s[1+end+1:]
				continue
			}
		}
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 {
			end = len(s)
		}
		fields, s = append(fields, s[:end]), s[end:]
	}
	return fields
}

func (c column) matches(field string) bool {
	for _, tests := range c {
		all := true
		for _, t := range tests {
			all = all && t.matches(field)
		}
		if all {
			return true
		}
	}
	return len(c) == 0
}

func (t columnTest) matches(field string) bool {
	n, isNum := parseNumber(field)
	if t.isNum && isNum {
		switch t.op {
		case "=":
			return n == t.number
		case "!=":
			return n != t.number
		}
		return order(t.op, n, t.number)
	}
	switch t.op {
	case "=":
		return t.equals(field)
	case "!=":
		return !t.equals(field)
	}
	return false
}
