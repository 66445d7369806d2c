package pid1

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where an image is put together before it is the root: the layer above all others, and what comes out.
const (
	skeletonDir = "/.image/top"
	layersDir   = "/.image/"
	imageDir    = "/.image/root"
)

// mountImage makes the root out of an image's layers. It cannot be written to, so what is to be mounted on it has its place in a layer
// of our own above all others: whatever the image has there, a link or a file, it is not in the way.
func (p *process) mountImage(m Mounts, files []int) error {
	if err := p.skeleton(m, files); err != nil {
		return err
	}
	root, err := p.overlay(m.Image, files)
	if err != nil {
		return err
	}
	syscall.Close(p.root)
	p.root = root
	// Nothing was mounted over the parts of these that we have hidden, so they come along.
	if err := p.move("/proc"); err != nil {
		return err
	}
	return p.cloneDev()
}

// skeleton makes the layer above all others.
func (p *process) skeleton(m Mounts, files []int) error {
	top, err := p.directory(skeletonDir, 0o755)
	if err != nil {
		return failed(err, "make a layer")
	}
	defer syscall.Close(top)
	base := p.root
	p.root = top
	defer func() { p.root = base }()
	if err := p.build(m.Skeleton, nil); err != nil {
		return err
	}
	return p.places(m.Ops, files)
}

// places makes what ops mount onto.
func (p *process) places(ops []Op, files []int) error {
	for _, op := range ops {
		fd, err := -1, error(nil)
		switch op.Kind {
		case OpTmpfs:
			fd, err = p.directory(op.Target, 0o755)
		case OpBind:
			var mount int
			if mount, err = bindSource(op, files); err == nil && mount >= 0 {
				fd, err = p.bindTarget(op, mount)
				syscall.Close(mount)
			}
		}
		if err != nil {
			return failed(err, "make a place for", op.Target)
		}
		if fd >= 0 {
			syscall.Close(fd)
		}
	}
	return nil
}

// overlay mounts the skeleton over the layers. Each is mounted first: the kernel takes only what is in this mount namespace, and nobody
// who may not look into the directories that lead to a layer need be able to. The sandbox does not see where on the host they are.
func (p *process) overlay(layers []Op, files []int) (int, error) {
	names := []string{skeletonDir}
	for i, op := range layers {
		op.Target = layersDir + strconv.Itoa(i)
		if err := p.bind(op, files); err != nil {
			return -1, failed(err, "mount layer", strconv.Itoa(i))
		}
		names = append(names, op.Target)
	}
	at, err := p.directory(imageDir, 0o755)
	if err != nil {
		return -1, failed(err, "make the image's root")
	}
	syscall.Close(at)
	options := "userxattr,lowerdir=" + strings.Join(names, ":")
	err = unix.Mount("overlay", imageDir, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, options)
	if errors.Is(err, syscall.ENODEV) {
		return -1, failed(err, "mount the image: this kernel has no overlay file system (modprobe overlay)")
	}
	if err != nil {
		return -1, failed(err, "mount the image's", strconv.Itoa(len(layers)), "layers")
	}
	root, err := unix.Open(imageDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return root, failed(err, "open the image's root")
}

// move moves a mount, with all that is mounted on it, to the same place in the new root.
func (p *process) move(path string) error {
	target, err := p.directory(path, 0o755)
	if err != nil {
		return failed(err, "find", path)
	}
	defer syscall.Close(target)
	return failed(unix.MoveMount(unix.AT_FDCWD, path, target, "", unix.MOVE_MOUNT_T_EMPTY_PATH), "move", path)
}

// cloneDev binds /dev, which is a directory of the old root, with its devices.
func (p *process) cloneDev() error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/dev", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return failed(err, "open /dev")
	}
	defer syscall.Close(fd)
	ro := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &ro); err != nil {
		return failed(err, "make /dev read-only")
	}
	target, err := p.directory("/dev", 0o755)
	if err != nil {
		return failed(err, "find /dev")
	}
	defer syscall.Close(target)
	return failed(attach(fd, target), "mount /dev")
}

// enterImage makes the image the root, in the place of the host's programs. A first process that cannot do it ends, and the sandbox with it.
func (p *process) enterImage() {
	p.outside = false
	err := failed(unix.Fchdir(p.root), "enter the image")
	if err == nil {
		err = failed(unix.PivotRoot(".", "."), "pivot_root into the image")
	}
	if err == nil {
		err = leaveHost(".") // the old root is on top
	}
	if err == nil {
		err = failed(unix.Chdir("/"), "enter the image")
	}
	if err == nil && Landlock() >= leastLandlock {
		// The thread that starts the first process is in a Landlock domain that knows the old root: another takes its place.
		close(p.confined)
		err = p.startConfine()
	}
	if err != nil {
		syscall.Exit(1)
	}
}

// find is the program that a name without a slash means in PATH, as the shell has it.
func find(name, dir string, env []string) (string, syscall.Errno) {
	if strings.Contains(name, "/") {
		return name, 0
	}
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	why := syscall.ENOENT
	for place := range strings.SplitSeq(path, ":") {
		switch {
		case place == "":
			place = dir
		case place[0] != '/':
			place = dir + "/" + place
		}
		file := place + "/" + name
		var st syscall.Stat_t
		if syscall.Stat(file, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		if st.Mode&0o111 != 0 {
			return file, 0
		}
		why = syscall.EACCES
	}
	return "", why
}
