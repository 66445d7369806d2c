package event

import "bytes"

// Sendable is JSON as a queue takes it: what JSON may have in it and a message may not is written as escapes.
func Sendable(b []byte) []byte {
	for _, c := range []struct{ is, means string }{{"\uFFFE", `\ufffe`}, {"\uFFFF", `\uffff`}} {
		if bytes.Contains(b, []byte(c.is)) {
			b = bytes.ReplaceAll(b, []byte(c.is), []byte(c.means))
		}
	}
	return b
}
