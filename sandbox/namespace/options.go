package namespace

import "log/slog"

// Options of New. The zero value works.
type Options struct {
	// StateDir is a directory of the driver's own, made if need be. It is used only where the kernel forbids to run programs from
	// memory (vm.memfd_noexec).
	StateDir string
	Log      *slog.Logger // slog.Default if nil
	// Stock is how many sandboxes wait ready: 3 if zero, none if negative.
	Stock int
	// FirstID is the first of the host user and group ids that sandboxes get, two each: 2,000,000 if zero.
	FirstID int
}

// defaultStock is Options.Stock if that is zero.
const defaultStock = 3
