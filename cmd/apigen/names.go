package main

import (
	"strings"
	"unicode"
)

// initialisms are the words that Go spells in capitals.
var initialisms = map[string]string{
	"Id": "ID", "Ids": "IDs", "Url": "URL", "Urls": "URLs", "Uri": "URI", "Ip": "IP", "Http": "HTTP", "Json": "JSON",
}

// goName is the Go field of a member: first letter upper, initialisms in capitals ("logGroupId" -> "LogGroupID").
func goName(member string) string {
	var b strings.Builder
	for _, w := range words(upperFirst(member)) {
		if up, ok := initialisms[w]; ok {
			w = up
		}
		b.WriteString(w)
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, b.String())
}

// words splits before every upper-case letter that follows something else, and between letters and digits.
func words(s string) []string {
	var all []string
	start := 0
	for i := 1; i < len(s); i++ {
		prev, c := rune(s[i-1]), rune(s[i])
		if unicode.IsUpper(c) && !unicode.IsUpper(prev) || !unicode.IsLetter(c) && unicode.IsLetter(prev) ||
			unicode.IsLower(c) && unicode.IsUpper(prev) && i-1 > start {
			cut := i
			if unicode.IsLower(c) && unicode.IsUpper(prev) {
				cut = i - 1
			}
			all = append(all, s[start:cut])
			start = cut
		}
	}
	return append(all, s[start:])
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// valueName is the part of an enum constant that stands for its value: "python3.12" -> "Python312",
// "TRIM_HORIZON" -> "TrimHorizon".
func valueName(value string) string {
	parts := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var b strings.Builder
	for _, p := range parts {
		if p == strings.ToUpper(p) {
			p = strings.ToLower(p)
		}
		b.WriteString(upperFirst(p))
	}
	return b.String()
}

// errorName is the Go variable of an error shape.
func errorName(shape string) string {
	return "Err" + upperFirst(strings.TrimSuffix(shape, "Exception"))
}
