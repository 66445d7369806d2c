//go:build !linux || !(amd64 || arm64)

package gvisor

import (
	"fmt"
	"runtime"

	"github.com/enfold-run/enfold/sandbox"
)

// New fails with sandbox.ErrUnsupported: gVisor is for Linux, on amd64 and arm64.
func New(Options) (sandbox.Driver, error) {
	return nil, fmt.Errorf("%w: the gvisor driver wants Linux on amd64 or arm64, this is %s/%s", sandbox.ErrUnsupported, runtime.GOOS, runtime.GOARCH)
}

// Report says why not.
func Report(Options) sandbox.Report {
	return sandbox.Report{Driver: "gvisor", Checks: []sandbox.Check{{
		Name: "Linux on amd64 or arm64", Detail: runtime.GOOS + "/" + runtime.GOARCH, Fix: "run Enfold in a Linux machine",
	}}}
}
