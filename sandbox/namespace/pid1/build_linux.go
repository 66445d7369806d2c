package pid1

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/network"
)

// A fault is what went wrong: what we were doing, and why not.
type fault struct {
	doing string
	err   error
}

func (f *fault) Error() string { return f.doing + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func failed(err error, doing ...string) error {
	if err == nil {
		return nil
	}
	return &fault{strings.Join(doing, " "), err}
}

// Stage is where the new root is mounted until it becomes the root: a directory that every Linux system has and below which
// nobody keeps the code of functions, so nothing that is still to be bound is hidden.
const Stage = "/sys"

// base builds what all sandboxes have, and listens if it is to.
func (p *process) base(m Base) (listeners []int, err error) {
	if err := seclude(); err != nil {
		return nil, err
	}
	if err := unix.Sethostname([]byte(m.Hostname)); err != nil {
		return nil, failed(err, "set the host name")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, failed(err, "make all mounts private")
	}
	if err := p.mountRoot(); err != nil {
		return nil, err
	}
	if err := p.build(m.Ops, nil); err != nil {
		return nil, err
	}
	if !m.Listen {
		return nil, nil
	}
	if err := network.LoopbackUp(); err != nil {
		return nil, err
	}
	l, err := network.Listen()
	if err != nil {
		return nil, err
	}
	return []int{l.Runtime, l.AWS}, nil
}

// seclude gives this thread, and what it starts, what belongs to a thread and is not to be the server's.
func seclude() error {
	// The server has put us into our control groups by now: they become all that we see.
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return failed(err, "unshare the cgroup namespace")
	}
	// A new, empty session keyring. A kernel without keys has nothing to hide.
	_, _, errno := syscall.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if errno != 0 && errno != unix.ENOSYS {
		return failed(errno, "join a session keyring")
	}
	return nil
}

// mountRoot makes the file system that becomes the root: a few directories and small files in memory.
func (p *process) mountRoot() error {
	fd, err := newMount("tmpfs", "mode=755,size=1m,nr_inodes=2k", 0)
	if err != nil {
		return failed(err, "make the root file system")
	}
	defer syscall.Close(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, Stage, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return failed(err, "mount the root file system at", Stage)
	}
	p.root, err = unix.Open(Stage, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return failed(err, "open", Stage)
}

// newMount makes a file system that is mounted nowhere yet. Options are "key=value,…".
func newMount(fstype, options string, attr int) (int, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer syscall.Close(fs)
	for options != "" {
		var opt string
		opt, options, _ = strings.Cut(options, ",")
		key, value, _ := strings.Cut(opt, "=")
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return -1, failed(err, "option", opt)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
}

// build makes what ops say, below the new root.
func (p *process) build(ops []Op, files []int) error {
	for _, op := range ops {
		if err := p.do(op, files); err != nil {
			return failed(err, "build", op.Target)
		}
	}
	return nil
}

func (p *process) do(op Op, files []int) error {
	switch op.Kind {
	case OpDir:
		fd, err := p.directory(op.Target, op.Mode)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	case OpFile:
		return p.file(op)
	case OpLink:
		dir, name, err := p.parent(op.Target)
		if err != nil {
			return err
		}
		defer syscall.Close(dir)
		return unix.Symlinkat(op.Source, dir, name)
	case OpBind:
		return p.bind(op, files)
	case OpTmpfs:
		return p.mountNew("tmpfs", op)
	case OpProc:
		return p.mountNew("proc", op)
	}
	return syscall.EINVAL
}

func (p *process) file(op Op) error {
	dir, name, err := p.parent(op.Target)
	if err != nil {
		return err
	}
	defer syscall.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, op.Mode)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte(op.Source))
	return err
}

func (p *process) mountNew(fstype string, op Op) error {
	attr := 0
	if op.Flags&NoExec != 0 {
		attr = unix.MOUNT_ATTR_NOEXEC
	}
	fd, err := newMount(fstype, op.Source, attr)
	if err != nil {
		return failed(err, "make a", fstype)
	}
	defer syscall.Close(fd)
	target, err := p.directory(op.Target, 0o755)
	if err != nil {
		return err
	}
	defer syscall.Close(target)
	return attach(fd, target)
}

