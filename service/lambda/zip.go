package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/enfold-run/enfold/aws"
)

// Limits of a deployment package.
// See https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const (
	maxZipped   = 50 << 20    // 52,428,800 bytes as uploaded
	maxUnzipped = 262_144_000 // bytes, function and layers together

	// These are ours: they keep a hostile archive from costing memory, inodes or deep recursion.
	maxZipEntries   = 100_000
	maxZipPath      = 1024 // bytes
	maxZipComponent = 255  // bytes
	maxZipDepth     = 64
	maxZipLink      = 1024 // bytes of a symbolic link's target
)

// zipMessage is what AWS says of anything that does not unpack.
const zipMessage = "Could not unzip uploaded file. Please check your file, then try to upload again."

// errUnzippedTooLarge is the answer to an archive that unpacks to more than maxUnzipped bytes.
var errUnzippedTooLarge = invalid("Unzipped size must be smaller than %d bytes", maxUnzipped)

// badZip is the answer to an archive that AWS would not unpack either. The reason may be empty.
func badZip(reason string) error {
	if reason == "" {
		return invalid(zipMessage)
	}
	return invalid("%s (%s)", zipMessage, reason)
}

// zipEntry is one file, directory or link of an archive that has passed the checks.
type zipEntry struct {
	name string // clean, relative, slash-separated
	file *zip.File
	mode fs.FileMode // type bits, and 0644 or 0755
}

// readZip checks an archive's table of contents and answers its entries: parents that are listed come before what is in
// them, links last. What it answers can be written into an empty directory, in order, without leaving it.
func readZip(data []byte) ([]zipEntry, error) {
	if len(data) > maxZipped {
		return nil, aws.ErrTooLarge.Withf("Zipped size must be smaller than %d bytes", maxZipped)
	}
	if err := checkEntryCount(data); err != nil {
		return nil, err
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, badZip("")
	}
	entries := make([]zipEntry, 0, len(r.File))
	for _, f := range r.File {
		e, err := checkEntry(f)
		if err != nil {
			return nil, err
		}
		if e.name != "." {
			entries = append(entries, e)
		}
	}
	if entries, err = checkTree(entries); err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, invalid("Uploaded file must be a non-empty zip")
	}
	return entries, nil
}

// checkEntry checks one entry by itself.
func checkEntry(f *zip.File) (zipEntry, error) {
	name, err := cleanEntryName(f.Name)
	if err != nil {
		return zipEntry{}, err
	}
	if f.Flags&0x1 != 0 {
		return zipEntry{}, badZip("encrypted entry " + quote(f.Name))
	}
	mode := f.Mode()
	switch kind := mode.Type(); {
	case strings.HasSuffix(f.Name, "/"), kind == fs.ModeDir:
		return zipEntry{name: name, file: f, mode: fs.ModeDir | 0o755}, nil
	case kind == fs.ModeSymlink:
		return zipEntry{name: name, file: f, mode: fs.ModeSymlink | 0o777}, nil
	case kind != 0:
		return zipEntry{}, badZip("not a file, directory or link: " + quote(f.Name))
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return zipEntry{}, badZip("unsupported compression of " + quote(f.Name))
	case f.UncompressedSize64 > maxUnzipped:
		return zipEntry{}, errUnzippedTooLarge
	case name == ".":
		return zipEntry{}, badZip("file without a name")
	case mode&0o111 != 0:
		return zipEntry{name: name, file: f, mode: 0o755}, nil
	}
	return zipEntry{name: name, file: f, mode: 0o644}, nil
}

