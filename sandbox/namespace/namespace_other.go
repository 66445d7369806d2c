//go:build !linux || !(amd64 || arm64)

package namespace

import (
	"fmt"
	"runtime"

	"github.com/enfold-run/enfold/sandbox"
)

// New fails with sandbox.ErrUnsupported: there are namespaces on Linux only, and system call tables for amd64 and arm64.
func New(Options) (sandbox.Driver, error) { return nil, unsupported() }

// MaybeInit does nothing here.
func MaybeInit() {}

// Report says why not.
func Report() sandbox.Report {
	return sandbox.Report{Driver: "namespace", Checks: []sandbox.Check{{
		Name: "Linux on amd64 or arm64", Detail: runtime.GOOS + "/" + runtime.GOARCH, Fix: "run Enfold in a Linux machine",
	}}}
}

func unsupported() error {
	return fmt.Errorf("%w: the namespace driver wants Linux on amd64 or arm64, this is %s/%s", sandbox.ErrUnsupported,
		runtime.GOOS, runtime.GOARCH)
}
