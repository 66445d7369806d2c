package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func seed(f *testing.F, entries ...tar.Header) []byte {
	f.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzUnpack unpacks any layer: nothing outside its directory is touched, and nothing in it is what it must not be.
func FuzzUnpack(f *testing.F) {
	f.Add(seed(f, tar.Header{Name: "a/b", Size: 5}, tar.Header{Name: "a/.wh.b"}, tar.Header{Name: "a/.wh..wh..opq"}))
	f.Add(seed(f, tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: "../../canary"}, tar.Header{Name: "s", Size: 1}, tar.Header{Name: "s/x"}))
	f.Add(seed(f, tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: ".."}, tar.Header{Name: "s/canary", Size: 1}))
	f.Add(seed(f, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "../canary"}))
	f.Add(seed(f, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "d/e/f", Size: 2}, tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "d/e/f"}, tar.Header{Name: "d"}))
	f.Add(seed(f, tar.Header{Name: "dev", Typeflag: tar.TypeBlock, Devmajor: 8}, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}))
	f.Add([]byte("\x1f\x8b\x08\x00garbage"))
	f.Add([]byte("\x28\xb5\x2f\xfdgarbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		root := filepath.Join(dir, "fs")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "canary"), []byte("alive"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := Limits{Size: 64 << 10, Entries: 50, Depth: 8}
		b := newBudget(&l)
		s, err := newTarStream(t.Context(), bytes.NewReader(data), &layerOf{sent: v1.Descriptor{Size: int64(len(data))}, unnamed: true}, b)
		if err == nil {
			_, err = unpackTar(s, root, b, &l)
			s.Close()
		}
		if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("an error that is not the layer's fault: %v", err)
		}
		if err != nil && (b.size.Load() != l.Size || b.entries.Load() != l.Entries) {
			t.Errorf("a layer that failed keeps %d bytes and %d entries", l.Size-b.size.Load(), l.Entries-b.entries.Load())
		}
		checkOutside(t, dir)
		checkInside(t, root)
	})
}

func checkOutside(t *testing.T, dir string) {
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 2 {
		t.Errorf("beside the layer there are %v, %v", all, err)
	}
	var st syscall.Stat_t
	alive, err := os.ReadFile(filepath.Join(dir, "canary"))
	if e := syscall.Stat(filepath.Join(dir, "canary"), &st); err != nil || e != nil || string(alive) != "alive" || st.Nlink != 1 || st.Mode&0o777 != 0o600 {
		t.Errorf("the file beside the layer: %q, %v, %v, %+v", alive, err, e, st)
	}
}

func checkInside(t *testing.T, root string) {
	entries, size := 0, int64(0)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		entries++
		st, err := d.Info()
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		switch {
		case st.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0:
			t.Errorf("%s may set its user: %v", p, st.Mode())
		case st.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0, st.Mode()&fs.ModeDevice != 0 && (st.Mode()&fs.ModeCharDevice == 0 || sys.Rdev != 0):
			t.Errorf("%s is %v", p, st.Mode())
		case st.Mode().IsRegular():
			size += st.Size() / int64(max(sys.Nlink, 1))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if entries > 52 || size > 64<<10 {
		t.Errorf("%d entries with %d bytes", entries, size)
	}
}

// FuzzManifest reads any manifest or index, and any configuration.
func FuzzManifest(f *testing.F) {
	hex := strings.Repeat("0", 64)
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:`+hex+`","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:`+hex+`","size":1}]}`), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:`+hex+`","platform":{"os":"linux","architecture":"amd64"}}]}`), "application/vnd.oci.image.index.v1+json")
	f.Add([]byte(`{"os":"linux","architecture":"amd64","config":{"Env":["A=1"],"Entrypoint":["x"]},"rootfs":{"diff_ids":["sha256:`+hex+`"]}}`), "x")
	l := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte, mediaType string) {
		if c, ids, err := parseConfig(data, "amd64"); err == nil {
			if c.Architecture != "amd64" || strings.ContainsRune(strings.Join(append(c.Env, c.Entrypoint...), ""), 0) {
				t.Errorf("config %+v", c)
			}
			for _, id := range ids {
				if len(id.Hex) != 64 || strings.ContainsAny(id.Hex, "/.") {
					t.Errorf("diff id %q", id.Hex)
				}
			}
		}
		doc, err := parseDocument(data, mediaType, &l)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			return
		}
		if (doc.image == nil) == (doc.index == nil) {
			t.Fatalf("it is both or neither: %+v", doc)
		}
		if doc.index != nil {
			if d, err := pick(doc.index, "amd64"); err == nil && (len(d.Digest.Hex) != 64 || strings.ContainsAny(d.Digest.Hex, "/.")) {
				t.Errorf("digest %q", d.Digest)
			}
			return
		}
		if err := checkManifest(doc.image, &l); err != nil {
			return
		}
		sum := int64(0)
		for _, d := range doc.image.Layers {
			if sum += d.Size; d.Size < 0 || sum < 0 || len(d.Digest.Hex) != 64 || strings.ContainsAny(d.Digest.Hex, "/.") {
				t.Errorf("layer %+v", d)
			}
		}
		if sum > l.stream() || len(doc.image.Layers) > l.Layers || doc.image.Config.Size > l.Manifest {
			t.Errorf("%d layers of %d bytes", len(doc.image.Layers), sum)
		}
	})
}

// FuzzEntryName cleans any name: what comes out stays below the root, and is the same if it is cleaned again.
func FuzzEntryName(f *testing.F) {
	for _, s := range []string{"a/b", "./a//b/", "/a", "../a", "a/../b", ".wh.a", "a/.wh..wh..opq", ".wh..wh.plnk/x", "", "/", "a\x00b", "…/ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, meta, err := entryName(s, 10)
		if err != nil || meta {
			return
		}
		if name != "" && (!filepath.IsLocal(name) || filepath.Clean(name) != name || strings.Count(name, "/") > 9 || strings.HasPrefix(name, "/")) {
			t.Errorf("%q becomes %q", s, name)
		}
		if again, _, err := entryName(name, 10); err != nil || again != name {
			t.Errorf("%q becomes %q, and that %q, %v", s, name, again, err)
		}
	})
}

// FuzzArchive reads any docker-archive.
func FuzzArchive(f *testing.F) {
	f.Add(seed(f, tar.Header{Name: "manifest.json", Size: 3}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "l"}))
	f.Add([]byte("nothing"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &Store{opts: Options{Dirs: []string{dir}}, limits: Limits{}.withDefaults()}
		src, err := s.openArchive(fileRef{path: filepath.Join(dir, "a")})
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			return
		}
		defer src.Close()
		a := src.(*archive)
		for name, p := range a.parts {
			if p.offset < 0 || p.size < 0 || p.offset > int64(len(data)) {
				t.Errorf("%q lies at %+v of %d", name, p, len(data))
			}
		}
		_, _, _, err = a.manifest(t.Context())
		if err == nil && len(a.blobs) == 0 {
			t.Error("an image without blobs")
		}
	})
}
