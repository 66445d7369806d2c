package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes what was written to a file durable, and as much about the file as is needed to read it.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
