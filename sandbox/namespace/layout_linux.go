//go:build amd64 || arm64

package namespace

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/enfold-run/enfold/network"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// hostName is what every function sees as the machine's name.
const hostName = "sandbox"

// hostDirs are the host's programs and libraries. Where the host has a symbolic link, so has the sandbox.
var hostDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// hostEtc are files and directories of /etc that programs need and that hold no secret.
var hostEtc = []string{
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/cert.pem", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/pki/tls/certs",
	"/etc/pki/ca-trust", "/etc/pki/java", "/etc/crypto-policies", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/alternatives", "/etc/localtime", "/etc/os-release", "/etc/mime.types", "/etc/services", "/etc/protocols",
}

// hiddenFiles and hiddenDirs of /proc tell about the host or reach into it. Those that are not there are left out.
var (
	hiddenFiles = []string{
		"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount",
		"/proc/kpageflags", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/iomem",
		"/proc/ioports", "/proc/modules", "/proc/cmdline", "/proc/config.gz", "/proc/vmallocinfo", "/proc/slabinfo",
		"/proc/sysrq-trigger", "/proc/interrupts", "/proc/softirqs", "/proc/locks", "/proc/partitions", "/proc/diskstats", "/proc/swaps",
		"/proc/pagetypeinfo", "/proc/buddyinfo", "/proc/zoneinfo", "/proc/vmcore", "/proc/mtrr", "/proc/dma", "/proc/cgroups",
	}
	hiddenDirs = []string{
		"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/scsi", "/proc/tty", "/proc/pressure",
		"/proc/sys/fs/binfmt_misc", "/proc/sys/kernel/keys",
	}
)

const (
	emptyFile = "/.empty/file"
	emptyDir  = "/.empty/dir"
)

// baseOps build what every sandbox has.
func baseOps() ([]pid1.Op, error) {
	ops, err := systemOps()
	if err != nil {
		return nil, err
	}
	ops = append(ops, etcOps()...)
	ops = append(ops, deviceOps()...)
	ops = append(ops, procOps()...)
	for _, d := range []string{"/var/task", "/var/runtime", "/var/lang", "/opt", "/mnt", "/sys", "/run", "/home"} {
		ops = append(ops, dirOp(d, 0o755))
	}
	// Most sandboxes have a /tmp of the default size: mounting it would be the better part of claiming one. Others get theirs above it.
	return append(ops, pid1.Op{Kind: pid1.OpLink, Target: "/var/run", Source: "/run"}, tmpOp(sandbox.DefaultTmp)), nil
}

// systemOps bind the host's programs.
func systemOps() ([]pid1.Op, error) {
	var ops []pid1.Op
	for _, dir := range hostDirs {
		st, err := os.Lstat(dir)
		switch {
		case os.IsNotExist(err):
		case err != nil:
			return nil, fmt.Errorf("look at the host's %s: %w", dir, err)
		case st.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(dir)
			if err != nil {
				return nil, fmt.Errorf("look at the host's %s: %w", dir, err)
			}
			ops = append(ops, pid1.Op{Kind: pid1.OpLink, Target: dir, Source: to})
		case st.IsDir():
			ops = append(ops, bindOp(dir, 0))
		}
	}
	return ops, nil
}

// etcOps make /etc: some files of the host's, some of the sandbox's own.
func etcOps() []pid1.Op {
	java, _ := filepath.Glob("/etc/java*") // the pattern is well formed
	var ops []pid1.Op
	for _, path := range append(hostEtc, java...) {
		ops = append(ops, bindOp(path, pid1.Optional|pid1.NoExec))
	}
	for _, f := range []struct{ path, text string }{
		{"/etc/passwd", fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\n%s:x:%d:%d::/home/%[1]s:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
			pid1.UserName, pid1.UID, pid1.GID)},
		{"/etc/group", fmt.Sprintf("root:x:0:\n%s:x:%d:\nnogroup:x:65534:\n", pid1.UserName, pid1.GID)},
		{"/etc/hosts", hosts},
		{"/etc/hostname", hostName + "\n"},
		{"/etc/resolv.conf", ""},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	} {
		ops = append(ops, pid1.Op{Kind: pid1.OpFile, Target: f.path, Source: f.text, Mode: 0o644})
	}
	return append(ops, pid1.Op{Kind: pid1.OpLink, Target: "/etc/mtab", Source: "/proc/self/mounts"})
}

// hosts is /etc/hosts.
const hosts = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 " + hostName + "\n" + network.RuntimeIP + " sandbox.localdomain\n"

// skeletonOps are what a sandbox with an image has above the image, beside the places for mounts. The rest, users included, is the
// image's.
func skeletonOps() []pid1.Op {
	ops := []pid1.Op{dirOp("/proc", 0o555), dirOp("/dev", 0o755), dirOp("/sys", 0o555)}
	for path, text := range map[string]string{"/etc/hosts": hosts, "/etc/hostname": hostName + "\n", "/etc/resolv.conf": ""} {
		ops = append(ops, pid1.Op{Kind: pid1.OpFile, Target: path, Source: text, Mode: 0o644})
	}
	return ops
}

func deviceOps() []pid1.Op {
	var ops []pid1.Op
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		ops = append(ops, bindOp("/dev/"+name, pid1.Device|pid1.NoExec))
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		ops = append(ops, pid1.Op{Kind: pid1.OpLink, Target: "/dev/" + name, Source: to})
	}
	return append(ops, pid1.Op{
		Kind: pid1.OpTmpfs, Target: "/dev/shm", Source: "mode=1777,size=16m,nr_inodes=1k", Flags: pid1.NoExec,
	})
}

// procOps mount /proc and hide parts of it behind an empty file and an empty directory. /proc/sys is read-only.
func procOps() []pid1.Op {
	ops := []pid1.Op{
		{Kind: pid1.OpProc, Target: "/proc", Flags: pid1.NoExec},
		dirOp(emptyDir, 0o555),
		{Kind: pid1.OpFile, Target: emptyFile, Mode: 0o444},
		{Kind: pid1.OpBind, Target: "/proc/sys", Source: stagePath("/proc/sys"), File: -1, Flags: pid1.NoExec | pid1.Mask},
	}
	for _, path := range hiddenFiles {
		ops = append(ops, maskOp(path, emptyFile))
	}
	for _, path := range hiddenDirs {
		ops = append(ops, maskOp(path, emptyDir))
	}
	return ops
}

// stagePath is where the first process has a path of the sandbox while it builds.
func stagePath(path string) string { return pid1.Stage + path }

func maskOp(path, with string) pid1.Op {
	return pid1.Op{Kind: pid1.OpBind, Target: path, Source: stagePath(with), File: -1, Flags: pid1.Mask | pid1.NoExec}
}

func dirOp(path string, mode uint32) pid1.Op {
	return pid1.Op{Kind: pid1.OpDir, Target: path, Mode: mode}
}

// bindOp binds a path of the host at the same path.
func bindOp(path string, flags pid1.OpFlag) pid1.Op {
	return pid1.Op{Kind: pid1.OpBind, Target: path, Source: path, File: -1, Flags: flags}
}

// tmpOp mounts /tmp. A file takes at least a page, and an inode's memory is the kernel's: there is one for every 8 KiB.
func tmpOp(size int64) pid1.Op {
	return pid1.Op{
		Kind: pid1.OpTmpfs, Target: "/tmp",
		Source: fmt.Sprintf("mode=1777,size=%d,nr_inodes=%d", size, size/8192+64),
	}
}
