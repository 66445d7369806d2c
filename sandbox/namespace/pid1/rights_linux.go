package pid1

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capabilities that the first process keeps where it has another user id than the function: to kill it and to become it.
const kept = 1<<unix.CAP_KILL | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID

// dropBounding sees to it that no program gives capabilities to processes that this thread starts.
func dropBounding() error {
	for c := uintptr(0); c <= 63; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // beyond the kernel's last capability
		}
		if err != nil {
			return failed(err, "drop a capability from the bounding set")
		}
	}
	return failed(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")
}

// A syscaller makes a system call on one thread or on all.
type syscaller func(trap, a1, a2, a3 uintptr) syscall.Errno

// dropRights leaves the function no capability and the first process next to none.
func (p *process) dropRights(call syscaller) error {
	keep := uint32(0)
	if p.user {
		keep = kept
	}
	// Inheritable is empty, so the ambient set empties itself.
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	errno := call(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data)), 0)
	runtime.KeepAlive(&head)
	runtime.KeepAlive(&data)
	if errno != 0 {
		return failed(errno, "drop capabilities")
	}
	return nil
}

// onAllThreads has do make its call on every thread of the process. A program that was linked with cgo cannot; there only this
// thread, whose children the function's processes are, makes it.
func onAllThreads(do func(syscaller) error) error {
	return do(func(trap, a1, a2, a3 uintptr) syscall.Errno {
		_, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3)
		if errno == syscall.ENOTSUP {
			return thisThread(trap, a1, a2, a3)
		}
		return errno
	})
}

func thisThread(trap, a1, a2, a3 uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(trap, a1, a2, a3)
	return errno
}

// setFilter puts the system call filter on this thread, or by SECCOMP_FILTER_FLAG_TSYNC on all; children inherit it.
func setFilter(filter []byte, flags uintptr) error {
	if len(filter) == 0 || len(filter)%8 != 0 {
		return failed(syscall.EINVAL, "read the system call filter")
	}
	prog := struct {
		n     uint16
		_     [6]byte
		instr unsafe.Pointer
	}{n: uint16(len(filter) / 8), instr: unsafe.Pointer(unsafe.SliceData(filter))}
	r, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return failed(errno, "set the system call filter")
	}
	if r != 0 {
		return failed(errThread, "set the system call filter on all threads")
	}
	return nil
}

// errThread says that a thread has a system call filter of its own.
const errThread = syscall.ESRCH
