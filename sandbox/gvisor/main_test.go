//go:build linux && (amd64 || arm64)

package gvisor

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.MaybeProbe()
	goleak.VerifyTestMain(m)
}
