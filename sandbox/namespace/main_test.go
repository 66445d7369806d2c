//go:build linux && (amd64 || arm64)

package namespace

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	MaybeInit()
	sandboxtest.MaybeProbe()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
