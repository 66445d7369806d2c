package sqlite

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

func lockFile(f *os.File) error {
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY)
	// Far beyond the process number that the file holds, so that another server can read whom to name.
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{Offset: 1 << 30})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// syncDir does nothing: Windows makes names durable by itself and cannot fsync a directory.
func syncDir(string) error { return nil }

func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func noSpaceAt(string) bool { return false }

func spaceAt(string) (left, kept int64) { return math.MaxInt64, 0 }
