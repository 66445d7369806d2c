//go:build amd64 || arm64

package gvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

// Where everything of a sandbox is, in its own mount namespace: a directory that every Linux system has. What lies below it on the host
// is opened beforehand. It is the same in every sandbox, as gVisor wants it to be in those that come of one snapshot.
const (
	stage     = "/mnt"
	rootDir   = stage + "/root"   // the function's file system
	bundleDir = stage + "/bundle" // gVisor's configuration
	stateDir  = stage + "/state"  // what gVisor keeps of its own
)

// mountStage makes the directory. What is mounted below it later, gVisor's own mount namespaces see too.
func mountStage() error {
	if err := unix.Mount("enfold", stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m,nr_inodes=4k"); err != nil {
		return fmt.Errorf("mount a file system in memory at %s: %w", stage, err)
	}
	if err := unix.Mount("", stage, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts below %s: %w", stage, err)
	}
	for _, dir := range []string{rootDir, bundleDir, stateDir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// buildRoot makes the part of the file system that every sandbox of the host's programs has: a few directories and small files, and
// those programs.
func (d *Driver) buildRoot() error {
	if err := d.skeleton(rootDir, ownDirs, etcFiles()); err != nil {
		return err
	}
	for path, to := range d.links {
		if err := os.Symlink(to, rootDir+path); err != nil {
			return err
		}
	}
	for _, m := range d.base {
		if err := bind(m); err != nil {
			return err
		}
	}
	return nil
}

// skeleton makes directories and files of the sandbox's own.
func (d *Driver) skeleton(root string, dirs []string, texts map[string]string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return err
		}
	}
	files := map[string][]byte{guestPath: d.guest, guest.FilterFile: d.filter}
	for path, text := range texts {
		files[path] = []byte(text)
	}
	for path, text := range files {
		if err := os.WriteFile(root+path, text, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(root+guestPath, 0o755)
}

// bind mounts what the host has.
func bind(m sandbox.Mount) error {
	fd, err := openTree(m.Source)
	if errors.Is(err, unix.ENOENT) && m.Optional {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", m.Source, err)
	}
	defer unix.Close(fd)
	return attach(fd, m.Target)
}

// openTree makes a detached, read-only mount of a file or directory.
func openTree(source string) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	attr := unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Propagation: unix.MS_PRIVATE,
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// attach mounts a detached mount at a path of the sandbox.
func attach(mount int, target string) error {
	var st unix.Stat_t
	if err := unix.Fstat(mount, &st); err != nil {
		return err
	}
	to, err := makeTarget(rootDir, target, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return fmt.Errorf("make %s: %w", target, err)
	}
	defer unix.Close(to)
	if err := unix.MoveMount(mount, "", to, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount at %s: %w", target, err)
	}
	return nil
}

// makeTarget opens what a mount goes onto, and makes it if need be. It follows no link: code that is mounted may have planted one.
func makeTarget(root, target string, isDir bool) (int, error) {
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	names := strings.Split(strings.TrimPrefix(target, "/"), "/")
	for i, name := range names {
		last := i == len(names)-1
		next, err := makeStep(at, name, !last || isDir)
		unix.Close(at)
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

func makeStep(dir int, name string, isDir bool) (int, error) {
	flags := unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if isDir {
		flags |= unix.O_DIRECTORY
	}
	fd, err := unix.Openat(dir, name, flags, 0)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	if isDir {
		err = unix.Mkdirat(dir, name, 0o755)
	} else {
		var f int
		if f, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644); err == nil {
			unix.Close(f)
		}
	}
	if err != nil {
		return -1, err
	}
	return unix.Openat(dir, name, flags, 0)
}

// hostPrograms are the host's own directories of programs and libraries: mounts, and the links among them.
func hostPrograms() (mounts []sandbox.Mount, links map[string]string, err error) {
	links = map[string]string{"/var/run": "/run", "/etc/mtab": "/proc/self/mounts"}
	for _, dir := range hostDirs {
		st, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, fmt.Errorf("look at the host's %s: %w", dir, err)
		case st.Mode()&os.ModeSymlink != 0:
			if links[dir], err = os.Readlink(dir); err != nil {
				return nil, nil, err
			}
		case st.IsDir():
			mounts = append(mounts, sandbox.Mount{Source: dir, Target: dir})
		}
	}
	java, _ := filepath.Glob("/etc/java*") // the pattern is well formed
	for _, path := range append(hostEtc, java...) {
		mounts = append(mounts, sandbox.Mount{Source: path, Target: path, Optional: true})
	}
	return mounts, links, nil
}
