package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is what a token is.
type kind byte

const (
	tokenEnd    kind = 0
	tokenObject kind = '{'
	tokenArray  kind = '['
	tokenName   kind = ':' // of a member
	tokenString kind = '"'
	tokenNumber kind = '0'
	tokenTrue   kind = 't'
	tokenFalse  kind = 'f'
	tokenNull   kind = 'n'
)

// scanner reads the tokens of a JSON text that is known to be one, without blanks. at is where AWS's parser says it is, which
// reads no string before it is asked for it, and reads the name of a member together with the beginning of its value.
type scanner struct {
	text string
	pos  int // after the token
	at   int // where the parser says it is

	kind kind
	raw  string // as it is written
}

// next reads the next token. Commas and colons are none.
func (s *scanner) next() kind {
	for s.pos < len(s.text) && (s.text[s.pos] == ',' || s.text[s.pos] == ':') {
		s.pos++
	}
	if s.pos >= len(s.text) {
		s.kind, s.raw, s.at = tokenEnd, "", s.pos
		return s.kind
	}
	s.read()
	if s.kind == tokenString && s.pos < len(s.text) && s.text[s.pos] == ':' {
		s.kind = tokenName
		ahead := *s
		ahead.pos++
		ahead.read()
		s.at = ahead.at
	}
	return s.kind
}

func (s *scanner) read() {
	begin := s.pos
	switch c := s.text[s.pos]; c {
	case '{', '}', '[', ']':
		s.pos++
		s.kind, s.at = kind(c), s.pos
	case '"':
		for s.pos++; s.text[s.pos] != '"'; s.pos++ {
			if s.text[s.pos] == '\\' {
				s.pos++
			}
		}
		s.pos++
		s.kind, s.at = tokenString, begin+1
	case 't', 'n':
		s.pos += len("true")
		s.kind, s.at = kind(c), s.pos
	case 'f':
		s.pos += len("false")
		s.kind, s.at = kind(c), s.pos
	default:
		for s.pos < len(s.text) && strings.IndexByte(",]}:", s.text[s.pos]) < 0 {
			s.pos++
		}
		s.kind, s.at = tokenNumber, s.pos
	}
	s.raw = s.text[begin:s.pos]
}

// value is the text of a string or a name. The parser has read it then.
func (s *scanner) value() string {
	if s.kind == tokenString {
		s.at = s.pos
	}
	var v string
	if json.Unmarshal([]byte(s.raw), &v) != nil {
		return s.raw
	}
	return v
}

// show is the token as a message names it.
func (s *scanner) show() string {
	switch s.kind {
	case tokenString, tokenName:
		return s.value()
	}
	return s.raw
}

// SyntaxError is what is wrong with a pattern, in AWS's words.
type SyntaxError struct {
	Message string
	Text    string // the pattern without blanks; empty if the message stands without a place
	Column  int    // from 1
	hidden  bool   // AWS does not show the text
}

// Error is the message with its place, as AWS writes it.
func (e *SyntaxError) Error() string {
	switch {
	case e.hidden:
		return e.Message + "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: " +
			strconv.Itoa(e.Column) + "]"
	case e.Text == "":
		return e.Message
	}
	return e.Message + "\n at [Source: (String)\"" + e.Text + "\"; line: 1, column: " + strconv.Itoa(e.Column) + "]"
}

func (s *scanner) wrong(format string, args ...any) *SyntaxError {
	return &SyntaxError{Message: fmt.Sprintf(format, args...), Text: s.text, Column: s.at + 1}
}

// bare is an error without a place.
func bare(format string, args ...any) *SyntaxError {
	return &SyntaxError{Message: fmt.Sprintf(format, args...)}
}

// CheckJSON says what is wrong with a text that is no JSON, in the words of AWS's parser; nil if it is.
func CheckJSON(text []byte) *SyntaxError {
	if json.Valid(text) && utf8.Valid(text) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := dec.Token(); err != nil {
			break
		}
	}
	read := string(text[:min(int(dec.InputOffset()), len(text))])
	rest := strings.TrimLeft(string(text[len(read):]), " \t\r\n,:")
	begin := len(text) - len(rest)
	word := rest[:len(rest)-len(strings.TrimLeftFunc(rest, isWord))]
	r, _ := utf8.DecodeRuneInString(rest)
	const said = "failed to parse JSON. "
	const wanted = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	switch {
	case rest == "":
		return &SyntaxError{Message: said + "Unexpected end-of-input", Column: begin + 1, hidden: true}
	case strings.HasSuffix(read, "{"):
		return &SyntaxError{
			Message: fmt.Sprintf(said+"Unexpected character ('%c' (code %d)): was expecting double-quote to start field name", r, r),
			Column:  begin + 1, hidden: true,
		}
	case word != "":
		return &SyntaxError{
			Message: fmt.Sprintf(said+"Unrecognized token '%s': was expecting "+wanted, clip(word)),
			Column:  begin + len(word) + 1, hidden: true,
		}
	}
	return &SyntaxError{
		Message: fmt.Sprintf(said+"Unexpected character ('%c' (code %d)): expected a valid value "+wanted, r, r),
		Column:  begin + 1, hidden: true,
	}
}

func isWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// clip keeps messages short.
func clip(s string) string { return s[:min(len(s), 100)] }
