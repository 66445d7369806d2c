package image

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Kinds of references to files.
const (
	layoutScheme  = "oci:"
	archiveScheme = "docker-archive:"
)

// maxRef is how long a reference may be, in bytes.
const maxRef = 4096

// open finds where a reference leads and whether it may be followed. Only a registry is asked anything.
func (s *Store) open(ctx context.Context, r Request) (source, error) {
	if len(r.Ref) > maxRef || strings.IndexByte(r.Ref, 0) >= 0 {
		return nil, fmt.Errorf("%w: it is no reference to an image", ErrInvalid)
	}
	if rest, ok := strings.CutPrefix(r.Ref, layoutScheme); ok {
		return s.openLayout(parseFile(rest))
	}
	if rest, ok := strings.CutPrefix(r.Ref, archiveScheme); ok {
		return s.openArchive(parseFile(rest))
	}
	ref, err := name.ParseReference(r.Ref)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no reference to an image", ErrInvalid)
	}
	return s.openRegistry(ctx, ref, r.Auth)
}

// fileRef is a reference to images in a file or directory.
type fileRef struct {
	path   string
	tag    string // of one of several images
	digest string // or its manifest's
}

// parseFile reads PATH[:TAG][@DIGEST]. A path has no colon and no "@".
func parseFile(s string) fileRef {
	var f fileRef
	s, f.digest, _ = strings.Cut(s, "@")
	f.path, f.tag, _ = strings.Cut(s, ":")
	return f
}

// place finds the directory that the operator allows and in which the path lies.
func (s *Store) place(f fileRef) (dir, rel string, err error) {
	if !filepath.IsAbs(f.path) {
		return "", "", fmt.Errorf("%w: %q is no absolute path", ErrInvalid, f.path)
	}
	if _, ok := digestHex(f.digest); f.digest != "" && !ok {
		return "", "", fmt.Errorf("%w: %q is no digest", ErrInvalid, f.digest)
	}
	path := filepath.Clean(f.path)
	for _, dir := range s.opts.Dirs {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			return dir, rel, nil
		}
	}
	return "", "", fmt.Errorf("%w: %s is in no directory that the operator of this server allows", ErrNotAllowed, path)
}
