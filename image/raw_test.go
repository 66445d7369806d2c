package image_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// raw is an image in which nothing has to fit.
type raw struct {
	layers []rawLayer
	config func(*v1.ConfigFile)
	change func(*v1.Manifest)
}

// rawLayer is sent as it is. Empty fields are the right ones.
type rawLayer struct {
	sent   []byte
	diffID string // hex
	digest string // hex
	size   int64
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func hashOf(hex string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: hex} }

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// layout is a directory with blobs that an index.json leads to.
type layoutDir struct {
	t   *testing.T
	dir string
}

// blob writes a blob under its digest, or under another's.
func (l layoutDir) blob(b []byte, as string) v1.Descriptor {
	l.t.Helper()
	if as == "" {
		as = sum(b)
	}
	dir := filepath.Join(l.dir, "blobs", "sha256")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, as), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return v1.Descriptor{Digest: hashOf(as), Size: int64(len(b))}
}

func (l layoutDir) json(v any, mediaType types.MediaType) v1.Descriptor {
	l.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	d := l.blob(b, "")
	d.MediaType = mediaType
	return d
}

func (l layoutDir) index(entries ...v1.Descriptor) {
	l.t.Helper()
	b, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "index.json"), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// manifest writes an image and answers its descriptor.
func (l layoutDir) manifest(r raw) v1.Descriptor {
	l.t.Helper()
	c := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, x := range r.layers {
		d := l.blob(x.sent, x.digest)
		d.MediaType = types.OCILayer
		if x.size != 0 {
			d.Size = x.size
		}
		m.Layers = append(m.Layers, d)
		if x.diffID == "" {
			x.diffID = sum(unzipped(l.t, x.sent))
		}
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, hashOf(x.diffID))
	}
	if r.config != nil {
		r.config(&c)
	}
	m.Config = l.json(c, types.OCIConfigJSON)
	if r.change != nil {
		r.change(&m)
	}
	return l.json(m, types.OCIManifestSchema1)
}

// unzipped is b itself if it is not compressed.
func unzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		return b
	}
	return out.Bytes()
}

// rawImage writes an image into a layout of its own, and answers the reference.
func (f *fixture) rawImage(t *testing.T, r raw) string {
	t.Helper()
	l := layoutDir{t, filepath.Join(f.files, "raw")}
	l.index(l.manifest(r))
	return "oci:" + l.dir
}
