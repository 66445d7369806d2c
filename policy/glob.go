package policy

import (
	"strings"
	"unicode/utf8"
)

// Wildcards inside a compiled pattern are bytes that UTF-8 never has, so that what a variable brings in is never one.
const (
	anyRun = '\xff' // *
	anyOne = '\xfe' // ?

	anyRunText = "\xff"
)

// Matches says whether the whole of s is what the pattern describes: "*" is any run of characters, also of slashes and
// colons, "?" any one character. It takes time in len(pattern) plus len(s) times a sixty-fourth of len(pattern) at worst.
func Matches(pattern, s string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == s
	}
	return glob(encode(pattern), s)
}

// encode turns the wildcards of a pattern into their bytes and runs of stars into one.
func encode(pattern string) string {
	b := make([]byte, 0, len(pattern))
	for i := range len(pattern) {
		switch c := pattern[i]; c {
		case '*':
			b = appendRun(b)
		case '?':
			b = append(b, anyOne)
		case anyRun, anyOne: // not UTF-8
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func appendRun(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] == anyRun {
		return b
	}
	return append(b, anyRun)
}

// glob matches an encoded pattern.
func glob(p, s string) bool {
	var n steps
	return n.glob(p, s)
}

// small is the product of the lengths up to which trying character by character is quick whatever they are.
const small = 1 << 13

func (n *steps) glob(p, s string) bool {
	if len(p)*len(s) <= small {
		return n.try(p, s)
	}
	return n.search(p, s)
}

// steps counts how far matching went, since a test of time would depend on the machine.
type steps int

// try matches an encoded pattern character by character. A star that turns out to have taken too little takes one character more; stars before it
// never need another look, which is what keeps the time down.
func (n *steps) try(p, s string) bool {
	pi, si := 0, 0
	star, from := -1, 0 // the last star, and where in s what follows it was tried
	for si < len(s) {
		*n++
		switch {
		case pi < len(p) && p[pi] == anyRun:
			star, from = pi, si
			pi++
			if pi == len(p) {
				return true
			}
			continue
		case pi < len(p) && p[pi] == anyOne:
			pi++
			si += width(s, si)
			continue
		case pi < len(p) && p[pi] == s[si]:
			pi++
			si++
			continue
		case star < 0:
			return false
		}
		from += width(s, from)
		pi, si = star+1, from
	}
	for pi < len(p) && p[pi] == anyRun {
		pi++
	}
	return pi == len(p)
}

// width is how many bytes the character at i has.
func width(s string, i int) int {
	if s[i] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return n
}
