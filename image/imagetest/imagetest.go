// Package imagetest makes container images for tests: layers of files, of directories of the host and of raw tar entries, put into OCI
// layouts, docker-archives and registries.
package imagetest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/enfold-run/enfold/image"
)

// Layer is the tar of a layer, uncompressed.
type Layer []byte

// Entry is one entry of a layer. A header without a type is a file, or a directory if its name ends in a slash; one without a size has
// Body's, and without a mode 0755.
type Entry struct {
	tar.Header
	Body string
}

// File is an entry of a file.
func File(name, body string) Entry { return Entry{Header: tar.Header{Name: name}, Body: body} }

// Tar makes a layer of entries. What tar cannot say is an error.
func Tar(entries ...Entry) (Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if len(h.Name) > 0 && h.Name[len(h.Name)-1] == '/' {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Size == 0 {
			h.Size = int64(len(e.Body))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("entry %q: %w", h.Name, err)
		}
		if _, err := io.WriteString(w, e.Body); err != nil {
			return nil, fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Dir makes a layer of what is below a directory of the host, at the path prefix of the image. Paths that start with one of skip are
// left out; sockets, devices and fifos always are. The same files make the same layer.
func Dir(dir, prefix string, skip ...string) (Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		if slices.Contains(skip, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return add(w, path, filepath.Join(prefix, rel))
	})
	if err != nil {
		return nil, fmt.Errorf("layer of %s: %w", dir, err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Host makes a layer of files of the host at the paths that they have there, their symbolic links followed.
func Host(paths ...string) (Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range paths {
		real, err := filepath.EvalSymlinks(p)
		if err == nil {
			err = add(w, real, p)
		}
		if err != nil {
			return nil, fmt.Errorf("layer: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// add writes a file of the host to a tar, as to.
func add(w *tar.Writer, path, to string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	h := &tar.Header{Name: filepath.ToSlash(to), Mode: int64(st.Mode().Perm())}
	for len(h.Name) > 0 && h.Name[0] == '/' {
		h.Name = h.Name[1:]
	}
	switch st.Mode().Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return w.WriteHeader(h)
	case fs.ModeSymlink:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(path); err != nil {
			return err
		}
		return w.WriteHeader(h)
	case 0:
	default:
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// New makes an image, for linux, with its layers compressed by gzip. The lowest layer is the first.
func New(c image.Config, layers ...Layer) (v1.Image, error) {
	img := v1.Image(empty.Image)
	for _, l := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l)), nil })
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	f, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	f = f.DeepCopy()
	f.OS, f.Architecture = "linux", c.Architecture
	f.Config = v1.Config{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
	return mutate.ConfigFile(img, f)
}

// WriteLayout adds an image to the OCI layout in dir, which is made if it is not there: "oci:DIR:TAG".
func WriteLayout(dir, tag string, img v1.Image) error {
	l, err := layout.FromPath(dir)
	if err != nil {
		if l, err = layout.Write(dir, empty.Index); err != nil {
			return err
		}
	}
	return l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
}

// WriteArchive writes an image as `docker save` does: "docker-archive:PATH".
func WriteArchive(path, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, img)
}

// Push pushes an image to a registry, by host:port/repository:tag. A registry of this host need not have TLS. Auth and through may be nil.
func Push(ctx context.Context, ref string, img v1.Image, auth *image.Auth, through http.RoundTripper) error {
	r, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	opts := []remote.Option{remote.WithContext(ctx)}
	if auth != nil {
		opts = append(opts, remote.WithAuth(&authn.Basic{Username: auth.Username, Password: auth.Password}))
	}
	if through != nil {
		opts = append(opts, remote.WithTransport(through))
	}
	return remote.Write(r, img, opts...)
}
