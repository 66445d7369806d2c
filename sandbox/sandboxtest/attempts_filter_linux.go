package sandboxtest

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterAttempts are on the filter of system calls itself.
func filterAttempts() []attempt {
	return []attempt{
		{"drop-seccomp", "run without a filter of system calls", "no filter of system calls", "a container around the test may have its own", func(target) outcome {
			mode := status("/proc/self/status")["Seccomp"]
			return outcome{mode != "2", "mode " + mode}
		}},
		{"lift-no-new-privs", "take no_new_privs back", "setuid programs without no_new_privs", anyone, func(target) outcome {
			if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v == 0 {
				return outcome{true, "it was never set"}
			}
			return tried(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
		}},
		{"filter-over-filter", "allow itself everything by a filter of its own", "filters that later ones loosen", root, func(target) outcome {
			if err := allowAll(0); err != nil {
				return tried(err)
			}
			return tried(unix.Unshare(unix.CLONE_NEWUTS))
		}},
		{"filter-listener", "have its calls decided by a listener of its own", "seccomp's user notification, which can say continue", root, func(target) outcome {
			if err := allowAll(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER); err != nil {
				return tried(err)
			}
			return tried(unix.Unshare(unix.CLONE_NEWUTS))
		}},
		{"filter-off", "leave seccomp by its strict mode", "modes of seccomp that replace each other", root, func(target) outcome {
			runtime.LockOSThread()
			unix.Prctl(unix.PR_SET_SECCOMP, 0, 0, 0, 0)
			return tried(unix.Unshare(unix.CLONE_NEWUTS))
		}},
	}
}

// allowAll puts a filter on this thread that allows everything.
func allowAll(flags uintptr) error {
	runtime.LockOSThread() // for good
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	prog := unix.SockFprog{Len: 1, Filter: &allow}
	_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}
