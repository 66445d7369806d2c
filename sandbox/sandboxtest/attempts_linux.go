package sandboxtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempts are the ways out that are tried.
func attempts() []attempt {
	var all []attempt
	for _, group := range [][]attempt{
		neighbourAttempts(), fileAttempts(), mountAttempts(), namespaceAttempts(), kernelAttempts(), networkAttempts(), rightsAttempts(),
	} {
		all = append(all, group...)
	}
	return all
}

// neighbourAttempts are on other processes.
func neighbourAttempts() []attempt {
	return []attempt{
		{"see-neighbour", "find another sandbox's process in /proc", true, func(tg target) outcome {
			if pids := hostPids(tg.Word); others(pids) != nil {
				return outcome{true, fmt.Sprint("found ", pids)}
			}
			return outcome{false, "it is not there"}
		}},
		{"neighbour-environ", "read another process's environment with its password", true, func(tg target) outcome {
			return searchProc("environ", tg.Secret)
		}},
		{"neighbour-tmp", "read another sandbox's /tmp by its path or /proc/*/root", true, func(tg target) outcome {
			for _, path := range append(globProc("root/tmp/secret"), tg.NearFile, "/tmp/secret") {
				if o := reads(path, tg.Secret); o.Escaped {
					return o
				}
			}
			return outcome{false, "no path leads there"}
		}},
		{"ptrace-neighbour", "attach to another process, or to the first one, as a debugger", true, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				if pid == 1 && syscall.Getppid() != 1 {
					return fmt.Errorf("process 1 is the host's: left alone")
				}
				runtime.LockOSThread()
				if err := syscall.PtraceAttach(pid); err != nil {
					return err
				}
				var ws syscall.WaitStatus
				syscall.Wait4(pid, &ws, syscall.WALL, nil)
				return syscall.PtraceDetach(pid)
			})
		}},
		{"neighbour-memory", "read another process's memory, or the first one's, by /proc/*/mem", true, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
				if err == nil {
					f.Close()
				}
				return err
			})
		}},
		{"process-vm-readv", "read another process's memory by process_vm_readv", true, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				auxv := make([]byte, 8)
				local := []unix.Iovec{{Base: &auxv[0], Len: 8}}
				_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: firstMapping(pid), Len: 8}}, 0)
				return err
			})
		}},
		{"pidfd-getfd", "take another process's open file by pidfd_getfd", true, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				fd, err := unix.PidfdOpen(pid, 0)
				if err != nil {
					return err
				}
				_, err = unix.PidfdGetfd(fd, 1, 0)
				return err
			})
		}},
		{"signal-server", "send a signal to the server and to the neighbour", true, func(tg target) outcome {
			return each(append(hostPids(tg.Word), tg.Server), func(pid int) error {
				if pid == os.Getpid() || pid == os.Getppid() && pid == 1 {
					return fmt.Errorf("that is me")
				}
				return syscall.Kill(pid, 0)
			})
		}},
		{"kill-first-process", "kill the sandbox's first process, so that what it holds lives on", false, func(target) outcome {
			if os.Getppid() != 1 {
				return outcome{false, "process 1 is the host's: left alone"}
			}
			for sig := syscall.Signal(1); sig < 32; sig++ {
				syscall.Kill(1, sig)
			}
			time.Sleep(20 * time.Millisecond)
			return tried(func() error { // if it had died, so would we
				if os.Getppid() == 1 {
					return fmt.Errorf("it lives after 31 signals")
				}
				return nil
			}())
		}},
		{"first-process-files", "open the first process's files, where the way to the server is", false, func(target) outcome {
			if os.Getppid() != 1 {
				return outcome{false, "process 1 is the host's: left alone"}
			}
			for _, name := range []string{"fd", "root", "cwd", "exe", "environ", "maps", "mem", "map_files", "ns/net", "auxv"} {
				path := "/proc/1/" + name
				if _, err := os.ReadDir(path); err == nil {
					return outcome{true, path + " can be listed"}
				}
				if f, err := os.Open(path); err == nil {
					defer f.Close()
					if n, err := io.ReadFull(f, make([]byte, 1)); n > 0 && err == nil {
						return outcome{true, path + " can be read"}
					}
				}
			}
			return outcome{false, "none opens"}
		}},
		{"fd-leak", "find a descriptor that the server has left open", true, func(tg target) outcome {
			for _, fd := range names("/proc/self/fd") {
				if to, _ := os.Readlink("/proc/self/fd/" + fd); to == tg.Leak {
					n, _ := strconv.Atoi(fd)
					buf := make([]byte, 100)
					m, _ := syscall.Pread(n, buf, 0)
					return outcome{string(buf[:m]) == tg.Secret, "descriptor " + fd + " is " + to}
				}
			}
			return outcome{false, "there is none"}
		}},
	}
}

