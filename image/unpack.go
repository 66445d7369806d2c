package image

import (
	"fmt"
	"path"
	"strings"
)

// Marks of what a layer removes from those below it.
// See https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh." // of AUFS: but for the next one they mean nothing here
	whiteoutOpaque = ".wh..wh..opq"
)

// Bounds of names, as the kernel has them.
const (
	maxName = 255
	maxPath = 4095
)

// entryName is an entry's path below the layer's root: without a slash at its ends, "" for the root itself. Meta says that it is one of
// AUFS's own files, which are left out.
func entryName(name string, depth int) (clean string, meta bool, err error) {
	if len(name) > maxPath || strings.IndexByte(name, 0) >= 0 {
		return "", false, fmt.Errorf("%w: a path of %d bytes, or with a NUL", ErrInvalid, len(name))
	}
	n := 0
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", false, fmt.Errorf(`%w: the path %q has a ".."`, ErrInvalid, clip(name))
		case part == "" || part == ".":
			continue
		case len(part) > maxName:
			return "", false, fmt.Errorf("%w: the path %q has a name of more than %d bytes", ErrInvalid, clip(name), maxName)
		}
		if n++; n > depth {
			return "", false, fmt.Errorf("%w: the path %q is more than %d directories deep", ErrInvalid, clip(name), depth)
		}
	}
	clean = strings.TrimPrefix(path.Clean("/"+name), "/")
	dir := path.Dir(clean)
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, whiteoutMeta) {
			return clean, true, nil
		}
		if strings.HasPrefix(part, whiteoutPrefix) {
			return "", false, fmt.Errorf("%w: the path %q goes through a whiteout", ErrInvalid, clip(name))
		}
	}
	base := path.Base(clean)
	return clean, strings.HasPrefix(base, whiteoutMeta) && base != whiteoutOpaque, nil
}

// whiteoutOf is the name that a whiteout removes.
func whiteoutOf(base string) (string, error) {
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return "", fmt.Errorf("%w: the whiteout %q is of no file", ErrInvalid, base)
	}
	return name, nil
}
