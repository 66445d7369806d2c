package pid1

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// leastLandlock is the first version of Landlock that can allow files to be moved between directories. Earlier ones forbid it to all.
const leastLandlock = 2

// Landlock is the kernel's version of Landlock, 0 without.
func Landlock() int {
	v, _, errno := syscall.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// restrict puts this thread, and what it starts from then on, into a Landlock domain, if the kernel has it. It wants no_new_privs, and
// the root to be the sandbox's. On top of all else that forbids it,
//
//   - nothing is mounted, unmounted or moved any more, in whatever namespace and with whatever right,
//   - nobody makes a device, nor gives one of /dev other orders than to read and write,
//   - nobody connects to an abstract unix socket from outside of the domain,
//   - nobody debugs a process outside of it.
//
// What may be read and written is left to the mounts: the root is read-only. /tmp could not be named here: a process that waits for its
// owner is confined before it is mounted.
func restrict() error {
	version := Landlock()
	if version < leastLandlock {
		return nil
	}
	attr := unix.LandlockRulesetAttr{
		Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_REFER,
	}
	if version >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	// A kernel that knows less of the structure minds only what is not zero.
	rules, _, errno := syscall.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	runtime.KeepAlive(&attr)
	if errno != 0 {
		return failed(errno, "make a Landlock ruleset")
	}
	defer syscall.Close(int(rules))
	if err := allowMoves(rules); err != nil {
		return err
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0)
	if errno != 0 {
		return failed(errno, "enter a Landlock domain")
	}
	return nil
}

// allowMoves lets files be moved between directories, which a domain that does not say so forbids.
func allowMoves(rules uintptr) error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(err, "open the root")
	}
	defer syscall.Close(root)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_REFER, Parent_fd: int32(root)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, rules, unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	runtime.KeepAlive(&rule)
	if errno != 0 {
		return failed(errno, "add a Landlock rule")
	}
	return nil
}
