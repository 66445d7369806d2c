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

// programName is the binary that cmd/enfold-gvisor makes.
const programName = "enfold-gvisor"
