package policy

import (
	"strings"
	"unicode/utf8"
)

// pattern is a compiled value of a policy: a text, perhaps with wildcards, perhaps with variables.
type pattern struct {
	shape  shape
	text   string  // for exact and prefix as it is, for wild encoded
	pieces []piece // of a template
}

// shape is the cheapest way to match a pattern.
type shape uint8

const (
	exact shape = iota
	everything
	prefix
	wild
	template
)

// piece is a part of a template: a text, or a variable if key is set.
type piece struct {
	text     string // encoded; of a variable its default
	key      string
	fallback bool
}

// spelling says what a text of a policy may contain.
type spelling struct {
	wildcards bool
	variables bool
}

// compile reads a pattern. What looks like a variable but is not closed is text.
func compile(raw string, sp spelling) pattern {
	pieces := cut(raw, sp)
	if len(pieces) > 1 || len(pieces) == 1 && pieces[0].key != "" {
		return pattern{shape: template, pieces: pieces}
	}
	text := ""
	if len(pieces) == 1 {
		text = pieces[0].text
	}
	return fixed(text)
}

// fixed is the pattern of an encoded text.
func fixed(text string) pattern {
	i := firstWildcard(text)
	switch {
	case i < 0:
		return pattern{shape: exact, text: text}
	case text == anyRunText:
		return pattern{shape: everything}
	case i == len(text)-1 && text[i] == anyRun:
		return pattern{shape: prefix, text: text[:i]}
	}
	return pattern{shape: wild, text: text}
}

// parts are the pieces of a pattern of any shape.
func (p *pattern) parts() []piece {
	switch p.shape {
	case template:
		return p.pieces
	case everything:
		return []piece{{text: anyRunText}}
	case prefix:
		return []piece{{text: p.text + anyRunText}}
	}
	return []piece{{text: p.text}}
}

// firstWildcard is where the first wildcard of an encoded text is, or -1.
func firstWildcard(text string) int {
	for i := range len(text) {
		if text[i] >= anyOne {
			return i
		}
	}
	return -1
}

// cut splits a text at its variables; "${*}", "${?}" and "${$}" are the characters themselves.
func cut(raw string, sp spelling) []piece {
	var pieces []piece
	var text []byte
	for i := 0; i < len(raw); {
		if sp.variables && strings.HasPrefix(raw[i:], "${") {
			if end := strings.IndexByte(raw[i:], '}'); end > 2 {
				inner := raw[i+2 : i+end]
				i += end + 1
				if inner == "*" || inner == "?" || inner == "$" {
					text = append(text, inner...)
					continue
				}
				if len(text) > 0 {
					pieces, text = append(pieces, piece{text: string(text)}), nil
				}
				pieces = append(pieces, variable(inner))
				continue
			}
		}
		switch c := raw[i]; {
		case sp.wildcards && c == '*':
			text = appendRun(text)
		case sp.wildcards && c == '?':
			text = append(text, anyOne)
		default:
			text = append(text, c)
		}
		i++
	}
	if len(text) > 0 {
		pieces = append(pieces, piece{text: string(text)})
	}
	return pieces
}

// variable reads what is between the braces: "aws:username" or "aws:username, 'anonymous'".
func variable(inner string) piece {
	name, rest, found := strings.Cut(inner, ",")
	p := piece{key: canonical(strings.TrimSpace(name))}
	rest = strings.TrimSpace(rest)
	if found && len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
		p.text, p.fallback = rest[1:len(rest)-1], true
	}
	return p
}

// resolve is the pattern with its variables filled in. It is false, and the key is noted as pending, if a variable has no
// single value and no default.
func (p *pattern) resolve(e *eval) (pattern, bool) {
	if p.shape != template {
		return *p, true
	}
	var b strings.Builder
	for i := range p.pieces {
		part := &p.pieces[i]
		if part.key == "" {
			b.WriteString(part.text)
			continue
		}
		values, ok := e.values(part.key)
		switch {
		case len(values) == 1:
			b.WriteString(strings.ToValidUTF8(values[0], string(utf8.RuneError)))
		case part.fallback && len(values) == 0:
			b.WriteString(part.text)
		default:
			if !ok {
				e.pending = append(e.pending, part.key)
			}
			return pattern{}, false
		}
	}
	return fixed(b.String()), true
}

// match says whether s is what the pattern describes. resolved is false if a variable had no value.
func (p *pattern) match(e *eval, s string) (matched, resolved bool) {
	switch p.shape {
	case exact:
		return p.text == s, true
	case everything:
		return true, true
	case prefix:
		return strings.HasPrefix(s, p.text), true
	case wild:
		return glob(p.text, s), true
	}
	r, ok := p.resolve(e)
	if !ok {
		return false, false
	}
	return r.match(e, s)
}

// keys adds the condition keys of the variables.
func (p *pattern) keys(add func(string)) {
	for i := range p.pieces {
		if k := p.pieces[i].key; k != "" {
			add(k)
		}
	}
}
