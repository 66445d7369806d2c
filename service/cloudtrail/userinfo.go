package cloudtrail

import "strings"

// hiddenText stands where AWS's own records hide something.
const hiddenText = "HIDDEN_DUE_TO_SECURITY_REASONS"

// withoutUserinfo is a text without the names and passwords of the URLs in it: "https://HIDDEN_…@example.com/". Nothing but
// what could be one is replaced, so that nobody hides the rest of a request behind a URL.
func withoutUserinfo(s string) string {
	const scheme = "://"
	at := strings.Index(s, scheme)
	if at < 0 || strings.IndexByte(s[at:], '@') < 0 {
		return s
	}
	var b strings.Builder
	for at >= 0 {
		at += len(scheme)
		b.WriteString(s[:at])
		s = s[at:]
		if n := userinfo(s); n > 0 {
			b.WriteString(hiddenText)
			s = s[n:]
		}
		at = strings.Index(s, scheme)
	}
	b.WriteString(s)
	return b.String()
}

// userinfo is how many bytes before the last "@" of an authority a text begins with; 0 if there is none.
func userinfo(s string) int {
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '@':
			n = i
		case c <= ' ' || c == 0x7f || strings.IndexByte(`/?#"\<>{}`, c) >= 0: // the authority ends
			return n
		}
	}
	return n
}
