package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layout is an OCI image layout: a directory with index.json and blobs.
// See https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
type layout struct {
	root *os.Root // nothing outside it is read, whatever symbolic links say
	ref  fileRef
	most int64 // bytes of a manifest
}

func (s *Store) openLayout(f fileRef) (source, error) {
	dir, rel, err := s.place(f)
	if err != nil {
		return nil, err
	}
	allowed, err := os.OpenRoot(dir)
	if err != nil {
		return nil, missing(err)
	}
	defer allowed.Close()
	root, err := allowed.OpenRoot(rel)
	if err != nil {
		return nil, missing(err)
	}
	return &layout{root: root, ref: f, most: s.limits.Manifest}, nil
}

// missing tells a file that is not there, or not for us. What is no error of the system is a symbolic link that leads out of the root.
func missing(err error) error {
	var system syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case !errors.As(err, &system):
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return err
}

// openRegular opens a file of a directory, if it is one: a fifo would not answer.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, missing(err)
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%w: %s is no file", ErrInvalid, name)
	}
	return f, nil
}

// Close implements source.
func (l *layout) Close() error { return l.root.Close() }

// pin implements source.
func (l *layout) pin(digest string) string { return layoutScheme + l.ref.path + "@" + digest }

// manifest implements source: without a digest it is the layout's index, or those entries of it that have the tag.
func (l *layout) manifest(context.Context) (data []byte, mediaType, digest string, err error) {
	if l.ref.digest != "" {
		data, err = l.read(blobPath(l.ref.digest))
		return data, "", l.ref.digest, err
	}
	if data, err = l.read("index.json"); err != nil {
		return nil, "", "", err
	}
	doc, err := parseDocument(data, string(types.OCIImageIndex), &Limits{})
	if err != nil {
		return nil, "", "", fmt.Errorf("index.json: %w", err)
	}
	index := doc.index
	const refName = "org.opencontainers.image.ref.name"
	chosen, names := []v1.Descriptor{}, map[string]bool{}
	for _, d := range index.Manifests {
		n := d.Annotations[refName]
		if l.ref.tag == "" || l.ref.tag == n {
			chosen, names[n] = append(chosen, d), true
		}
	}
	if len(chosen) == 0 {
		return nil, "", "", fmt.Errorf("%w: the layout has no image of the name %q", ErrNotFound, l.ref.tag)
	}
	if len(names) > 1 {
		return nil, "", "", fmt.Errorf("%w: the layout has several images: name one, oci:PATH:NAME", ErrInvalid)
	}
	index.SchemaVersion, index.MediaType, index.Manifests = 2, types.OCIImageIndex, chosen
	data, err = json.Marshal(index)
	return data, string(types.OCIImageIndex), "", err
}

// child implements source.
func (l *layout) child(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return l.read(blobPath(d.Digest.String()))
}

// blob implements source.
func (l *layout) blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return openRegular(l.root, blobPath(d.Digest.String()))
}

func (l *layout) read(name string) ([]byte, error) {
	f, err := openRegular(l.root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, l.most)
}

// readAtMost reads all of r, or ErrTooLarge.
func readAtMost(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%w: a manifest of more than %d bytes", ErrTooLarge, most)
	}
	return data, nil
}

// blobPath is where a layout has the blob of a digest, which is checked.
func blobPath(digest string) string {
	hex, ok := digestHex(digest)
	if !ok {
		return "blobs/none"
	}
	return path.Join("blobs", "sha256", hex)
}
