package sandboxtest

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func kernelAttempts() []attempt {
	buf := make([]byte, 256)
	keep = append(keep, &buf[0])
	p := uintptr(unsafe.Pointer(&buf[0]))
	return []attempt{
		{"bpf", "load a program into the kernel", "CVE-2021-3490, CVE-2023-2163: the verifier's holes", root, func(target) outcome {
			*(*[4]uint32)(unsafe.Pointer(&buf[0])) = [4]uint32{2, 4, 4, 1} // BPF_MAP_TYPE_ARRAY of one
			return call(unix.SYS_BPF, 0, p, 48)
		}},
		{"perf", "watch the kernel by perf_event_open", "CVE-2013-2094, CVE-2023-5717: perf_event_open", "a host may forbid it", func(target) outcome {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
			return call(unix.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&attr)), 0, ^uintptr(0), ^uintptr(0), 0)
		}},
		{"userfaultfd", "stop the kernel in the middle of a copy", "CVE-2016-6187 and many since: races won by userfaultfd", root, func(target) outcome { return call(unix.SYS_USERFAULTFD, 0) }},
		{"io-uring", "make calls by a ring, past the filter", "CVE-2022-29582, CVE-2023-2598: io_uring", root, func(target) outcome {
			var params [120]byte
			return call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))
		}},
		{"keyctl", "read the session's keys", "CVE-2016-0728: keyrings, which have no namespace", root, func(target) outcome {
			id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return outcome{err == nil, fmt.Sprint(id, " ", err)}
		}},
		{"add-key", "leave a key for others", "CVE-2016-0728: keyrings, which have no namespace", root, func(target) outcome {
			_, err := unix.AddKey("user", "enfold-escape", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return tried(err)
		}},
		{"fanotify", "watch all files of the host", "CAP_SYS_ADMIN: fanotify", root, func(target) outcome { return call(unix.SYS_FANOTIFY_INIT, 0, 0) }},
		{"personality", "make all its memory executable", "READ_IMPLIES_EXEC before an exploit", root, func(target) outcome { return call(unix.SYS_PERSONALITY, 0x0400000) }},
		{"kcmp", "compare kernel addresses", "kernel addresses by kcmp", "a kernel may be built without it", func(target) outcome {
			return call(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(os.Getpid()), 0, 1, 2)
		}},
		{"memfd-secret", "keep memory from the kernel", "memory that nobody can look into", "a kernel may be built without it", func(target) outcome { return reached(unix.SYS_MEMFD_SECRET, 0xffff) }},
		{"vmsplice", "put its pages into a pipe", "CVE-2008-0600, CVE-2020-29374: vmsplice", anyone, func(target) outcome { return reached(unix.SYS_VMSPLICE, 0, p, 1, 0) }},
		{"dev-userfaultfd", "stop the kernel in the middle of a copy, by the device", "/dev/userfaultfd, for those who may not call", "a host may have no such device", func(target) outcome {
			f, err := os.OpenFile("/dev/userfaultfd", os.O_RDWR, 0)
			if err == nil {
				f.Close()
			}
			return tried(err)
		}},
		{"device-orders", "give a device orders by ioctl", "drivers' ioctls, which nobody counts", "nothing but Landlock can forbid it", func(target) outcome {
			const forbids = 5 // the version of Landlock that can
			version, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
			if errno != 0 || version < forbids {
				return outcome{false, "this kernel has nothing to forbid it"}
			}
			fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return tried(err)
			}
			return reached(unix.SYS_IOCTL, uintptr(fd), unix.TCGETS, p)
		}},
		{"lookup-dcookie", "have the kernel tell paths by their cookie", "calls made for profilers alone", "kernels since 6.7 have it no more", func(target) outcome {
			return reached(unix.SYS_LOOKUP_DCOOKIE, 0, p, 256)
		}},
	}
}