// others are the pids that are not the caller, whose arguments have the word too: it is in the target.
func others(pids []int) []int {
	var out []int
	for _, p := range pids {
		if p != os.Getpid() {
			out = append(out, p)
		}
	}
	return out
}

// each tries something on processes, and is an escape if it works on one.
func each(pids []int, fn func(pid int) error) outcome {
	detail := "there is no process to try it on"
	for _, pid := range others(pids) {
		err := fn(pid)
		if err == nil {
			return outcome{true, fmt.Sprintf("it worked on process %d", pid)}
		}
		detail = fmt.Sprintf("process %d: %v", pid, err)
	}
	return outcome{false, detail}
}

func globProc(name string) []string {
	var out []string
	for _, p := range names("/proc") {
		if pid, err := strconv.Atoi(p); err == nil && pid != os.Getpid() {
			out = append(out, filepath.Join("/proc", p, name))
		}
	}
	return out
}

func searchProc(name, secret string) outcome {
	paths := globProc(name)
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(secret)) {
			return outcome{true, path + " has it"}
		}
	}
	return outcome{false, fmt.Sprintf("not in any of %d processes", len(paths))}
}

// firstMapping is an address that a process has mapped.
func firstMapping(pid int) uintptr {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	addr, _, _ := strings.Cut(string(text), "-")
	n, err := strconv.ParseUint(addr, 16, 64)
	if err != nil {
		return 0x400000
	}
	return uintptr(n)
}

func found(file, text, secret string, err error) outcome {
	switch {
	case err != nil:
		return outcome{false, err.Error()}
	case secret == "" && text == "":
		return outcome{false, file + " is empty"}
	case strings.Contains(text, secret):
		return outcome{true, file + " could be read"}
	}
	return outcome{false, file + " has something else"}
}

