//go:build !linux

package storetest

import "testing"

// PowerCut needs Linux: it skips.
func PowerCut(t *testing.T, _ Backend) {
	t.Skip("skipped: only Linux can cut the power of a file system")
}

// DiskFull needs Linux: it skips.
func DiskFull(t *testing.T, _ Backend) {
	t.Skip("skipped: only on Linux this test mounts a small disk")
}

// LogsLeaveRoom is skipped.
func LogsLeaveRoom(t *testing.T, _ Backend) {
	t.Skip("skipped: only on Linux this test mounts a small disk")
}
