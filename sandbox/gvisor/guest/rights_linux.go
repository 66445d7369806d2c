package guest

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropRights sees to it that what this thread starts gets no capability back once it is the function's user. The thread itself stays
// root's: a thread of the function's user in this process is one that the function could kill.
func dropRights() error {
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			break // beyond the kernel's last capability
		} else if err != nil {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// ignoreDefault gives a signal its default action, which for a first process is none.
func ignoreDefault(sig syscall.Signal) {
	var dfl [4]uint64 // struct sigaction of amd64 and arm64: SIG_DFL, no flags, no mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
}

// processLimit is where gVisor's kernel takes the highest number of processes and threads, ours included. Functions cannot write it.
const processLimit = "/sys/fs/cgroup/pids/pids.max"

func limitProcesses(n int) error {
	return os.WriteFile(processLimit, []byte(strconv.Itoa(n)), 0)
}

// FilterFile has the system call filter of everything that is started, as the kernel takes it. Without it there is none.
const FilterFile = "/.enfold/filter"

// setFilter puts the filter on this thread; what it starts inherits it.
func setFilter() error {
	filter, err := os.ReadFile(FilterFile)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil || len(filter) == 0 || len(filter)%8 != 0 {
		return fmt.Errorf("read the system call filter of %d bytes: %w", len(filter), err)
	}
	prog := struct {
		n     uint16
		_     [6]byte
		instr unsafe.Pointer
	}{n: uint16(len(filter) / 8), instr: unsafe.Pointer(unsafe.SliceData(filter))}
	_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("set the system call filter: %w", errno)
	}
	return nil
}
