package sandboxtest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func namespaceAttempts() []attempt {
	return []attempt{
		{"unshare-user", "make a user namespace, and be root in it", "kernel code behind a user namespace, CVE-2022-0185", "a host may forbid it", func(target) outcome {
			// Unsharing wants a process with one thread, which Go's is not: the child of clone is.
			return cloneInto(unix.CLONE_NEWUSER)
		}},
		{"unshare-mount", "make a mount namespace", "CAP_SYS_ADMIN", root, func(target) outcome { return inThread(unix.CLONE_NEWNS | unix.CLONE_FS) }},
		{"unshare-net", "make a network namespace", "CAP_SYS_ADMIN", root, func(target) outcome { return inThread(unix.CLONE_NEWNET) }},
		{"clone-pid", "start a process in a pid namespace of its own", "CAP_SYS_ADMIN", root, func(target) outcome { return cloneInto(unix.CLONE_NEWPID) }},
		{"clone3", "start a process in a user namespace by clone3, whose flags a filter cannot see", "filters of clone that forget clone3", root, func(target) outcome {
			args := struct{ flags, pidfd, childTID, parentTID, exit, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64 }{
				flags: unix.CLONE_NEWUSER, exit: uint64(syscall.SIGCHLD),
			}
			r, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
			if errno == 0 && r == 0 {
				syscall.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
			}
			if errno != 0 {
				return tried(errno)
			}
			return outcome{true, "it worked"}
		}},
		{"setns", "enter the first process's or the server's namespaces", "nsenter -t 1", root, func(tg target) outcome {
			for _, pid := range []int{1, tg.Server, os.Getppid()} {
				for _, ns := range []string{"net", "ipc", "uts", "cgroup"} {
					fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, ns), unix.O_RDONLY, 0)
					if err != nil {
						continue
					}
					runtime.LockOSThread()
					if unix.Setns(fd, 0) == nil {
						return outcome{true, fmt.Sprintf("entered the %s namespace of process %d", ns, pid)}
					}
				}
			}
			return outcome{false, "none opens, or none lets in"}
		}},
		{"setns-own", "enter its own namespace anew, for the rights that come with it", "capabilities that come with a user namespace", anyone, func(target) outcome {
			fd, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY, 0)
			if err != nil {
				return tried(err)
			}
			return reached(unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWUSER)
		}},
		{"host-name", "change the machine's name", "a shared uts namespace", root, func(tg target) outcome {
			name, err := os.Hostname()
			if err != nil {
				return tried(err)
			}
			return tried(unix.Sethostname([]byte(name)))
		}},
		{"see-host-name", "learn the host's name", "a shared uts namespace", anyone, func(tg target) outcome {
			var u unix.Utsname
			unix.Uname(&u)
			name := unix.ByteSliceToString(u.Nodename[:])
			return outcome{name == tg.HostName, "it is called " + name}
		}},
		{"userns-netns", "have a network where it is root", "CVE-2022-1015, CVE-2024-1086: nf_tables behind namespaces", "a host may forbid it", func(target) outcome {
			return cloneInto(unix.CLONE_NEWUSER | unix.CLONE_NEWNET)
		}},
	}
}

func inThread(flags int) outcome {
	c := make(chan error)
	go func() {
		runtime.LockOSThread()
		c <- unix.Unshare(flags)
	}()
	return tried(<-c)
}

func cloneInto(flags uintptr) outcome {
	c := exec.Command("/bin/true")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	return tried(c.Run())
}
