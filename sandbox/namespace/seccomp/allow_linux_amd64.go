package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// foreignBit marks x32 calls, which come under the same architecture.
const foreignBit = 0x40000000

// groupsHere are the older forms of allowed calls that amd64 still has.
func groupsHere() []group {
	return []group{{"older forms", "of the calls above, which programs and libraries still make", []uint32{
		unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_NEWFSTATAT, unix.SYS_ACCESS, unix.SYS_GETDENTS,
		unix.SYS_READLINK, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_LINK,
		unix.SYS_SYMLINK, unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
		unix.SYS_DUP2, unix.SYS_PIPE, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_WAIT, unix.SYS_EVENTFD,
		unix.SYS_SIGNALFD, unix.SYS_INOTIFY_INIT, unix.SYS_ALARM, unix.SYS_PAUSE, unix.SYS_TIME, unix.SYS_FORK, unix.SYS_VFORK,
		unix.SYS_GETPGRP, unix.SYS_ARCH_PRCTL,
	}}}
}

func judgedHere() []rule {
	return []rule{{call: unix.SYS_MKNOD, not: true, ok: deviceModes(1)}}
}
