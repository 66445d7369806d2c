package sandboxtest

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func rightsAttempts() []attempt {
	return []attempt{
		{"become-root", "become user 0", "CAP_SETUID", root, func(target) outcome { return tried(syscall.Setuid(0)) }},
		{"groups", "join group 0", "CAP_SETGID", root, func(target) outcome { return tried(syscall.Setgroups([]int{0})) }},
		{"capset", "take a capability", "capabilities that were not dropped", root, func(target) outcome {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&head, &data[0]); err != nil {
				return tried(err)
			}
			data[0].Effective |= 1 << unix.CAP_SYS_ADMIN
			data[0].Permitted |= 1 << unix.CAP_SYS_ADMIN
			return tried(unix.Capset(&head, &data[0]))
		}},
		{"uid-map", "map its user to another one", "user namespaces mapped to host ids, CVE-2018-18955", "a process may map itself only in a user namespace of its own", func(target) outcome {
			return tried(os.WriteFile("/proc/self/uid_map", []byte("0 0 1"), 0))
		}},
		{"raise-files", "raise its limit of open files", "CAP_SYS_RESOURCE", "wants CAP_SYS_RESOURCE, which root of a container lacks", func(target) outcome {
			var l syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
				return tried(err)
			}
			l.Max++
			return tried(unix.Setrlimit(unix.RLIMIT_NOFILE, (*unix.Rlimit)(&l)))
		}},
		{"priority", "run before all others", "CAP_SYS_NICE", root, func(target) outcome { return tried(syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)) }},
		{"push-back-input", "type into a terminal", "CVE-2016-2779, CVE-2017-5226: TIOCSTI", anyone, func(target) outcome {
			b := byte('x')
			return reached(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&b)))
		}},
		{"console-selection", "paste into the console", "flatpak CVE-2023-28100: TIOCLINUX", anyone, func(target) outcome {
			b := byte(2)
			return reached(unix.SYS_IOCTL, 0, unix.TIOCLINUX, uintptr(unsafe.Pointer(&b)))
		}},
		{"own-terminal", "open a terminal among the host's", "a /dev/pts that is the host's", "a host may have no terminals", func(target) outcome {
			fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err != nil {
				return tried(err)
			}
			n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
			return outcome{err == nil, fmt.Sprintf("it is terminal %d: %v", n, err)}
		}},
	}
}