// fileAttempts are on the host's files, by any path.
func fileAttempts() []attempt {
	writable := func(paths ...string) outcome {
		for _, path := range paths {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				f.Close()
				return outcome{true, path + " can be opened for writing"}
			}
		}
		return outcome{false, "none of " + strings.Join(paths, " ") + " opens for writing"}
	}
	return []attempt{
		{"host-file", "read a file of the host by its path", true, func(tg target) outcome { return reads(tg.SecretFile, tg.Secret) }},
		{"shadow", "read the host's password hashes", true, func(target) outcome { return reads("/etc/shadow", "root:") }},
		{"proc-root", "leave by /proc/1/root and /proc/self/root", true, func(tg target) outcome {
			for _, root := range []string{"/proc/1/root", "/proc/self/root", "/proc/self/root/../..", "/proc/1/cwd", "/proc/thread-self/root"} {
				if o := reads(root+tg.SecretFile, tg.Secret); o.Escaped {
					return o
				}
			}
			return outcome{false, "they lead nowhere else"}
		}},
		{"symlink", "read a file of the host by a link in /tmp", true, func(tg target) outcome {
			link := filepath.Join(tg.Tmp, "link")
			os.Symlink(strings.Repeat("../", 40)+tg.SecretFile[1:], link)
			defer os.Remove(link)
			return reads(link, tg.Secret)
		}},
		{"file-handle", "open a file by its handle, which needs no path", true, func(tg target) outcome {
			h, mount, err := unix.NameToHandleAt(unix.AT_FDCWD, tg.Task, 0)
			_ = mount
			if err != nil {
				return tried(err)
			}
			dir, err := unix.Open("/", unix.O_RDONLY, 0)
			if err != nil {
				return tried(err)
			}
			if task, err := unix.Open(tg.Task, unix.O_RDONLY, 0); err == nil {
				dir = task
			}
			_, err = unix.OpenByHandleAt(dir, h, unix.O_RDONLY)
			return tried(err)
		}},
		{"write-root", "write into the root, /etc, /usr and /opt", true, func(tg target) outcome {
			for _, dir := range []string{"/", "/etc", "/usr", "/usr/bin", "/var", "/opt", "/dev", "/mnt"} {
				path := filepath.Join(dir, "enfold-escape-"+tg.Word)
				if os.WriteFile(path, nil, 0o600) == nil {
					os.Remove(path)
					return outcome{true, "made " + path}
				}
			}
			return outcome{false, "all are read-only"}
		}},
		{"write-task", "change its own code", true, func(tg target) outcome {
			for _, err := range []error{
				os.WriteFile(filepath.Join(tg.Task, "new"), nil, 0o600), os.Chmod(tg.Task, 0o777), os.Remove(filepath.Join(tg.Task, "code.txt")),
			} {
				if err == nil {
					return outcome{true, "it could"}
				}
			}
			return outcome{false, "it is read-only"}
		}},
		{"device-memory", "open /dev/mem, /dev/kmsg, /dev/port and disks", true, func(target) outcome {
			for _, d := range []string{"/dev/mem", "/dev/kmsg", "/dev/port", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm", "/dev/loop-control"} {
				if f, err := os.Open(d); err == nil {
					f.Close()
					return outcome{true, d + " opens"}
				}
			}
			return outcome{false, "none is there"}
		}},
		{"mknod", "make a device node for the machine's memory", true, func(tg target) outcome {
			path := filepath.Join(tg.Tmp, "mem")
			defer os.Remove(path)
			return tried(unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))))
		}},
		{"sysrq", "open /proc/sysrq-trigger for writing", false, func(target) outcome { return writable("/proc/sysrq-trigger") }},
		{"core-pattern", "change the program that the host runs on crashes", true, func(target) outcome {
			return writable("/proc/sys/kernel/core_pattern")
		}},
		{"modprobe-path", "change the program that the host runs for modules and hot-plugged devices", true, func(target) outcome {
			return writable("/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/sys/kernel/uevent_helper", "/proc/sys/kernel/panic_on_oops")
		}},
		{"binfmt", "register a program for the host's executables", false, func(target) outcome {
			return writable("/proc/sys/fs/binfmt_misc/register")
		}},
		{"kcore", "read the kernel's memory, symbols and keys from /proc", true, func(target) outcome {
			for _, f := range []string{"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/kmsg", "/proc/iomem", "/proc/config.gz", "/proc/timer_list"} {
				if o := reads(f, ""); o.Escaped {
					return o
				}
			}
			return outcome{false, "they are hidden"}
		}},
		{"oom-score", "make itself immune to the OOM killer", false, func(target) outcome {
			return tried(os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0))
		}},
		{"cgroup-make", "make a control group of the host", true, func(tg target) outcome {
			dir := filepath.Join(tg.Cgroup, "enfold-escape-"+tg.Word)
			defer syscall.Rmdir(dir)
			return tried(os.Mkdir(dir, 0o755))
		}},
		{"cgroup-limits", "lift its own limits, or move to another control group", true, func(target) outcome {
			var files []string
			for _, f := range []string{"pids/pids.max", "memory/memory.limit_in_bytes", "pids/cgroup.procs", "unified/cgroup.procs", "cgroup.procs", "memory.max"} {
				files = append(files, "/sys/fs/cgroup/"+f)
			}
			return writable(files...)
		}},
		{"release-agent", "have the host run a program when a control group is empty", false, func(target) outcome {
			paths, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
			return writable(append(paths, "/sys/fs/cgroup/release_agent")...)
		}},
		{"docker-socket", "open a control socket of the host", false, func(target) outcome {
			for _, s := range []string{"/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"} {
				if c, err := net.Dial("unix", s); err == nil {
					c.Close()
					return outcome{true, s + " answers"}
				}
			}
			return outcome{false, "none is there"}
		}},
	}
}

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
