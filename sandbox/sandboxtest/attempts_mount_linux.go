package sandboxtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func mountAttempts() []attempt {
	return []attempt{
		{"mount", "mount a file system", "CAP_SYS_ADMIN", root, func(tg target) outcome {
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			return tried(unix.Mount("none", tg.Tmp, "tmpfs", 0, ""))
		}},
		{"bind-mount", "bind the root somewhere else", "CAP_SYS_ADMIN", root, func(tg target) outcome {
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			return tried(unix.Mount("/", tg.Tmp, "", unix.MS_BIND, ""))
		}},
		{"new-mount-api", "make a file system by fsopen or open_tree", "CVE-2022-0185: fsopen and fsconfig", root, func(target) outcome {
			if _, err := unix.Fsopen("tmpfs", 0); err == nil {
				return outcome{true, "fsopen worked"}
			}
			_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
			return tried(err)
		}},
		{"remount", "make the root and its code writable", "CVE-2014-5206: read-only mounts made writable", root, func(tg target) outcome {
			paths := []string{"/", tg.Task, "/proc/sys", "/usr"}
			if bindAlone(tg.Task) {
				paths = []string{tg.Task} // the others are the host's
			}
			for _, path := range paths {
				if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err == nil {
					return outcome{true, path + " was remounted"}
				}
			}
			return outcome{false, "refused"}
		}},
		{"mount-setattr", "make the root and its code writable by mount_setattr", "read-only mounts made writable by a newer call", root, func(tg target) outcome {
			paths := []string{"/", tg.Task, "/proc/sys", "/usr"}
			if bindAlone(tg.Task) {
				paths = []string{tg.Task}
			}
			for _, path := range paths {
				attr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
				if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &attr); err == nil {
					return outcome{true, path + " was changed"}
				}
			}
			return outcome{false, "refused"}
		}},
		{"unmount", "take a mount away to see what is below", "masked paths laid bare", root, func(tg target) outcome {
			paths := []string{"/proc/kcore", "/proc/sys", tg.Task, tg.Tmp}
			if bindAlone(tg.Task) {
				paths = []string{tg.Task}
			}
			for _, path := range paths {
				if err := unix.Unmount(path, unix.MNT_DETACH); err == nil {
					return outcome{true, path + " is gone"}
				}
			}
			return outcome{false, "refused"}
		}},
		{"move-mount", "move a mount", "masked paths moved away", root, func(tg target) outcome {
			bindAlone(tg.Task)
			return tried(unix.MoveMount(unix.AT_FDCWD, tg.Task, unix.AT_FDCWD, tg.Tmp, 0))
		}},
		{"overlay", "put a file system over its code that copies up", "CVE-2021-3493, CVE-2023-0386, CVE-2023-2640: overlayfs", root, func(tg target) outcome {
			bindAlone(tg.Task)
			upper, work := filepath.Join(tg.Tmp, "upper"), filepath.Join(tg.Tmp, "work")
			defer os.RemoveAll(upper)
			defer os.RemoveAll(work)
			for _, dir := range []string{upper, work} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					return tried(err)
				}
			}
			defer unix.Unmount(tg.Task, unix.MNT_DETACH)
			return tried(unix.Mount("overlay", tg.Task, "overlay", 0, "lowerdir="+tg.Task+",upperdir="+upper+",workdir="+work))
		}},
		{"cgroup-mount", "mount the control groups, whose release_agent the host runs", "CVE-2022-0492: cgroup v1 in a new namespace", root, func(tg target) outcome {
			bindAlone(tg.Task)
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			if unix.Mount("cgroup", tg.Tmp, "cgroup", 0, "memory") == nil {
				return outcome{true, "version 1 was mounted"}
			}
			return tried(unix.Mount("cgroup2", tg.Tmp, "cgroup2", 0, ""))
		}},
		{"proc-mount", "mount a /proc without masks", "a fresh procfs without masks", root, func(tg target) outcome {
			bindAlone(tg.Task)
			defer unix.Unmount(tg.Tmp, unix.MNT_DETACH)
			return tried(unix.Mount("proc", tg.Tmp, "proc", 0, ""))
		}},
		{"pivot-root", "change the root", "CAP_SYS_ADMIN", root, func(tg target) outcome {
			return reached(unix.SYS_PIVOT_ROOT, str(tg.Tmp), str(tg.Tmp))
		}},
		{"weak-mounts", "find a mount that only its user keeps it from writing to, or whose setuid programs count", "mounts left as they were", anyone, func(target) outcome {
			return weakMount()
		}},
		{"chroot", "enter a root of its own, the first step out of many", "the chroot escape", root, func(tg target) outcome { return tried(unix.Chroot(tg.Tmp)) }},
		{"setuid-program", "become root by a setuid program in its code", "setuid programs in an image", root, func(tg target) outcome {
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
		{"own-setuid-program", "make a setuid program in /tmp and gain from it", "setuid programs left in a shared directory", "root gains nothing, and others may not give files away", func(tg target) outcome {
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

// weakMount looks for a mount that is neither read-only nor the function's own, or that is not nosuid.
func weakMount() outcome {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return tried(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		n++
		switch point, options := f[4], f[5]; {
		case !strings.Contains(options, "nosuid"):
			return outcome{true, point + " is mounted " + options}
		case point == "/tmp" || point == "/dev/shm" || point == "/proc": // the last has its own rules
		case !strings.HasPrefix(options, "ro,"):
			return outcome{true, point + " is mounted " + options}
		}
	}
	return outcome{n == 0, fmt.Sprintf("all of %d mounts are nosuid, and read-only or its own", n)}
}

// bindAlone gives the thread a mount namespace of its own, where dir is a read-only mount, so that where nothing isolates there is
// something to undo that is not the host's. In a sandbox it fails, and what follows is tried on what is there.
func bindAlone(dir string) bool {
	runtime.LockOSThread() // for good: the process ends with its attempt
	if unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS) != nil {
		return false
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") == nil &&
		unix.Mount(dir, dir, "", unix.MS_BIND, "") == nil &&
		unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "") == nil
}
