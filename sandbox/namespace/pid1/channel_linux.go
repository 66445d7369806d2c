package pid1

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// NewChannel makes a connection: the driver's end, and that of the function's first process. It is made in the sandbox and not by the
// driver, as a socket belongs to the network in which it was made, and tells of it whoever has it.
//
// The driver's end takes no descriptors, which wants Linux 6.16. Those that nobody receives are closed by who reads, and to close a
// descriptor can take as long as its owner likes: a TCP socket may linger for hours.
func NewChannel() (ends []int, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetsockoptInt(pair[0], syscall.SOL_SOCKET, unix.SO_PASSRIGHTS, 0); err != nil {
		closeAll(pair[:])
		return nil, err
	}
	return pair[:], nil
}
