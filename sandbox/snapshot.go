package sandbox

import (
	"context"
	"errors"
	"os"
)

// ErrSnapshotMemory says that the kernel killed a sandbox for want of memory while it was stored. What it writes then counts as its own
// until it is on the disk, and for ever in a directory that is in memory itself.
var ErrSnapshotMemory = errors.New("the sandbox ran out of memory while it was stored")

// Snapshotter is a Driver that can store a running sandbox, and make others of what it has stored.
type Snapshotter interface {
	Driver
	// Snapshot stores everything that runs in s in dir, a directory that exists and is empty, and destroys s. Nobody may be connected
	// to its listeners. Files that were open in /tmp are part of it. The error wraps ErrSnapshotMemory if that is why.
	Snapshot(ctx context.Context, s Sandbox, dir string) error
	// Restore makes the sandbox of spec from what Snapshot has stored in dir, any number of times, and its process goes on where it was.
	// Spec must be the stored one's but for its ID. Stdout and Stderr replace those of the stored process, and belong to Restore.
	Restore(ctx context.Context, spec Spec, dir string, stdout, stderr *os.File) (Sandbox, Process, error)
}
