package reap

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Await waits until a child that nobody has waited for is dead. Unlike Wait it takes no thread of ours meanwhile: there may
// be a thousand sandboxes. It returns earlier if it cannot wait; Wait does the rest then.
func Await(p *os.Process) {
	fd, err := unix.PidfdOpen(p.Pid, unix.PIDFD_NONBLOCK) // it is our child, so its id stays until it is waited for
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) (dead bool) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}
