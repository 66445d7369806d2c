//go:build amd64 || arm64

package worker

import "testing"

// Who invokes a function whose static code fails sees in the tail what that wrote, at both attempts, by every driver.
func TestTailOfAFailedInit(t *testing.T) {
	test := func(t *testing.T, w *world) {
		f := w.python(t, "import os, sys\nprint('to stdout', flush=True)\nprint('to stderr', file=sys.stderr)\nos._exit(3)\n")
		r := w.request("{}")
		resp := w.do(f, r)
		w.tailIsAll(resp)
		const attempt = "to stdout\nto stderr\nINIT_REPORT Init Duration: N ms\tPhase: "
		const how = "\tStatus: error\tError Type: Runtime.ExitError\n"
		w.logIs(r, attempt+"init"+how+attempt+"invoke"+how+"START RequestId: ID Version: $LATEST\n"+
			"RequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError\nEND RequestId: ID\n"+
			reportHead+"Status: error\tError Type: Runtime.ExitError\t\n")
	}
	onBoth(t, test)
	t.Run("gvisor", func(t *testing.T) { test(t, newGVisor(t)) })
}
