package sandboxtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstProcessAttempts are on the process that starts functions, and on what it and the server may leave open.
func firstProcessAttempts() []attempt {
	return []attempt{
		{"kill-first-process", "kill the sandbox's first process, so that what it holds lives on", "an init that does not hold its namespace", harms + "process 1 is the host's", func(target) outcome {
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
		{"first-process-files", "open the first process's files, where the way to the server is", "runc CVE-2016-9962: files of the runtime in /proc/1", root, func(target) outcome {
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
		{"fd-leak", "find a descriptor that the server has left open", "runc CVE-2016-9962, CVE-2024-21626: leaked descriptors", anyone, func(tg target) outcome {
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
		{"overwrite-runtime", "write into the program of the process that started it", "runc CVE-2019-5736: /proc/self/exe", root, func(tg target) outcome {
			for _, path := range []string{"/proc/1/exe", fmt.Sprintf("/proc/%d/exe", tg.Server), "/proc/self/exe"} {
				if o := writesProgram(path); o.Escaped {
					return o
				}
			}
			return outcome{false, "none opens for writing"}
		}},
		{"cwd-leak", "go to a directory of the host by /proc/*/fd/*", "runc CVE-2024-21626: leaked directories", anyone, func(tg target) outcome {
			for _, pid := range []string{"self", "1"} {
				for n := range 64 {
					dir := fmt.Sprintf("/proc/%s/fd/%d", pid, n)
					if os.Chdir(dir) != nil {
						continue
					}
					for _, file := range []string{filepath.Base(tg.SecretFile), strings.Repeat("../", 40) + tg.SecretFile[1:]} {
						if o := reads(file, tg.Secret); o.Escaped {
							return outcome{true, "from " + dir + " it could read " + file}
						}
					}
				}
			}
			return outcome{false, "no descriptor is a directory that leads out"}
		}},
		{"memfd-exec", "gain rights by a program without a file", "runc CVE-2019-5736's way: programs in memory", anyone, func(target) outcome {
			return runsFromMemory()
		}},
	}
}

// writesProgram opens a program for writing, first as a path and then anew by the descriptor, which is what gets around the first
// refusal. That the kernel says it is running comes after all refusals but that of a read-only mount.
func writesProgram(path string) outcome {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return tried(err)
	}
	defer unix.Close(fd)
	for _, p := range []string{path, fmt.Sprintf("/proc/self/fd/%d", fd)} {
		w, err := unix.Open(p, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(w)
			return outcome{true, p + " opens for writing"}
		}
		if errors.Is(err, unix.ETXTBSY) && !mountedReadOnly(fd) {
			return outcome{true, p + " would open for writing if it did not run"}
		}
	}
	return outcome{false, "it does not open for writing"}
}

func mountedReadOnly(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// runsFromMemory runs a copy of this program from memory, marked setuid, and asks it for its rights.
func runsFromMemory() outcome {
	code, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return tried(err)
	}
	fd, err := unix.MemfdCreate("probe", 0)
	if err != nil {
		return tried(err)
	}
	f := os.NewFile(uintptr(fd), "probe")
	defer f.Close()
	if _, err := f.Write(code); err != nil {
		return tried(err)
	}
	unix.Fchmod(fd, 0o755|unix.S_ISUID)
	out, err := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd), probeArg, "rights").Output()
	if err != nil {
		return tried(err)
	}
	text := strings.TrimSpace(string(out))
	return outcome{text != "CapEff 0000000000000000 NoNewPrivs 1 Seccomp 2", "it says: " + text}
}
