package sandboxtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

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
