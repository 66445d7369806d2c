package sandboxtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mountAttempts are on the file system's shape.
func mountAttempts() []attempt {
	return []attempt{
		{"mount", "mount a file system", true, func(tg target) outcome {
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			return tried(unix.Mount("none", tg.Tmp, "tmpfs", 0, ""))
		}},
		{"bind-mount", "bind the root somewhere else", true, func(tg target) outcome {
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			return tried(unix.Mount("/", tg.Tmp, "", unix.MS_BIND, ""))
		}},
		{"new-mount-api", "make a file system by fsopen or open_tree", true, func(target) outcome {
			if _, err := unix.Fsopen("tmpfs", 0); err == nil {
				return outcome{true, "fsopen worked"}
			}
			_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
			return tried(err)
		}},
		{"remount", "make the root and its code writable", false, func(tg target) outcome {
			for _, path := range []string{"/", tg.Task, "/proc/sys", "/usr"} {
				if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err == nil {
					return outcome{true, path + " was remounted"}
				}
				attr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
				if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &attr); err == nil {
					return outcome{true, path + " was changed"}
				}
			}
			return outcome{false, "refused"}
		}},
		{"unmount", "take a mount away to see what is below", false, func(target) outcome {
			for _, path := range []string{"/proc/kcore", "/proc/sys", "/var/task", "/tmp"} {
				if err := unix.Unmount(path, unix.MNT_DETACH); err == nil {
					return outcome{true, path + " is gone"}
				}
			}
			return outcome{false, "refused"}
		}},
		{"pivot-root", "change the root", false, func(tg target) outcome { return tried(unix.PivotRoot(tg.Tmp, tg.Tmp)) }},
		{"chroot", "enter a root of its own, the first step out of many", true, func(tg target) outcome { return tried(unix.Chroot(tg.Tmp)) }},
		{"setuid-program", "become root by a setuid program in its code", true, func(tg target) outcome {
			c := exec.Command(tg.Setuid, probeArg, "euid")
			c.SysProcAttr = &syscall.SysProcAttr{}
			if os.Geteuid() == 0 { // without isolation root must become somebody else first, or there is nothing to gain
				c.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
			}
			out, err := c.Output()
			if err != nil {
				return outcome{false, "it cannot be run: " + err.Error()}
			}
			return outcome{strings.HasPrefix(string(out), "0 "), "it says: " + strings.TrimSpace(string(out))}
		}},
		{"own-setuid-program", "make a setuid program in /tmp and gain from it", false, func(tg target) outcome {
			path := filepath.Join(tg.Tmp, "suid")
			code, err := os.ReadFile("/proc/self/exe")
			if err != nil {
				return tried(err)
			}
			defer os.Remove(path)
			if err := os.WriteFile(path, code, 0o755); err != nil {
				return tried(err)
			}
			os.Chown(path, 0, 0)
			os.Chmod(path, 0o755|os.ModeSetuid)
			out, err := exec.Command(path, probeArg, "euid").Output()
			if err != nil {
				return tried(err)
			}
			return outcome{os.Geteuid() != 0 && strings.HasPrefix(string(out), "0 "), "it says: " + strings.TrimSpace(string(out))}
		}},
	}
}

