package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// unpackTar unpacks a layer's tar into the directory root, which is empty, with whiteouts as overlayfs has them. On success the budget
// is less by what the layer holds.
func unpackTar(t *tarStream, root string, b *budget, l *Limits) (*layerRecord, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	defer unix.Close(fd)
	u := &unpacker{root: fd, limits: l, budget: b, dir: fd, buf: make([]byte, 64<<10)}
	defer u.leave()
	if err = u.all(t); err != nil {
		b.size.Add(u.rec.Size)
		b.entries.Add(u.rec.Entries)
		return nil, err
	}
	return &u.rec, nil
}

// unpacker unpacks one layer. Nobody else writes where it does.
type unpacker struct {
	root   int
	limits *Limits
	budget *budget
	rec    layerRecord
	buf    []byte
	looked int64 // how many bytes and entries there were when the disk was last looked at, in bytes

	// The directory of the last entry, as most entries have the same as the one before.
	dirName string
	dir     int
}

func (u *unpacker) all(t *tarStream) error {
	tr := tar.NewReader(t)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) && t.failed == nil {
			return nil
		}
		if t.failed != nil {
			return t.failed
		}
		if err != nil {
			return fmt.Errorf("%w: a layer is no tar: %w", ErrInvalid, err)
		}
		if err := u.entry(h, tr); err != nil {
			if t.failed != nil {
				return t.failed
			}
			return err
		}
	}
}

// entry unpacks one entry.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return u.count(0)
	}
	name, meta, err := entryName(h.Name, u.limits.Depth)
	if err != nil {
		return err
	}
	if err := u.count(0); err != nil || meta {
		return err
	}
	if err := u.room(0); err != nil {
		return err
	}
	if name == "" {
		return u.rootEntry(h)
	}
	dir, base := path.Split(name)
	parent, err := u.enter(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return explain(h.Name, err)
	}
	if base == whiteoutOpaque {
		return explain(h.Name, u.hideBelow(parent, dir == ""))
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(parent, base)
	}
	return explain(h.Name, u.place(at{parent, base}, h, content))
}

// at is a name in an open directory.
type at struct {
	dir  int
	name string
}

// count takes one entry, and size bytes, from the budget.
func (u *unpacker) count(size int64) error {
	if size == 0 {
		u.rec.Entries++
		return take(&u.budget.entries, 1, "entries")
	}
	u.rec.Size += size
	return take(&u.budget.size, size, "bytes")
}

// room looks now and then how much of the disk is left, before size bytes are written that have been counted.
func (u *unpacker) room(size int64) error {
	const step, perEntry = 32 << 20, 4 << 10
	now := u.rec.Size + u.rec.Entries*perEntry
	if u.looked > 0 && now-u.looked < step {
		return nil
	}
	u.looked = now
	var st unix.Statfs_t
	if err := unix.Fstatfs(u.root, &st); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	free, kept := int64(st.Bavail)*st.Bsize, u.limits.kept(int64(st.Blocks)*st.Bsize)
	if free-size < kept {
		return fmt.Errorf("unpack: %w", &FullError{Free: free, Kept: kept, Want: size})
	}
	return nil
}

func (u *unpacker) rootEntry(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return fmt.Errorf("%w: the root %q is no directory", ErrInvalid, clip(h.Name))
	}
	return unix.Fchmod(u.root, dirMode(h))
}

// place makes what an entry says. What has had its name before, in this layer, is replaced, but a directory by a directory.
func (u *unpacker) place(a at, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(a, dirMode(h))
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.file(a, h, content)
	case tar.TypeSymlink:
		return u.symlink(a, h)
	case tar.TypeLink:
		return u.link(a, h)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return u.clear(a) // a sandbox has its own
	}
	return fmt.Errorf("%w: an entry of the unknown type %q", ErrInvalid, h.Typeflag)
}

func (u *unpacker) file(a at, h *tar.Header, content io.Reader) error {
	if h.Size > 0 {
		if err := u.count(h.Size); err != nil {
			return err
		}
		if err := u.room(h.Size); err != nil {
			return err
		}
	}
	if err := u.clear(a); err != nil {
		return err
	}
	fd, err := unix.Openat(a.dir, a.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.copy(fd, content, h.Size); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, fileMode(h)); err != nil {
		return err
	}
	return unix.UtimesNanoAt(a.dir, a.name, times(h), unix.AT_SYMLINK_NOFOLLOW)
}

