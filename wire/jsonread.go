package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON, XML, CBOR and form values may nest.
const maxDepth = 64

// maxItems is how many members and elements a JSON body may have in all.
const maxItems = 1 << 20

// jsonReader walks a JSON text. It checks what it walks over, and what it skips.
type jsonReader struct {
	b     []byte
	i     int
	depth int
	items int
	raw   bool // aws.Service.RawText
}

// next is the first byte of the next token, 0 at the end.
func (r *jsonReader) next() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// unexpected is the error for a byte that cannot stand here.
func (r *jsonReader) unexpected() error {
	if r.i >= len(r.b) {
		return serialization("Unexpected end-of-input")
	}
	return serialization(fmt.Sprintf("Unexpected character (%s (code %d)) at offset %d", printable(r.b[r.i]), r.b[r.i], r.i))
}

func printable(c byte) string {
	if c < ' ' || c > '~' {
		return "CTRL-CHAR"
	}
	return "'" + string(rune(c)) + "'"
}

// end checks that nothing follows.
func (r *jsonReader) end() error {
	if r.next() != 0 || r.i < len(r.b) {
		return r.unexpected()
	}
	return nil
}

// literal takes the given word.
func (r *jsonReader) literal(word string) error {
	if !bytes.HasPrefix(r.b[r.i:], []byte(word)) {
		return r.unexpected()
	}
	r.i += len(word)
	return nil
}

// null takes a null if there is one.
func (r *jsonReader) null() (bool, error) {
	if r.next() != 'n' {
		return false, nil
	}
	return true, r.literal("null")
}

// enter takes the bracket that opens an object or a list.
func (r *jsonReader) enter() error {
	r.depth++
	if r.depth > maxDepth {
		return serialization("Nesting is deeper than " + itoa(maxDepth) + " levels")
	}
	r.i++
	return nil
}

// more goes on to the next item of the object or list that end closes; first is true before the first one.
func (r *jsonReader) more(end byte, first bool) (bool, error) {
	c := r.next()
	if c == end {
		r.i++
		r.depth--
		return false, nil
	}
	if r.items++; r.items > maxItems {
		return false, serialization("The JSON has more than " + itoa(maxItems) + " members and elements")
	}
	switch {
	case first:
		return true, nil
	case c != ',':
		return false, r.unexpected()
	}
	r.i++
	if r.next() == end {
		return false, r.unexpected()
	}
	return true, nil
}

// key takes a member's name and the colon after it.
func (r *jsonReader) key() ([]byte, error) {
	if r.next() != '"' {
		return nil, r.unexpected()
	}
	k, err := r.str()
	if err != nil {
		return nil, err
	}
	if r.next() != ':' {
		return nil, r.unexpected()
	}
	r.i++
	return k, nil
}

// str takes a string: a part of the text itself if it has no escapes.
func (r *jsonReader) str() ([]byte, error) {
	start := r.i + 1
	for i := start; i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.i = i + 1
			return r.b[start:i], nil
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.i = i
			return nil, r.unexpected()
		}
	}
	r.i = len(r.b)
	return nil, r.unexpected()
}

