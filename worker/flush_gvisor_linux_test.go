//go:build amd64 || arm64

package worker

import (
	"fmt"
	"strings"
	"testing"
)

// What a function writes by gVisor is between its START and its END, though it takes another way than its answer.
func TestOutputByGVisorIsInItsInvocation(t *testing.T) {
	w := newGVisor(t)
	f := w.python(t, "import sys\nprint('static')\ndef handler(event, context):\n    print('OUT-%d' % event['n'])\n    print('ERR-%d' % event['n'], file=sys.stderr)\n    return event\n")
	for i := range 20 {
		r := w.request(fmt.Sprintf(`{"n":%d}`, i))
		r.Tail = true
		resp, err := w.Run(t.Context(), f, r)
		if err != nil || resp.FunctionError != "" {
			t.Fatalf("%s, %v", resp.Payload, err)
		}
		for _, want := range []string{fmt.Sprintf("OUT-%d\n", i), fmt.Sprintf("ERR-%d\n", i)} {
			if !strings.Contains(string(resp.LogTail), want) {
				t.Errorf("invocation %d has not %q in its log: %q", i, want, resp.LogTail)
			}
		}
	}
}
