//go:build amd64 || arm64

package namespace

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

func openWith(t testing.TB, stock int) *Driver {
	t.Helper()
	d, err := New(Options{StateDir: t.TempDir(), Stock: stock, Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, sandbox.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	e := expect(t)
	sandboxtest.Run(t, e, func(t testing.TB) sandbox.Driver { return openWith(t, -1) })
}

// Sandboxes that have waited are no worse.
func TestConformanceFromStock(t *testing.T) {
	e := expect(t)
	e.Stock = true
	sandboxtest.Run(t, e, func(t testing.TB) sandbox.Driver { return openWith(t, 3) })
}

func TestConformanceWithImage(t *testing.T) {
	e := expect(t)
	e.Stock = true
	sandboxtest.RunImage(t, e, func(t testing.TB) sandbox.Driver { return openWith(t, 3) })
}

// hasChannels says whether this kernel has them.
func hasChannels() bool {
	ends, err := pid1.NewChannel()
	closeAll(ends)
	return err == nil
}

// expect is what the driver can do for this user.
func expect(t *testing.T) sandboxtest.Expect {
	d := openWith(t, -1)
	e := sandboxtest.Expect{Isolated: true, Channels: hasChannels(), Limited: d.tree != nil, OwnIDs: d.privileged}
	if !e.Limited {
		e.Why = "this user may make no control groups"
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return e
}
