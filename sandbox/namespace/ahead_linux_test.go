//go:build amd64 || arm64

package namespace

import (
	"testing"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

// Sandboxes that have waited with a process in them, and were then claimed, are no worse.
func TestConformanceAhead(t *testing.T) {
	sandboxtest.RunAhead(t, expect(t), func(t testing.TB) sandbox.Warmer { return openWith(t, -1) })
}

// Nor are those of an ordinary user, as far as the host lets one.
func TestConformanceAsUser(t *testing.T) {
	sandboxtest.AsUser(t, "^TestConformance(Ahead|WithImage)?$")
}
