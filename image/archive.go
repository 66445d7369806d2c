package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxArchive is how many entries a docker-archive may have.
const maxArchive = 10_000

// archive is what `docker save` writes: a tar with manifest.json, configurations and layers. It has no manifests of images, so that
// one is made: its layers are their own diff ids, and it is the same for the same image.
type archive struct {
	file  *os.File
	ref   fileRef
	most  int64
	parts map[string]part
	// blobs are parts by digest, for the image that was chosen: its configuration and its layers by diff id.
	blobs map[string]string
}

// part is where an entry's bytes lie in the file.
type part struct {
	offset, size int64
	link         string // another part's name, instead
}

func (s *Store) openArchive(f fileRef) (source, error) {
	dir, rel, err := s.place(f)
	if err != nil {
		return nil, err
	}
	allowed, err := os.OpenRoot(dir)
	if err != nil {
		return nil, missing(err)
	}
	defer allowed.Close()
	file, err := openRegular(allowed, rel)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, ref: f, most: s.limits.Manifest, parts: map[string]part{}, blobs: map[string]string{}}
	if err := a.scan(); err != nil {
		file.Close()
		return nil, err
	}
	return a, nil
}

// scan finds the parts. A tar reader on a file reads headers and skips the rest, so the file's position is where an entry begins.
func (a *archive) scan() error {
	tr := tar.NewReader(a.file)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: it is no docker-archive (uncompressed): %w", ErrInvalid, err)
		}
		if n >= maxArchive {
			return fmt.Errorf("%w: a docker-archive of more than %d entries", ErrTooLarge, maxArchive)
		}
		at, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("read docker-archive: %w", err)
		}
		switch name := path.Clean(h.Name); h.Typeflag {
		case tar.TypeReg:
			if h.PAXRecords["GNU.sparse.major"] == "" {
				a.parts[name] = part{offset: at, size: h.Size}
			}
		case tar.TypeSymlink:
			a.parts[name] = part{link: path.Join(path.Dir(name), h.Linkname)}
		case tar.TypeLink:
			a.parts[name] = part{link: path.Clean(h.Linkname)}
		}
	}
}

// section is an entry's bytes.
func (a *archive) section(name string) (*io.SectionReader, error) {
	name = path.Clean(name)
	for range 8 {
		p, ok := a.parts[name]
		if !ok {
			return nil, fmt.Errorf("%w: the docker-archive has no %q", ErrInvalid, clip(name))
		}
		if p.link == "" {
			return io.NewSectionReader(a.file, p.offset, p.size), nil
		}
		name = p.link
	}
	return nil, fmt.Errorf("%w: links of the docker-archive lead in circles", ErrInvalid)
}

func (a *archive) read(name string) ([]byte, error) {
	r, err := a.section(name)
	if err != nil {
		return nil, err
	}
	return readAtMost(r, a.most)
}

// saved is one image of manifest.json.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Close implements source.
func (a *archive) Close() error { return a.file.Close() }

// pin implements source.
func (a *archive) pin(digest string) string { return archiveScheme + a.ref.path + "@" + digest }

// manifest implements source: it makes the manifest of the image that is asked for.
func (a *archive) manifest(ctx context.Context) (data []byte, mediaType, digest string, err error) {
	list, err := a.read("manifest.json")
	if err != nil {
		return nil, "", "", err
	}
	var all []saved
	if err := countElements(bytes.TrimSpace(list), maxIndex, "images"); err != nil {
		return nil, "", "", err
	}
	if err := json.Unmarshal(list, &all); err != nil {
		return nil, "", "", fmt.Errorf("%w: manifest.json cannot be read: %w", ErrInvalid, err)
	}
	if a.ref.tag != "" {
		all = slices.DeleteFunc(all, func(s saved) bool { return !slices.Contains(s.RepoTags, a.ref.tag) })
	}
	if a.ref.digest == "" && len(all) > 1 {
		return nil, "", "", fmt.Errorf("%w: the docker-archive has several images: name one, docker-archive:PATH:NAME:TAG", ErrInvalid)
	}
	for i := range all {
		if ctx.Err() != nil {
			return nil, "", "", ctx.Err()
		}
		if data, err = a.describe(&all[i]); err != nil {
			return nil, "", "", err
		}
		if a.ref.digest == "" || a.ref.digest == digestOf(data) {
			return data, string(types.OCIManifestSchema1), a.ref.digest, nil
		}
	}
	return nil, "", "", fmt.Errorf("%w: the docker-archive has no such image", ErrNotFound)
}

// describe makes the manifest of an image, and remembers where its blobs are.
func (a *archive) describe(s *saved) ([]byte, error) {
	raw, err := a.read(s.Config)
	if err != nil {
		return nil, err
	}
	var c struct {
		RootFS v1.RootFS `json:"rootfs"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: its configuration cannot be read: %w", ErrInvalid, err)
	}
	if len(c.RootFS.DiffIDs) != len(s.Layers) {
		return nil, fmt.Errorf("%w: manifest.json has %d layers and the configuration %d", ErrInvalid, len(s.Layers), len(c.RootFS.DiffIDs))
	}
	h, err := v1.NewHash(digestOf(raw))
	if err != nil {
		return nil, err
	}
	clear(a.blobs)
	a.blobs[h.String()] = s.Config
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Size: int64(len(raw)), Digest: h},
	}
	for i, id := range c.RootFS.DiffIDs {
		r, err := a.section(s.Layers[i])
		if err != nil {
			return nil, err
		}
		a.blobs[id.String()] = s.Layers[i]
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Size: r.Size(), Digest: id})
	}
	return json.Marshal(m)
}

// child implements source: there are no indexes.
func (a *archive) child(context.Context, v1.Descriptor) ([]byte, error) {
	return nil, fmt.Errorf("%w: an index in a docker-archive", ErrInvalid)
}

// blob implements source.
func (a *archive) blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	name, ok := a.blobs[d.Digest.String()]
	if !ok {
		return nil, fmt.Errorf("%w: the docker-archive has no %s", ErrInvalid, d.Digest)
	}
	r, err := a.section(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}
