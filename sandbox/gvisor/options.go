package gvisor

import "log/slog"

// Options of New. The zero value works.
type Options struct {
	// Program is enfold-gvisor. If empty it is looked for beside the running binary, and then in PATH.
	Program string
	Log     *slog.Logger // slog.Default if nil
	// FirstID is the first of the host user and group ids that sandboxes get, one each: 2,000,000 if zero.
	FirstID int
	// NoStock leaves out the sandboxes that wait for their owner once one was made.
	NoStock bool
}

// Defaults of a Spec's limits that are zero, AWS's.
const (
	defaultTmp    = 512 << 20
	defaultMemory = 128 << 20
	defaultCPU    = 72 // thousandths of a core: what 128 MB give
	defaultPids   = 1024
	defaultFiles  = 1024
	defaultID     = 2_000_000
)

// programName is the binary that cmd/enfold-gvisor makes.
const programName = "enfold-gvisor"
