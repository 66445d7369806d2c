package sandboxtest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ipcAttempts are on what processes share by a name that is no file's.
func ipcAttempts() []attempt {
	return []attempt{
		{"sysv-shm", "read the host's System V shared memory", "a shared ipc namespace", anyone, func(tg target) outcome {
			id, err := unix.SysvShmGet(tg.Shm, 0, 0)
			if err != nil {
				return tried(err)
			}
			mem, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
			if err != nil {
				return tried(err)
			}
			return found("the segment", string(mem), tg.Secret, nil)
		}},
		{"posix-shm", "read the host's POSIX shared memory", "a shared /dev/shm", anyone, func(tg target) outcome { return reads(tg.ShmFile, tg.Secret) }},
		{"posix-queue", "read the host's POSIX message queue", "a shared ipc namespace", anyone, func(tg target) outcome {
			fd, _, errno := syscall.Syscall(unix.SYS_MQ_OPEN, str(tg.Queue), unix.O_RDONLY|unix.O_NONBLOCK, 0)
			if errno != 0 {
				return tried(errno)
			}
			buf := make([]byte, 8192)
			n, _, errno := syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
			if errno != 0 {
				return tried(errno)
			}
			return found("the queue", string(buf[:n]), tg.Secret, nil)
		}},
		{"sysv-queue", "find the host's System V message queue", "a shared ipc namespace", anyone, func(tg target) outcome {
			return call(unix.SYS_MSGGET, uintptr(tg.Shm), 0)
		}},
		{"host-key", "read the server's keys", "keyrings, which have no namespace", "a host may have no keys", func(tg target) outcome {
			id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", tg.Word, 0)
			if err != nil {
				return tried(err)
			}
			buf := make([]byte, 256)
			n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0)
			if err != nil {
				return tried(err)
			}
			return found("the key", string(buf[:min(n, len(buf))]), tg.Secret, nil)
		}},
		{"request-key", "have the host's helper look for a key", "CVE-2017-17807: request_key", "a host may have no keys", func(target) outcome {
			return reached(unix.SYS_REQUEST_KEY, str("user"), str("enfold-escape"), 0, 0)
		}},
		{"forged-credentials", "say by a unix socket that it is root", "services that trust SCM_CREDENTIALS", root, func(target) outcome {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return tried(err)
			}
			return tried(unix.Sendmsg(fds[0], []byte("x"), unix.UnixCredentials(&unix.Ucred{Pid: 1}), nil, 0))
		}},
	}
}
