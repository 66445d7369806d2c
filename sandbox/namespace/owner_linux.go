//go:build amd64 || arm64

package namespace

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// asOwner runs fn, on this thread, with the effective user id of a sandbox and all rights of the server. A user namespace that is made so
// is that user's: what the kernel counts by user, inotify instances and message queues among it, it counts for the namespace's owner
// too. If that were the server's own user, one function could use up what all others and the host have together.
//
// The caller holds the thread locked. One that cannot become itself again is of no more use, and ends the server.
func asOwner(id int, fn func() error) error {
	bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("read the thread's secure bits: %w", err)
	}
	// Else capabilities would go with the user id.
	const noFixup = 1 << 2
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, uintptr(bits|noFixup), 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities over a change of user: %w", err)
	}
	me := syscall.Geteuid()
	if err := setEUID(id); err != nil {
		return fmt.Errorf("become user %d: %w", id, err)
	}
	err = fn()
	if back := setEUID(me); back != nil {
		panic(fmt.Sprintf("namespace: a thread is lost as user %d: %v", id, back))
	}
	return err
}

// setEUID is for this thread alone: package syscall's changes all of them.
func setEUID(id int) error {
	const same = ^uintptr(0)
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, same, uintptr(id), same); errno != 0 {
		return errno
	}
	return nil
}