// bind mounts a file or directory of the host, read-only.
func (p *process) bind(op Op, files []int) error {
	mount, err := bindSource(op, files)
	if err != nil || mount < 0 {
		return err
	}
	defer syscall.Close(mount)
	target, err := p.bindTarget(op, mount)
	if err != nil || target < 0 {
		return err
	}
	defer syscall.Close(target)
	return attach(mount, target)
}

// bindSource is what a Bind mounts, -1 for an Optional one that is not there.
func bindSource(op Op, files []int) (int, error) {
	if op.File >= len(files) {
		return -1, syscall.EBADF
	}
	if op.File >= 0 {
		return unix.FcntlInt(uintptr(files[op.File]), syscall.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := OpenBind(op.Source, op.Flags)
	if errors.Is(err, syscall.ENOENT) && op.Flags&Optional != 0 {
		return -1, nil
	}
	return fd, failed(err, "open", op.Source)
}

// OpenBind makes a detached, read-only mount of a file or directory. Mounts below it come along only where the kernel does not
// let a user namespace do without them, which is if they were inherited.
func OpenBind(source string, flags OpFlag) (int, error) {
	const tree = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	recursive := uint(0)
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, tree)
	if err == unix.EINVAL {
		recursive = unix.AT_RECURSIVE
		fd, err = unix.OpenTree(unix.AT_FDCWD, source, tree|unix.AT_RECURSIVE)
	}
	if err != nil {
		return -1, err
	}
	attr := unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Propagation: unix.MS_PRIVATE,
	}
	if flags&Device != 0 {
		attr.Attr_set &^= unix.MOUNT_ATTR_NODEV
	}
	if flags&NoExec != 0 {
		attr.Attr_set |= unix.MOUNT_ATTR_NOEXEC
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &attr); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindTarget opens what a mount goes onto, and makes it if need be: a directory for a directory, else an empty file. It is -1
// for a Mask over nothing, or over a thing of another kind.
func (p *process) bindTarget(op Op, mount int) (int, error) {
	var src syscall.Stat_t
	if err := syscall.Fstat(mount, &src); err != nil {
		return -1, err
	}
	isDir := src.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if op.Flags&Mask == 0 && isDir {
		return p.directory(op.Target, 0o755)
	}
	dir, name, err := p.parent(op.Target)
	if err != nil {
		return -1, err
	}
	defer syscall.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if op.Flags&Mask != 0 {
		return maskTarget(fd, err, isDir)
	}
	if !errors.Is(err, syscall.ENOENT) {
		return fd, err
	}
	fd, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	return fd, err
}

func maskTarget(fd int, err error, isDir bool) (int, error) {
	if errors.Is(err, syscall.ENOENT) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || (st.Mode&syscall.S_IFMT == syscall.S_IFDIR) != isDir {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

func attach(mount, target int) error {
	return unix.MoveMount(mount, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// parent opens the directory that holds target, and makes it if need be. No symbolic link is followed: an earlier mount may be
// the code of strangers.
func (p *process) parent(target string) (dir int, name string, err error) {
	i := strings.LastIndexByte(target, '/')
	if i < 0 || target[i+1:] == "" {
		return -1, "", syscall.EINVAL
	}
	dir, err = p.directory(target[:i], 0o755)
	return dir, target[i+1:], err
}

// directory opens a directory below the root, and makes it if need be, the last part with mode.
func (p *process) directory(path string, mode uint32) (int, error) {
	fd, err := unix.Openat(p.root, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	rest := strings.TrimPrefix(path, "/")
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		m := uint32(0o755)
		if rest == "" {
			m = mode
		}
		next, err := enter(fd, name, m)
		syscall.Close(fd)
		if err != nil {
			return -1, failed(err, "directory", name)
		}
		fd = next
	}
	return fd, nil
}

func enter(dir int, name string, mode uint32) (int, error) {
	if name == "" || name == "." || name == ".." {
		return -1, syscall.EINVAL
	}
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, name, flags, 0)
	if !errors.Is(err, syscall.ENOENT) {
		return fd, err
	}
	if err := unix.Mkdirat(dir, name, mode); err != nil {
		return -1, err
	}
	return unix.Openat(dir, name, flags, 0)
}
