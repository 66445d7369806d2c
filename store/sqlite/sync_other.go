//go:build !linux

package sqlite

import "os"

// newSync is a function that makes what was written to a file durable.
func newSync() func(*os.File) error { return (*os.File).Sync }