// copy writes an entry's content, size bytes.
func (u *unpacker) copy(fd int, content io.Reader, size int64) error {
	for size > 0 {
		n, err := content.Read(u.buf[:min(size, int64(len(u.buf)))])
		size -= int64(n)
		for p := u.buf[:n]; len(p) > 0; {
			w, err := unix.Write(fd, p)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			p = p[w:]
		}
		if err != nil && size > 0 {
			return fmt.Errorf("%w: it ends %d bytes too early: %w", ErrInvalid, size, err)
		}
	}
	return nil
}

func (u *unpacker) symlink(a at, h *tar.Header) error {
	if h.Linkname == "" || len(h.Linkname) > maxPath || strings.IndexByte(h.Linkname, 0) >= 0 {
		return fmt.Errorf("%w: a symbolic link to %d bytes, or with a NUL", ErrInvalid, len(h.Linkname))
	}
	if err := u.clear(a); err != nil {
		return err
	}
	if err := unix.Symlinkat(h.Linkname, a.dir, a.name); err != nil {
		return err
	}
	return unix.UtimesNanoAt(a.dir, a.name, times(h), unix.AT_SYMLINK_NOFOLLOW)
}

// link makes a hard link to a file of the same layer.
func (u *unpacker) link(a at, h *tar.Header) error {
	target, _, err := entryName(h.Linkname, u.limits.Depth)
	if err != nil {
		return err
	}
	dir, base := path.Split(target)
	parent, err := u.open(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return fmt.Errorf("%w: a hard link to %q, which the layer does not have: %w", ErrInvalid, clip(h.Linkname), err)
	}
	defer unix.Close(parent)
	var old, now unix.Stat_t
	if err := unix.Fstatat(parent, base, &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%w: a hard link to %q, which the layer does not have: %w", ErrInvalid, clip(h.Linkname), err)
	}
	if kind := old.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFLNK {
		return fmt.Errorf("%w: a hard link to %q, which is no file", ErrInvalid, clip(h.Linkname))
	}
	if unix.Fstatat(a.dir, a.name, &now, unix.AT_SYMLINK_NOFOLLOW) == nil && now.Ino == old.Ino {
		return nil
	}
	if err := u.clear(a); err != nil {
		return err
	}
	return unix.Linkat(parent, base, a.dir, a.name, 0)
}

// explain says at which entry something went wrong. What the disk says stays what it is; what a path leads to is the layer's fault.
func explain(name string, err error) error {
	if err == nil {
		return nil
	}
	for _, theirs := range []unix.Errno{
		unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG, unix.EXDEV, unix.EMLINK, unix.EINVAL, unix.EISDIR, unix.ENOENT, unix.EEXIST, unix.EILSEQ,
	} {
		if errors.Is(err, theirs) && !errors.Is(err, ErrInvalid) {
			return fmt.Errorf("%w: %q: %w", ErrInvalid, clip(name), err)
		}
	}
	return fmt.Errorf("%q: %w", clip(name), err)
}

// fileMode is the mode of a file without set-user-id, set-group-id and sticky bits. Its owner may do what others may, and read: all
// files are ours, whoever they were to belong to.
func fileMode(h *tar.Header) uint32 {
	mode := uint32(h.Mode) & 0o777
	return mode | mode&7<<6 | 0o400
}

// dirMode is the mode of a directory, with the sticky bit. We have to be able to remove what is in it.
func dirMode(h *tar.Header) uint32 { return uint32(h.Mode)&0o1777 | 0o700 }

// times are the modification time twice, as far as file systems have it.
func times(h *tar.Header) []unix.Timespec {
	sec := min(max(h.ModTime.Unix(), 0), 1<<33)
	ts := unix.Timespec{Sec: sec, Nsec: int64(h.ModTime.Nanosecond())}
	return []unix.Timespec{ts, ts}
}

// syncAll waits until all that was written to the file system of a directory is durable: one call for a hundred thousand files.
func syncAll(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
