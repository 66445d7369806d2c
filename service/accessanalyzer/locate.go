package accessanalyzer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
)

// locate is where the value at a path begins and ends in a JSON text, in bytes; the whole text if the path is not in it. An
// index into a value that is no list is the value itself: a policy may spell a list of one without brackets.
func locate(text string, path []any) (start, end int) {
	l := locator{text: text, dec: json.NewDecoder(strings.NewReader(text))}
	if len(path) == 0 || !l.find(path) {
		return 0, len(text)
	}
	return l.start, l.end
}

type locator struct {
	text       string
	dec        *json.Decoder
	start, end int
}

// find walks the next value. It answers false if the path is not in it.
func (l *locator) find(path []any) bool {
	start := l.next()
	if len(path) == 0 {
		var v json.RawMessage
		if l.dec.Decode(&v) != nil {
			return false
		}
		l.start, l.end = start, int(l.dec.InputOffset())
		return true
	}
	want, isIndex := path[0].(int)
	if isIndex && l.text[min(start, len(l.text)-1)] != '[' {
		return l.find(path[1:])
	}
	open, err := l.dec.Token()
	if err != nil || open != json.Delim('[') && open != json.Delim('{') {
		return false
	}
	for i := 0; l.dec.More(); i++ {
		at := any(i)
		if !isIndex {
			if at, err = l.dec.Token(); err != nil {
				return false
			}
		}
		if isIndex && i == want || !isIndex && at == path[0] {
			return l.find(path[1:])
		}
		var skip json.RawMessage
		if l.dec.Decode(&skip) != nil {
			return false
		}
	}
	return false
}

// next is where the next value begins: past white space, colons and commas.
func (l *locator) next() int {
	i := int(l.dec.InputOffset())
	for i < len(l.text) && strings.IndexByte(" \t\r\n:,", l.text[i]) >= 0 {
		i++
	}
	return i
}

// position is an offset as line from 1, column and offset from 0, in characters.
func position(text string, offset int) *api.Position {
	before := text[:offset]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &api.Position{Line: new(line), Column: new(column), Offset: new(utf8.RuneCountInString(before))}
}
