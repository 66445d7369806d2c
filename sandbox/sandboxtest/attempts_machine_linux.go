package sandboxtest

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// machineAttempts are on what there is once on a machine. Their arguments are wrong, or are what is set anyway.
func machineAttempts() []attempt {
	buf := make([]byte, 256)
	keep = append(keep, &buf[0])
	p := uintptr(unsafe.Pointer(&buf[0]))
	return []attempt{
		{"module", "load a kernel module", "CAP_SYS_MODULE", "a kernel may be built without modules", func(target) outcome { return reached(unix.SYS_INIT_MODULE, p, 256, str("")) }},
		{"finit-module", "load a kernel module from a file", "CAP_SYS_MODULE", "a kernel may be built without modules", func(target) outcome { return reached(unix.SYS_FINIT_MODULE, 0, str(""), 0) }},
		{"kexec", "start another kernel", "CAP_SYS_BOOT", "a kernel may be built without it", func(target) outcome { return reached(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0xffff) }},
		{"reboot", "reboot (with a wrong magic number)", "CAP_SYS_BOOT", root, func(target) outcome { return reached(unix.SYS_REBOOT, 1, 2, 0, 0) }},
		{"swapon", "swap to a file of its own", "CAP_SYS_ADMIN", root, func(target) outcome { return reached(unix.SYS_SWAPON, str("/nowhere"), 0) }},
		{"acct", "write the accounting of all processes", "CAP_SYS_PACCT", "a kernel may be built without it", func(target) outcome { return reached(unix.SYS_ACCT, str("/nowhere")) }},
		{"syslog", "read the kernel's messages", "CAP_SYSLOG: kernel addresses", root, func(target) outcome { return call(unix.SYS_SYSLOG, 3, p, 256) }},
		{"set-time", "change the host's clock", "CAP_SYS_TIME", root, func(target) outcome {
			tx := unix.Timex{Modes: 0x4000, Tick: 10000} // ADJ_TICK to what it is
			return call(unix.SYS_ADJTIMEX, uintptr(unsafe.Pointer(&tx)))
		}},
		{"quotactl", "set disk quotas", "CAP_SYS_ADMIN: quotas of the host's disks", "a kernel may be built without it", func(target) outcome { return reached(unix.SYS_QUOTACTL, 0xffffff, 0, 0, 0) }},
		{"clock-settime", "change the host's clock by clock_settime", "CAP_SYS_TIME", anyone, func(target) outcome {
			ts := unix.Timespec{Nsec: 2e9} // no such time: the kernel says so before it asks for a capability
			return reached(unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&ts)))
		}},
		{"delete-module", "remove a kernel module", "CAP_SYS_MODULE", "a kernel may be built without modules", func(target) outcome {
			return reached(unix.SYS_DELETE_MODULE, str("enfold-no-such"), unix.O_NONBLOCK)
		}},
		{"hang-up", "hang up the server's terminal", "CAP_SYS_TTY_CONFIG", harms + "it would hang up who runs the test", func(target) outcome {
			return call(unix.SYS_VHANGUP)
		}},
	}
}
