package sandboxtest

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostFileAttempts are on the files by which a host is ruled: /proc, /sys, control groups.
func hostFileAttempts() []attempt {
	return []attempt{
		{"sysrq", "open /proc/sysrq-trigger for writing", "writable /proc/sysrq-trigger", "not every kernel has it", func(target) outcome { return writable("/proc/sysrq-trigger") }},
		{"core-pattern", "change the program that the host runs on crashes", "core_pattern, cri-o CVE-2022-0811", root, func(target) outcome {
			return writable("/proc/sys/kernel/core_pattern")
		}},
		{"modprobe-path", "change the program that the host runs for modules and hot-plugged devices", "modprobe path and uevent_helper", root, func(target) outcome {
			return writable("/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/sys/kernel/uevent_helper", "/proc/sys/kernel/panic_on_oops")
		}},
		{"crash-handler", "have the host's crash handler run, as root, on what it left", "CVE-2025-4598, CVE-2025-5054, CVE-2015-1318: crash handlers", anyone, func(target) outcome {
			l := unix.Rlimit{Max: 1} // 0 forbids core files alone; at 1 the kernel gives up before it runs the handler
			return tried(unix.Setrlimit(unix.RLIMIT_CORE, &l))
		}},
		{"binfmt", "register a program for the host's executables", "binfmt_misc with the host's interpreters", "not every kernel has it mounted", func(target) outcome {
			return writable("/proc/sys/fs/binfmt_misc/register")
		}},
		{"kcore", "read the kernel's memory, symbols and keys from /proc", "unmasked /proc", root, func(target) outcome {
			for _, f := range []string{"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/kmsg", "/proc/iomem", "/proc/config.gz", "/proc/timer_list"} {
				if o := reads(f, ""); o.Escaped {
					return o
				}
			}
			return outcome{false, "they are hidden"}
		}},
		{"oom-score", "make itself immune to the OOM killer", "starving the host of memory, last to be killed", "wants CAP_SYS_RESOURCE, which root of a container lacks", func(target) outcome {
			return tried(os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0))
		}},
		{"cgroup-make", "make a control group of the host", "writable control groups", root, func(tg target) outcome {
			dir := filepath.Join(tg.Cgroup, "enfold-escape-"+tg.Word)
			defer syscall.Rmdir(dir)
			return tried(os.Mkdir(dir, 0o755))
		}},
		{"cgroup-limits", "lift its own limits, or move to another control group", "writable control groups", root, func(target) outcome {
			var files []string
			for _, f := range []string{"pids/pids.max", "memory/memory.limit_in_bytes", "pids/cgroup.procs", "unified/cgroup.procs", "cgroup.procs", "memory.max"} {
				files = append(files, "/sys/fs/cgroup/"+f)
			}
			return writable(files...)
		}},
		{"release-agent", "have the host run a program when a control group is empty", "CVE-2022-0492: release_agent", "only control groups v1 have one", func(target) outcome {
			paths, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
			return writable(append(paths, "/sys/fs/cgroup/release_agent")...)
		}},
		{"docker-socket", "open a control socket of the host", "a mounted docker.sock", "a host need not have such a service", func(target) outcome {
			for _, s := range []string{"/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"} {
				if c, err := net.Dial("unix", s); err == nil {
					c.Close()
					return outcome{true, s + " answers"}
				}
			}
			return outcome{false, "none is there"}
		}},
		{"proc-write", "open anything in /proc for writing that is not of a process", "writable /proc/sys, /proc/irq, /proc/mtrr", root, func(target) outcome {
			return sweeps("/proc", os.O_WRONLY)
		}},
		{"sys-read", "read anything in /sys", "what /sys tells of the host and lets change", anyone, func(target) outcome {
			return sweeps("/sys", os.O_RDONLY)
		}},
		{"fuse", "become a file system by /dev/fuse", "CVE-2023-0386's first step: a file system of its own", "a host may have no fuse", func(target) outcome {
			f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
			if err == nil {
				f.Close()
			}
			return tried(err)
		}},
		{"file-capabilities", "give a program of its own capabilities", "capabilities on files, which outlive a namespace", root, func(tg target) outcome {
			path := filepath.Join(tg.Tmp, "capable")
			defer os.Remove(path)
			if err := os.WriteFile(path, nil, 0o755); err != nil {
				return tried(err)
			}
			all := make([]byte, 20) // struct vfs_cap_data, revision 2, effective, CAP_SYS_ADMIN
			binary.LittleEndian.PutUint32(all, 0x02000001)
			binary.LittleEndian.PutUint32(all[4:], 1<<unix.CAP_SYS_ADMIN)
			return tried(unix.Setxattr(path, "security.capability", all, 0))
		}},
	}
}

// writable is an escape if one of the paths opens for writing. Nothing is written.
func writable(paths ...string) outcome {
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			f.Close()
			return outcome{true, path + " can be opened for writing"}
		}
	}
	return outcome{false, "none of " + strings.Join(paths, " ") + " opens for writing"}
}

// sweeps is an escape if any file below dir opens. Directories of processes are left out, and what is only a link to one.
func sweeps(dir string, flag int) outcome {
	n, opened := 0, ""
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || opened != "":
			return nil // what cannot be listed cannot be opened
		case e.IsDir() && strings.Trim(e.Name(), "0123456789") == "" && filepath.Dir(path) == "/proc":
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		n++
		fd, err := unix.Open(path, flag|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
		if err == nil {
			unix.Close(fd)
			opened = path
		}
		return nil
	})
	return outcome{opened != "", fmt.Sprintf("of %d files in %s it could open %q", n, dir, opened)}
}