// escaped takes a string whose first escape is at i.
func (r *jsonReader) escaped(start, i int) ([]byte, error) {
	out := append(make([]byte, 0, 2*(i-start)+32), r.b[start:i]...)
	for i < len(r.b) {
		c := r.b[i]
		switch {
		case c == '"':
			r.i = i + 1
			return out, nil
		case c < ' ':
			r.i = i
			return nil, r.unexpected()
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		n, rest, err := r.escape(out, i)
		if err != nil {
			return nil, err
		}
		out, i = rest, i+n
	}
	r.i = len(r.b)
	return nil, r.unexpected()
}

var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape appends what the escape at i stands for, and says how long it is.
func (r *jsonReader) escape(out []byte, i int) (int, []byte, error) {
	if i+1 >= len(r.b) {
		r.i = len(r.b)
		return 0, nil, r.unexpected()
	}
	if c := escapes[r.b[i+1]]; c != 0 {
		return 2, append(out, c), nil
	}
	u, ok := hex4(r.b, i)
	if !ok {
		r.i = i + 1
		return 0, nil, r.unexpected()
	}
	if utf16.IsSurrogate(u) {
		if low, ok := hex4(r.b, i+6); ok {
			if full := utf16.DecodeRune(u, low); full != utf8.RuneError {
				return 12, utf8.AppendRune(out, full), nil
			}
		}
		if r.raw { // as UTF-8 would have it, if it had it
			return 6, append(out, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0x3f, 0x80|byte(u)&0x3f), nil
		}
		u = utf8.RuneError
	}
	return 6, utf8.AppendRune(out, u), nil
}

// hex4 reads a \uXXXX at i.
func hex4(b []byte, i int) (rune, bool) {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
	return rune(n), err == nil
}

// number takes a number's text.
func (r *jsonReader) number() ([]byte, error) {
	start := r.i
	if r.i < len(r.b) && r.b[r.i] == '-' {
		r.i++
	}
	whole := r.digits()
	if whole > 1 && r.b[r.i-whole] == '0' {
		r.i -= whole - 1
		return nil, r.unexpected()
	}
	if whole == 0 {
		return nil, r.unexpected()
	}
	if r.i < len(r.b) && r.b[r.i] == '.' {
		r.i++
		if r.digits() == 0 {
			return nil, r.unexpected()
		}
	}
	if r.i < len(r.b) && (r.b[r.i] == 'e' || r.b[r.i] == 'E') {
		r.i++
		if r.i < len(r.b) && (r.b[r.i] == '+' || r.b[r.i] == '-') {
			r.i++
		}
		if r.digits() == 0 {
			return nil, r.unexpected()
		}
	}
	return r.b[start:r.i], nil
}

func (r *jsonReader) digits() int {
	start := r.i
	for r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9' {
		r.i++
	}
	return r.i - start
}

// skip takes any value.
func (r *jsonReader) skip() error {
	var err error
	switch c := r.next(); c {
	case '{', '[':
		return r.skipItems(c)
	case '"':
		_, err = r.str()
	case 't':
		err = r.literal("true")
	case 'f':
		err = r.literal("false")
	case 'n':
		err = r.literal("null")
	default:
		_, err = r.number()
	}
	return err
}

func (r *jsonReader) skipItems(open byte) error {
	if err := r.enter(); err != nil {
		return err
	}
	end := open + 2 // ']' and '}' both come two after their opening
	for first := true; ; first = false {
		more, err := r.more(end, first)
		if err != nil || !more {
			return err
		}
		if open == '{' {
			if _, err := r.key(); err != nil {
				return err
			}
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
}

// any takes a value as encoding/json would give it; numbers are int64 where they fit, else float64.
func (r *jsonReader) any() (any, error) {
	switch r.next() {
	case '{':
		return r.anyMap()
	case '[':
		return r.anyList()
	case '"':
		s, err := r.str()
		return r.text(s), err
	case 't':
		return true, r.literal("true")
	case 'f':
		return false, r.literal("false")
	case 'n':
		return nil, r.literal("null")
	}
	text, err := r.number()
	if err != nil {
		return nil, err
	}
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, serialization("Number out of range")
	}
	return f, nil
}

func (r *jsonReader) anyMap() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	m := map[string]any{}
	for first := true; ; first = false {
		more, err := r.more('}', first)
		if err != nil || !more {
			return m, err
		}
		k, err := r.key()
		if err != nil {
			return nil, err
		}
		name := r.text(k)
		if m[name], err = r.any(); err != nil {
			return nil, err
		}
	}
}

func (r *jsonReader) anyList() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	l := []any{}
	for first := true; ; first = false {
		more, err := r.more(']', first)
		if err != nil || !more {
			return l, err
		}
		v, err := r.any()
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
}

// text is the string. What is no UTF-8 is replaced unless the service wants it as it is.
func (r *jsonReader) text(b []byte) string {
	if r.raw {
		return string(b)
	}
	return validUTF8(b)
}

// validUTF8 is the string, with what is not UTF-8 replaced as every JSON reader does.
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}
