package sandboxtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func attempts() []attempt {
	var all []attempt
	for _, group := range [][]attempt{
		neighbourAttempts(), firstProcessAttempts(), fileAttempts(), pageAttempts(), hostFileAttempts(), mountAttempts(),
		namespaceAttempts(), ipcAttempts(), kernelAttempts(), machineAttempts(), archAttempts(), networkAttempts(), familyAttempts(),
		rightsAttempts(), filterAttempts(),
	} {
		all = append(all, group...)
	}
	return all
}

func neighbourAttempts() []attempt {
	return []attempt{
		{"see-neighbour", "find another sandbox's process in /proc", "a shared pid namespace (docker --pid=host)", anyone, func(tg target) outcome {
			if pids := hostPids(tg.Word); others(pids) != nil {
				return outcome{true, fmt.Sprint("found ", pids)}
			}
			return outcome{false, "it is not there"}
		}},
		{"neighbour-environ", "read another process's environment with its password", "secrets in /proc/*/environ", anyone, func(tg target) outcome {
			return searchProc("environ", tg.Secret)
		}},
		{"neighbour-tmp", "read another sandbox's /tmp by its path or /proc/*/root", "a shared /tmp", anyone, func(tg target) outcome {
			for _, path := range append(globProc("root/tmp/secret"), tg.NearFile, "/tmp/secret") {
				if o := reads(path, tg.Secret); o.Escaped {
					return o
				}
			}
			return outcome{false, "no path leads there"}
		}},
		{"ptrace-neighbour", "attach to another process, or to the first one, as a debugger", "CAP_SYS_PTRACE and a shared pid namespace", root, func(tg target) outcome {
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
		{"neighbour-memory", "read another process's memory, or the first one's, by /proc/*/mem", "/proc/*/mem of another container", root, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
				if err == nil {
					f.Close()
				}
				return err
			})
		}},
		{"process-vm-readv", "read another process's memory by process_vm_readv", "process_vm_readv across containers", root, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				auxv := make([]byte, 8)
				local := []unix.Iovec{{Base: &auxv[0], Len: 8}}
				_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: firstMapping(pid), Len: 8}}, 0)
				return err
			})
		}},
		{"pidfd-getfd", "take another process's open file by pidfd_getfd", "pidfd_getfd on the runtime", root, func(tg target) outcome {
			return each(append(hostPids(tg.Word), 1), func(pid int) error {
				fd, err := unix.PidfdOpen(pid, 0)
				if err != nil {
					return err
				}
				_, err = unix.PidfdGetfd(fd, 1, 0)
				return err
			})
		}},
		{"signal-server", "send a signal to the server and to the neighbour", "a shared pid namespace", anyone, func(tg target) outcome {
			return each(append(hostPids(tg.Word), tg.Server), func(pid int) error {
				if pid == os.Getpid() || pid == os.Getppid() && pid == 1 {
					return fmt.Errorf("that is me")
				}
				return syscall.Kill(pid, 0)
			})
		}},
		{"signal-everybody", "send a signal to all processes at once", "a shared pid namespace", anyone, func(target) outcome {
			return tried(syscall.Kill(-1, 0))
		}},
		{"neighbour-files", "list another process's open files and mappings", "a shared pid namespace", anyone, func(tg target) outcome {
			return each(hostPids(tg.Word), func(pid int) error {
				_, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
				return err
			})
		}},
		{"neighbour-scheduling", "set the limits, the processors or the priority of another process", "a shared pid namespace", anyone, func(tg target) outcome {
			return each(append(hostPids(tg.Word), tg.Server), func(pid int) error {
				var l unix.Rlimit
				var cpus unix.CPUSet
				if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l); err == nil {
					return nil
				}
				if err := unix.SchedGetaffinity(pid, &cpus); err != nil {
					return err
				}
				return unix.SchedSetaffinity(pid, &cpus)
			})
		}},
	}
}

func others(pids []int) []int {
	var out []int
	for _, p := range pids {
		if p != os.Getpid() {
			out = append(out, p)
		}
	}
	return out
}

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

func firstMapping(pid int) uintptr {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	addr, _, _ := strings.Cut(string(text), "-")
	n, err := strconv.ParseUint(addr, 16, 64)
	if err != nil {
		return 0x400000
	}
	return uintptr(n)
}
