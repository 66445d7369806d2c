//go:build linux && (amd64 || arm64)

package gvisor

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.MaybeProbe()
	if len(os.Args) == 3 && os.Args[1] == serverArg {
		serve(os.Args[2])
	}
	goleak.VerifyTestMain(m)
}
