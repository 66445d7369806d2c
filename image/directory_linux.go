package image

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// directory makes a directory, or changes one that is there. One that takes the place of what the layer had removed hides what is below.
func (u *unpacker) directory(a at, mode uint32) error {
	var st unix.Stat_t
	err := unix.Fstatat(a.dir, a.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.Fchmodat(a.dir, a.name, mode, 0)
	}
	if err == nil {
		if err := u.clear(a); err != nil {
			return err
		}
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := unix.Mkdirat(a.dir, a.name, 0o700); err != nil {
		return err
	}
	if err := unix.Fchmodat(a.dir, a.name, mode, 0); err != nil {
		return err
	}
	if isWhiteout(&st) {
		return u.hideBelowIn(a)
	}
	return nil
}

// isWhiteout tells the device that stands for what a layer removes. No other device is ever made.
func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR }

// clear removes what has the name, with all that is in it.
func (u *unpacker) clear(a at) error {
	err := unix.Unlinkat(a.dir, a.name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	// RemoveAll wants a path, and this is one of an open directory.
	parent, err := unix.Openat(a.dir, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return os.RemoveAll("/proc/self/fd/" + strconv.Itoa(parent) + "/" + a.name)
}

// whiteout marks that the layers below have lost a name. What this layer has of that name stays: a directory with nothing from below.
func (u *unpacker) whiteout(parent int, base string) error {
	name, err := whiteoutOf(base)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return explain(base, unix.Mknodat(parent, name, unix.S_IFCHR, 0))
	case err != nil:
		return explain(base, err)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return explain(base, u.hideBelowIn(at{parent, name}))
	}
	return nil
}

// hideBelow makes a directory hide what the layers below have in it. overlayfs does not ask for that at the root, so that it is written
// down and the layers below are left out.
func (u *unpacker) hideBelow(dir int, isRoot bool) error {
	if isRoot {
		u.rec.Opaque = true
		return nil
	}
	return u.hideBelowIn(at{dir, "."})
}

func (u *unpacker) hideBelowIn(a at) error {
	fd, err := unix.Openat(a.dir, a.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsetxattr(fd, "user.overlay.opaque", []byte("y"), 0)
}

// enter is the open directory of a name, made if it is not there. It stays open until the next call.
func (u *unpacker) enter(name string) (int, error) {
	if name == u.dirName {
		return u.dir, nil
	}
	fd, err := u.open(name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		if err = u.make(name); err == nil {
			fd, err = u.open(name)
		}
	}
	if err != nil {
		return -1, err
	}
	u.leave()
	u.dirName, u.dir = name, fd
	return fd, nil
}

// leave forgets the directory that is kept open.
func (u *unpacker) leave() {
	if u.dir != u.root {
		unix.Close(u.dir)
	}
	u.dirName, u.dir = "", u.root
}

// open opens a directory below the root. Symbolic links on the way are followed as if the root were "/".
func (u *unpacker) open(name string) (int, error) {
	if name == "" {
		name = "."
	}
	return unix.Openat2(u.root, name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
}

// make makes the directories of a path that are not there. Each of them counts.
func (u *unpacker) make(name string) error {
	parent, err := u.open("")
	if err != nil {
		return err
	}
	defer func() { unix.Close(parent) }()
	done := ""
	for part := range strings.SplitSeq(name, "/") {
		done = path.Join(done, part)
		fd, err := u.open(done)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			if fd, err = u.makeOne(at{parent, part}, done); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		unix.Close(parent)
		parent = fd
	}
	return nil
}

func (u *unpacker) makeOne(a at, name string) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(a.dir, a.name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && !isWhiteout(&st) {
		return -1, fmt.Errorf("%w: %q is no directory, and there are paths that go through it", ErrInvalid, clip(name))
	}
	if err := u.count(0); err != nil {
		return -1, err
	}
	if err := u.directory(a, 0o755); err != nil {
		return -1, err
	}
	return u.open(name)
}
