package aws

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first wanted: a server's start would wait for dozens that no first answer
// needs. One that does not compile panics then.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