// cleanEntryName is the entry's path below the root: never absolute, never through "..", never too long or too deep. A backslash is a
// character like others, as on AWS, unless this host takes it for the end of a directory's name.
func cleanEntryName(name string) (string, error) {
	switch {
	case len(name) > maxZipPath:
		return "", badZip("entry name longer than 1024 bytes")
	case name == "" || strings.HasPrefix(name, "/") || strings.Contains(name, "\x00") || os.PathSeparator != '/' && strings.ContainsRune(name, os.PathSeparator):
		return "", badZip("bad entry name " + quote(name))
	}
	depth := 0
	for c := range strings.SplitSeq(name, "/") {
		if c == ".." || len(c) > maxZipComponent {
			return "", badZip("bad entry name " + quote(name))
		}
		depth++
	}
	if depth > maxZipDepth {
		return "", badZip("entry name with more than 64 directories")
	}
	return path.Clean(name), nil
}

// checkTree checks the entries against each other: every name once, and nothing below a file or a link.
func checkTree(entries []zipEntry) ([]zipEntry, error) {
	kinds := make(map[string]fs.FileMode, len(entries))
	tree := entries[:0]
	for _, e := range entries {
		kind, seen := kinds[e.name]
		switch {
		case !seen:
			kinds[e.name] = e.mode.Type()
			tree = append(tree, e)
		case kind != fs.ModeDir || e.mode.Type() != fs.ModeDir:
			return nil, badZip("duplicate entry " + quote(e.name))
		}
	}
	for _, e := range tree {
		for parent := path.Dir(e.name); parent != "."; parent = path.Dir(parent) {
			if kind, listed := kinds[parent]; listed && kind != fs.ModeDir {
				return nil, badZip("entry below a file or link: " + quote(e.name))
			}
		}
	}
	slices.SortStableFunc(tree, func(a, b zipEntry) int {
		if d := linkLast(a) - linkLast(b); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	return tree, nil
}

func linkLast(e zipEntry) int {
	if e.mode.Type() == fs.ModeSymlink {
		return 1
	}
	return 0
}

// checkLink accepts a link whose target stays in the tree: relative, ".." only at its beginning and not more often than the
// link is deep. Names after that may be links themselves, which lead into the tree as well.
func checkLink(name, target string) error {
	if target == "" || len(target) > maxZipLink || strings.HasPrefix(target, "/") || strings.Contains(target, "\x00") {
		return badZip("link out of the archive: " + quote(name))
	}
	depth, down := strings.Count(name, "/"), false
	for c := range strings.SplitSeq(target, "/") {
		switch c {
		case "", ".":
		case "..":
			if depth--; depth < 0 || down {
				return badZip("link out of the archive: " + quote(name))
			}
		default:
			down = true
		}
	}
	return nil
}

// quote makes an entry's name safe and short enough for a message.
func quote(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return fmt.Sprintf("%+q", name)
}

// checkEntryCount counts the entries of the table of contents before archive/zip allocates anything for them.
func checkEntryCount(data []byte) error {
	const endSize, headerSize = 22, 46
	end := bytes.LastIndex(data[max(0, len(data)-endSize-65535):], []byte("PK\x05\x06"))
	if end < 0 {
		return badZip("")
	}
	end += max(0, len(data)-endSize-65535)
	if len(data)-end < endSize {
		return badZip("")
	}
	le := binary.LittleEndian
	size, offset := uint64(le.Uint32(data[end+12:])), uint64(le.Uint32(data[end+16:]))
	tableEnd := uint64(end)
	if at, ok := zip64End(data, end); ok {
		size, offset, tableEnd = le.Uint64(data[at+40:]), le.Uint64(data[at+48:]), uint64(at)
	}
	// archive/zip takes the table from its offset, or from where its size says it began if something was put before it.
	for _, at := range []uint64{offset, tableEnd - size} {
		for n := 0; at+headerSize <= uint64(len(data)) && at < uint64(len(data)) && string(data[at:at+4]) == "PK\x01\x02"; n++ {
			if n == maxZipEntries {
				return badZip(fmt.Sprintf("more than %d entries", maxZipEntries))
			}
			h := data[at:]
			at += headerSize + uint64(le.Uint16(h[28:])) + uint64(le.Uint16(h[30:])) + uint64(le.Uint16(h[32:]))
		}
	}
	return nil
}

// zip64End finds the 64-bit end record that a locator right before the end record points to.
func zip64End(data []byte, end int) (at int, ok bool) {
	const locatorSize, endSize = 20, 56
	if end < locatorSize || string(data[end-locatorSize:end-locatorSize+4]) != "PK\x06\x07" {
		return 0, false
	}
	p := binary.LittleEndian.Uint64(data[end-locatorSize+8:])
	if p > uint64(len(data)-endSize) || len(data) < endSize || string(data[p:p+4]) != "PK\x06\x06" {
		return 0, false
	}
	return int(p), true
}

// unpackZip writes checked entries below a directory of root and answers how many bytes the files hold. It stops as soon as
// they hold more than maxUnzipped, whatever the archive's headers say. A nil root only checks: everything is decompressed
// and compared to its check sum, nothing is written.
func unpackZip(ctx context.Context, entries []zipEntry, root *os.Root) (int64, error) {
	var total int64
	made := map[string]bool{".": true}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if root != nil {
			dir := path.Dir(e.name)
			if e.mode.IsDir() {
				dir = e.name
			}
			if err := makeDirs(root, dir, made); err != nil {
				return 0, err
			}
		}
		n, err := unpackEntry(ctx, e, root, maxUnzipped-total)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// makeDirs makes a directory and its parents. made is what is there already.
func makeDirs(root *os.Root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeDirs(root, path.Dir(dir), made); err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return badPath(dir, err)
	}
	if err := root.Chmod(dir, 0o755); err != nil { // whatever the process's umask is
		return badPath(dir, err)
	}
	made[dir] = true
	return nil
}

// unpackEntry writes one entry, at most limit bytes of it.
func unpackEntry(ctx context.Context, e zipEntry, root *os.Root, limit int64) (int64, error) {
	if e.mode.IsDir() {
		return 0, nil
	}
	r, err := e.file.Open()
	if err != nil {
		return 0, badZip("")
	}
	defer r.Close()
	if e.mode.Type() == fs.ModeSymlink {
		return unpackLink(e, r, root)
	}
	var w io.Writer = io.Discard
	if root != nil {
		f, err := root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, badPath(e.name, err)
		}
		defer f.Close()
		w = f
	}
	src := &zipSource{ctx: ctx, r: r}
	n, err := io.Copy(w, io.LimitReader(src, limit+1))
	switch {
	case n > limit:
		return 0, errUnzippedTooLarge
	case src.err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case src.err != nil:
		return 0, badZip("")
	case err != nil:
		return 0, fmt.Errorf("unpack %s: %w", quote(e.name), err)
	}
	if f, ok := w.(*os.File); ok {
		// Chmod and not the mode of open, which the process's umask would cut.
		if err := f.Chmod(e.mode.Perm()); err != nil {
			return 0, fmt.Errorf("unpack %s: %w", quote(e.name), err)
		}
		if err := f.Close(); err != nil {
			return 0, fmt.Errorf("unpack %s: %w", quote(e.name), err)
		}
	}
	return n, nil
}

// unpackLink makes a link, if its target stays in the tree.
func unpackLink(e zipEntry, r io.Reader, root *os.Root) (int64, error) {
	target, err := io.ReadAll(io.LimitReader(r, maxZipLink+1))
	if err != nil {
		return 0, badZip("")
	}
	if err := checkLink(e.name, string(target)); err != nil {
		return 0, err
	}
	if root != nil {
		if err := root.Symlink(string(target), e.name); err != nil {
			return 0, badPath(e.name, err)
		}
	}
	return int64(len(target)), nil
}

// badPath tells names that this host's file system does not take, which are the archive's fault, from a failing disk.
func badPath(name string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EMFILE) ||
		errors.Is(err, syscall.ENFILE) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("unpack %s: %w", quote(name), err)
	}
	return badZip("bad entry name " + quote(name)).(*aws.Error).Because(err)
}

// zipSource remembers whether reading failed, as opposed to writing, and ends with the context.
type zipSource struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *zipSource) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
