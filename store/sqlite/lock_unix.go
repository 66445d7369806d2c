//go:build unix

package sqlite

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// diskFull says whether an error of the file system means that there is no space.
func diskFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// spaceAt says how many bytes the file system of a path has left, and how many of those are kept for everything but logs: a
// sixteenth of it, 64 MiB at most. Without that a function that floods its log could fill the disk, and then not even the
// deletion of the log would find the space that it needs. A file system that does not tell has all the space there is.
func spaceAt(path string) (left, kept int64) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return math.MaxInt64, 0
	}
	return int64(s.Bavail) * int64(s.Bsize), min(int64(s.Blocks)*int64(s.Bsize)/16, 64<<20)
}

// noSpaceAt says whether the file system of a path has less than a mebibyte left: SQLite reports some full disks, such as a
// shared-memory file that cannot grow, as plain I/O errors.
func noSpaceAt(path string) bool {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return false
	}
	return uint64(s.Bavail)*uint64(s.Bsize) < 1<<20
}