// namespaceAttempts are on namespaces.
func namespaceAttempts() []attempt {
	return []attempt{
		{"unshare-user", "make a user namespace, and be root in it", false, func(target) outcome {
			// Unsharing wants a process with one thread, which Go's is not: the child of clone is.
			return cloneInto(unix.CLONE_NEWUSER)
		}},
		{"unshare-mount", "make a mount namespace", true, func(target) outcome { return inThread(unix.CLONE_NEWNS | unix.CLONE_FS) }},
		{"unshare-net", "make a network namespace", true, func(target) outcome { return inThread(unix.CLONE_NEWNET) }},
		{"clone-pid", "start a process in a pid namespace of its own", true, func(target) outcome { return cloneInto(unix.CLONE_NEWPID) }},
		{"clone3", "start a process in a user namespace by clone3, whose flags a filter cannot see", true, func(target) outcome {
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
		{"setns", "enter the first process's or the server's namespaces", true, func(tg target) outcome {
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
		{"setns-own", "enter its own namespace anew, for the rights that come with it", false, func(target) outcome {
			fd, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY, 0)
			if err != nil {
				return tried(err)
			}
			return reached(unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWUSER)
		}},
		{"host-name", "change the machine's name", true, func(tg target) outcome {
			name, err := os.Hostname()
			if err != nil {
				return tried(err)
			}
			return tried(unix.Sethostname([]byte(name)))
		}},
		{"see-host-name", "learn the host's name", true, func(tg target) outcome {
			var u unix.Utsname
			unix.Uname(&u)
			name := unix.ByteSliceToString(u.Nodename[:])
			return outcome{name == tg.HostName, "it is called " + name}
		}},
		{"sysv-shm", "read the host's System V shared memory", true, func(tg target) outcome {
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
		{"posix-shm", "read the host's POSIX shared memory", true, func(tg target) outcome { return reads(tg.ShmFile, tg.Secret) }},
	}
}

// inThread unshares on a thread that is not used again.
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

// kernelAttempts are on system calls with a history.
func kernelAttempts() []attempt {
	buf := make([]byte, 256)
	keep = append(keep, &buf[0])
	p := uintptr(unsafe.Pointer(&buf[0]))
	return []attempt{
		{"bpf", "load a program into the kernel", true, func(target) outcome {
			*(*[4]uint32)(unsafe.Pointer(&buf[0])) = [4]uint32{2, 4, 4, 1} // BPF_MAP_TYPE_ARRAY of one
			return call(unix.SYS_BPF, 0, p, 48)
		}},
		{"perf", "watch the kernel by perf_event_open", false, func(target) outcome {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
			return call(unix.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&attr)), 0, ^uintptr(0), ^uintptr(0), 0)
		}},
		{"userfaultfd", "stop the kernel in the middle of a copy", true, func(target) outcome { return call(unix.SYS_USERFAULTFD, 0) }},
		{"io-uring", "make calls by a ring, past the filter", true, func(target) outcome {
			var params [120]byte
			return call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))
		}},
		{"keyctl", "read the session's keys", true, func(target) outcome {
			id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return outcome{err == nil, fmt.Sprint(id, " ", err)}
		}},
		{"add-key", "leave a key for others", true, func(target) outcome {
			_, err := unix.AddKey("user", "enfold-escape", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return tried(err)
		}},
		{"module", "load a kernel module", false, func(target) outcome { return reached(unix.SYS_INIT_MODULE, p, 256, str("")) }},
		{"finit-module", "load a kernel module from a file", false, func(target) outcome { return reached(unix.SYS_FINIT_MODULE, 0, str(""), 0) }},
		{"kexec", "start another kernel", false, func(target) outcome { return reached(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0xffff) }},
		{"reboot", "reboot (with a wrong magic number)", true, func(target) outcome { return reached(unix.SYS_REBOOT, 1, 2, 0, 0) }},
		{"swapon", "swap to a file of its own", true, func(target) outcome { return reached(unix.SYS_SWAPON, str("/nowhere"), 0) }},
		{"acct", "write the accounting of all processes", false, func(target) outcome { return reached(unix.SYS_ACCT, str("/nowhere")) }},
		{"syslog", "read the kernel's messages", true, func(target) outcome { return call(unix.SYS_SYSLOG, 3, p, 256) }},
		{"set-time", "change the host's clock", true, func(target) outcome {
			tx := unix.Timex{Modes: 0x4000, Tick: 10000} // ADJ_TICK to what it is
			return call(unix.SYS_ADJTIMEX, uintptr(unsafe.Pointer(&tx)))
		}},
		{"fanotify", "watch all files of the host", true, func(target) outcome { return call(unix.SYS_FANOTIFY_INIT, 0, 0) }},
		{"personality", "make all its memory executable", true, func(target) outcome { return call(unix.SYS_PERSONALITY, 0x0400000) }},
		{"kcmp", "compare kernel addresses", false, func(target) outcome {
			return call(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(os.Getpid()), 0, 1, 2)
		}},
		{"memfd-secret", "keep memory from the kernel", false, func(target) outcome { return reached(unix.SYS_MEMFD_SECRET, 0xffff) }},
		{"vmsplice", "put its pages into a pipe", false, func(target) outcome { return reached(unix.SYS_VMSPLICE, 0, p, 1, 0) }},
		{"quotactl", "set disk quotas", false, func(target) outcome { return reached(unix.SYS_QUOTACTL, 0xffffff, 0, 0, 0) }},
		{"foreign-calls", "make a call by another architecture's table, past the filter", false, foreignCall},
	}
}

// networkAttempts are on what can be reached.
func networkAttempts() []attempt {
	dial := func(network, addr, secret string) outcome {
		c, err := net.DialTimeout(network, addr, time.Second)
		if err != nil {
			return tried(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		text, err := io.ReadAll(c)
		return found(addr, string(text), secret, err)
	}
	socket := func(family, kind, proto int) outcome {
		_, err := unix.Socket(family, kind, proto)
		return tried(err)
	}
	return []attempt{
		{"host-loopback", "reach a service on the host's loopback", true, func(tg target) outcome { return dial("tcp", tg.Service, tg.Secret) }},
		{"abstract-socket", "reach an abstract unix socket of the host", true, func(tg target) outcome { return dial("unix", tg.Abstract, tg.Secret) }},
		{"unix-socket", "reach a unix socket of the host by its path", true, func(tg target) outcome { return dial("unix", tg.Unix, tg.Secret) }},
		{"outside", "send a packet beyond its own machine", false, func(target) outcome {
			c, err := net.Dial("udp", "192.0.2.1:53")
			if err != nil {
				return tried(err)
			}
			_, err = c.Write([]byte("x"))
			return tried(err)
		}},
		{"metadata-service", "reach a cloud's metadata service", false, func(target) outcome {
			_, err := net.DialTimeout("tcp", "169.254.169.254:80", time.Second)
			return tried(err)
		}},
		{"raw-socket", "open a raw socket", true, func(target) outcome { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"packet-socket", "listen to all packets", false, func(target) outcome { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
		{"vsock", "reach the hypervisor", true, func(target) outcome { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},
		{"netlink-netfilter", "speak to the kernel's packet filter", false, func(target) outcome {
			return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
		}},
		{"netlink-audit", "speak to the kernel's audit system or listen to its events", true, func(target) outcome {
			return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)
		}},
		{"alg-socket", "use the kernel's ciphers", false, func(target) outcome { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
		{"configure-network", "take its loopback device down", false, func(target) outcome {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return tried(err)
			}
			req, err := unix.NewIfreq("lo")
			if err != nil {
				return tried(err)
			}
			if os.Getppid() != 1 {
				return outcome{false, "the device is the host's: left alone"}
			}
			return tried(unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req))
		}},
	}
}

// rightsAttempts are on who it is.
func rightsAttempts() []attempt {
	return []attempt{
		{"become-root", "become user 0", true, func(target) outcome { return tried(syscall.Setuid(0)) }},
		{"groups", "join group 0", true, func(target) outcome { return tried(syscall.Setgroups([]int{0})) }},
		{"capset", "take a capability", true, func(target) outcome {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&head, &data[0]); err != nil {
				return tried(err)
			}
			data[0].Effective |= 1 << unix.CAP_SYS_ADMIN
			data[0].Permitted |= 1 << unix.CAP_SYS_ADMIN
			return tried(unix.Capset(&head, &data[0]))
		}},
		{"uid-map", "map its user to another one", false, func(target) outcome {
			return tried(os.WriteFile("/proc/self/uid_map", []byte("0 0 1"), 0))
		}},
		{"raise-files", "raise its limit of open files", false, func(target) outcome {
			var l syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
				return tried(err)
			}
			l.Max++
			return tried(unix.Setrlimit(unix.RLIMIT_NOFILE, (*unix.Rlimit)(&l)))
		}},
		{"priority", "run before all others", true, func(target) outcome { return tried(syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)) }},
		{"lift-no-new-privs", "take no_new_privs back", false, func(target) outcome {
			if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v == 0 {
				return outcome{true, "it was never set"}
			}
			return tried(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
		}},
		{"drop-seccomp", "run without a filter of system calls", true, func(target) outcome {
			mode := status("/proc/self/status")["Seccomp"]
			return outcome{mode != "2", "mode " + mode}
		}},
		{"push-back-input", "type into somebody's terminal", false, func(target) outcome {
			b := byte('x')
			return reached(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&b)))
		}},
	}
}
