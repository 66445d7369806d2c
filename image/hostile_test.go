package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// small are limits that a test reaches.
func small(o *image.Options) {
	o.Limits = image.Limits{Size: 1 << 20, Entries: 200, Layers: 5, Depth: 20, Manifest: 256 << 10}
}

func link(name, to string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}}
}

func symlink(name, to string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}}
}

// TestHostileLayers refuses layers, and finds nothing of them afterwards, inside the store or out.
func TestHostileLayers(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []imagetest.Entry
		want    error
		says    string
	}{
		{"a parent", []imagetest.Entry{imagetest.File("../out", "x")}, image.ErrInvalid, ".."},
		{"a parent in the middle", []imagetest.Entry{imagetest.File("a/../../out", "x")}, image.ErrInvalid, ".."},
		{"a parent of the root", []imagetest.Entry{imagetest.File("/../../out", "x")}, image.ErrInvalid, ".."},
		{"a hard link to a parent", []imagetest.Entry{link("x", "../../../../etc/passwd")}, image.ErrInvalid, ".."},
		{"a hard link to the host", []imagetest.Entry{link("x", "/etc/passwd")}, image.ErrInvalid, "does not have"},
		{"a hard link through a symbolic one", []imagetest.Entry{symlink("etc", "/../../../../../../etc"), link("x", "etc/passwd")}, image.ErrInvalid, "does not have"},
		{"a hard link to a directory", []imagetest.Entry{imagetest.File("d/", ""), link("x", "d")}, image.ErrInvalid, "no file"},
		{"a hard link to the root", []imagetest.Entry{link("x", "/")}, image.ErrInvalid, "does not have"},
		{"a hard link to a whiteout", []imagetest.Entry{imagetest.File(".wh.a", ""), link("x", "a")}, image.ErrInvalid, "no file"},
		{"a path through a symbolic link out", []imagetest.Entry{symlink("out", "../../../.."), imagetest.File("out/planted/x", "x"), imagetest.File("../x", "")}, image.ErrInvalid, ".."},
		{"a path through a link to nowhere", []imagetest.Entry{symlink("out", "/nowhere"), imagetest.File("out/x", "x")}, image.ErrInvalid, "no directory"},
		{"a path through a link to itself", []imagetest.Entry{symlink("out", "out"), imagetest.File("out/x", "x")}, image.ErrInvalid, "out/x"},
		{"a path through a file", []imagetest.Entry{imagetest.File("a/", ""), imagetest.File("a/x", ""), imagetest.File("a", "file"), imagetest.File("a/y", "")}, image.ErrInvalid, "no directory"},
		{"a whiteout of the parent", []imagetest.Entry{imagetest.File("a/.wh...", "")}, image.ErrInvalid, "whiteout"},
		{"a whiteout of the directory", []imagetest.Entry{imagetest.File("a/.wh..", "")}, image.ErrInvalid, "whiteout"},
		{"a whiteout of nothing", []imagetest.Entry{imagetest.File(".wh.", "")}, image.ErrInvalid, "whiteout"},
		{"a path through a whiteout", []imagetest.Entry{imagetest.File(".wh.a/b", "")}, image.ErrInvalid, "whiteout"},
		{"a root that is a file", []imagetest.Entry{imagetest.File(".", "x")}, image.ErrInvalid, "no directory"},
		{"a name that is too long", []imagetest.Entry{imagetest.File(strings.Repeat("n", 256), "x")}, image.ErrInvalid, "255"},
		{"a path that is too long", []imagetest.Entry{imagetest.File(strings.Repeat("n/", 2100)+"x", "x")}, image.ErrInvalid, "bytes"},
		{"a path that is too deep", []imagetest.Entry{imagetest.File(strings.Repeat("d/", 20)+"x", "x")}, image.ErrInvalid, "deep"},
		{"a symbolic link that is too long", []imagetest.Entry{symlink("x", strings.Repeat("n/", 2100))}, image.ErrInvalid, "symbolic link"},
		{"a symbolic link to nothing", []imagetest.Entry{symlink("x", "")}, image.ErrInvalid, "symbolic link"},
		{"a type that nobody knows", []imagetest.Entry{{Header: tar.Header{Name: "x", Typeflag: 'Z'}}}, image.ErrInvalid, "type"},
		{"too many entries", manyEntries(201), image.ErrTooLarge, "entries"},
		{"too many directories that nobody names", deepEntries(15), image.ErrTooLarge, "entries"},
		{"too much in files", []imagetest.Entry{imagetest.File("x", strings.Repeat("a", 1<<19)), imagetest.File("y", strings.Repeat("b", 1<<19+1))}, image.ErrTooLarge, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, small)
			_, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: zipped(t, layer(t, c.entries...))}}})))
			if !errors.Is(err, c.want) || !strings.Contains(f.text(err), c.says) {
				t.Errorf("%v, want %v and %q", err, c.want, c.says)
			}
			f.clean(t, 0, 0)
			for _, planted := range []string{"out", "x", "tmp/out", "../out", "planted", "tmp/x"} {
				if _, err := os.Lstat(filepath.Join(f.dir, planted)); err == nil {
					t.Errorf("%s was planted", planted)
				}
			}
		})
	}
}

// text is an error without the paths of the test, which have its name.
func (f *fixture) text(err error) string { return strings.ReplaceAll(fmt.Sprint(err), f.files, "") }

func manyEntries(n int) (all []imagetest.Entry) {
	for i := range n {
		all = append(all, imagetest.File(fmt.Sprint(i), ""))
	}
	return all
}

// deepEntries are n entries in fifteen directories each that only the paths name.
func deepEntries(n int) (all []imagetest.Entry) {
	for i := range n {
		all = append(all, imagetest.File(fmt.Sprint(i)+strings.Repeat("/d", 15), ""))
	}
	return all
}

// TestHostileStreams refuses what is no layer, or one that is not what its image says.
func TestHostileStreams(t *testing.T) {
	good := layer(t, imagetest.File("a", "a"))
	zeros := layer(t, imagetest.File("a", strings.Repeat("\x00", 4<<20)))
	for _, c := range []struct {
		name  string
		layer rawLayer
		want  error
		says  string
	}{
		{"a digest that is another's", rawLayer{sent: zipped(t, good), digest: sum([]byte("other"))}, image.ErrInvalid, "digest"},
		{"a diff id that is another's", rawLayer{sent: zipped(t, good), diffID: sum([]byte("other"))}, image.ErrInvalid, "diff id"},
		{"longer than its descriptor", rawLayer{sent: zipped(t, good), size: 10}, image.ErrInvalid, "longer"},
		{"shorter than its descriptor", rawLayer{sent: zipped(t, good), size: 1000}, image.ErrInvalid, "manifest says"},
		{"something after its end", rawLayer{sent: append(zipped(t, good), "garbage"...), diffID: sum(good)}, image.ErrInvalid, "decompressed"},
		{"cut off", rawLayer{sent: zipped(t, good)[:40], diffID: sum(good)}, image.ErrInvalid, "decompressed"},
		{"a tar that is cut off", rawLayer{sent: good[:300]}, image.ErrInvalid, "tar"},
		{"a file that is cut off", rawLayer{sent: layer(t, imagetest.File("a", strings.Repeat("a", 5000)))[:2000]}, image.ErrInvalid, "too early"},
		{"no tar", rawLayer{sent: bytes.Repeat([]byte("x"), 2000)}, image.ErrInvalid, "tar"},
		{"a header that is no gzip", rawLayer{sent: []byte("\x1f\x8b garbage")}, image.ErrInvalid, "decompressed"},
		{"a bomb of zeros", rawLayer{sent: zipped(t, zeros)}, image.ErrTooLarge, "bytes"},
		{"a bomb after the tar's end", rawLayer{sent: zipped(t, append(bytes.Clone(good), make([]byte, 4<<20)...))}, image.ErrTooLarge, "bytes"},
		{"a sparse bomb", rawLayer{sent: sparse(t, 1<<50)}, image.ErrTooLarge, "bytes"},
		{"a zstd window of 1 GiB", rawLayer{sent: []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 1, 0, 0}, diffID: sum(good)}, image.ErrInvalid, "decompressed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, small)
			_, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{c.layer}})))
			if !errors.Is(err, c.want) || !strings.Contains(f.text(err), c.says) {
				t.Errorf("%v, want %v and %q", err, c.want, c.says)
			}
			f.clean(t, 0, 0)
		})
	}
}

// sparse is a tar of a file that is size bytes long and holds one block.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	m := fmt.Sprintf("1\n%d\n512\n", size-512)
	body := m + strings.Repeat("\x00", 512-len(m)) + strings.Repeat("x", 512)
	// A writer of tars refuses these records: they are put in under names of the same length.
	err := w.WriteHeader(&tar.Header{Name: "sparse", Mode: 0o600, Size: int64(len(body)), Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{
		"PAX.sparse.major": "1", "PAX.sparse.minor": "0", "PAX.sparse.name": "sparse", "PAX.sparse.realsize": fmt.Sprint(size),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := bytes.ReplaceAll(b.Bytes(), []byte("PAX.sparse"), []byte("GNU.sparse"))
	h, err := tar.NewReader(bytes.NewReader(out)).Next()
	if err != nil || h.Size != size {
		t.Fatalf("the sparse tar is none: %+v, %v", h, err)
	}
	return out
}

// TestCompression reads layers however they are compressed, whatever they are said to be.
func TestCompression(t *testing.T) {
	tarball := layer(t, imagetest.File("a", "plain"))
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(tarball); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		sent []byte
	}{
		{"not at all", tarball},
		{"gzip", zipped(t, tarball)},
		{"gzip in two members", append(zipped(t, tarball[:600]), zipped(t, tarball[600:])...)},
		{"zstd", z.Bytes()},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, small)
			img, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: c.sent, diffID: sum(tarball)}}})))
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, img.Layers[0]+"/a"); got != "plain" {
				t.Errorf("a is %q", got)
			}
			f.clean(t, 1, 1)
		})
	}
}

// TestHostileManifests refuses what leads to no image, or to one that is not for us.
func TestHostileManifests(t *testing.T) {
	one := []rawLayer{{sent: layer(t, imagetest.File("a", "a"))}}
	manifest := func(change func(*v1.Manifest)) func(layoutDir) {
		return func(l layoutDir) { l.index(l.manifest(raw{layers: one, change: change})) }
	}
	config := func(change func(*v1.ConfigFile)) func(layoutDir) {
		return func(l layoutDir) { l.index(l.manifest(raw{layers: one, config: change})) }
	}
	text := func(s string) func(layoutDir) {
		return func(l layoutDir) {
			d := l.blob([]byte(s), "")
			d.MediaType = types.OCIManifestSchema1
			l.index(d)
		}
	}
	for _, c := range []struct {
		name string
		make func(layoutDir)
		want error
		says string
	}{
		{"no layers", func(l layoutDir) { l.index(l.manifest(raw{})) }, image.ErrInvalid, "no layers"},
		{"too many layers", manifest(func(m *v1.Manifest) { m.Layers = slices.Repeat(m.Layers, 6) }), image.ErrTooLarge, "more than 5 layers"},
		{"fewer layers than diff ids", config(func(c *v1.ConfigFile) { c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0]) }), image.ErrInvalid, "1 layers"},
		{"an unusable diff id", config(func(c *v1.ConfigFile) { c.RootFS.DiffIDs[0].Hex = "../../../etc" }), image.ErrInvalid, "configuration"},
		{"an unusable digest", manifest(func(m *v1.Manifest) { m.Layers[0].Digest = v1.Hash{Algorithm: "md5", Hex: "x"} }), image.ErrInvalid, ""},
		{"a negative size", manifest(func(m *v1.Manifest) { m.Layers[0].Size = -1 }), image.ErrInvalid, "digest"},
		{"layers larger than what they may hold", manifest(func(m *v1.Manifest) { m.Layers[0].Size = 1 << 40 }), image.ErrTooLarge, "larger"},
		{"a layer of another kind", manifest(func(m *v1.Manifest) { m.Layers[0].MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip" }), image.ErrInvalid, "helm"},
		{"something that is no image", manifest(func(m *v1.Manifest) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }), image.ErrInvalid, "helm"},
		{"a huge configuration", manifest(func(m *v1.Manifest) { m.Config.Size = 1 << 40 }), image.ErrTooLarge, "configuration"},
		{"a configuration that is not there", manifest(func(m *v1.Manifest) { m.Config.Digest = hashOf(sum([]byte("no"))) }), image.ErrNotFound, ""},
		{"another machine", config(func(c *v1.ConfigFile) { c.Architecture = "s390x" }), image.ErrArchitecture, "s390x"},
		{"another system", config(func(c *v1.ConfigFile) { c.OS = "windows" }), image.ErrArchitecture, "windows"},
		{"no machine", config(func(c *v1.ConfigFile) { c.Architecture, c.OS = "", "" }), image.ErrArchitecture, "want linux/amd64"},
		{"a NUL in an argument", config(func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"a\x00b"} }), image.ErrInvalid, "NUL"},
		{"an environment that is none", config(func(c *v1.ConfigFile) { c.Config.Env = []string{"=x"} }), image.ErrInvalid, "NAME=value"},
		{"no JSON", text("{"), image.ErrInvalid, "JSON"},
		{"another kind of JSON", text("[]"), image.ErrInvalid, "JSON"},
		{"an old schema", text(`{"schemaVersion":1,"layers":[]}`), image.ErrInvalid, "schema"},
		{"both an index and an image", text(`{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}`), image.ErrInvalid, "neither"},
		{"an index that is sent as an image", text(`{"schemaVersion":2,"manifests":[]}`), image.ErrInvalid, "neither"},
		{"a manifest that calls itself otherwise", text(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"layers":[]}`), image.ErrInvalid, "calls itself"},
		{"a huge manifest", text(`{"schemaVersion":2,"config":{},"layers":[],"x":"` + strings.Repeat("x", 257<<10) + `"}`), image.ErrTooLarge, "manifest"},
		{"a manifest under another's digest", func(l layoutDir) {
			d := l.manifest(raw{layers: one})
			d.Digest = l.blob([]byte(content(l.t, filepath.Join(l.dir, "blobs/sha256", d.Digest.Hex))), sum([]byte("x"))).Digest
			l.index(d)
		}, image.ErrInvalid, "has the digest"},
		{"a configuration under another's digest", manifest(func(m *v1.Manifest) { m.Config.Digest = hashOf(m.Layers[0].Digest.Hex) }), image.ErrInvalid, "has the digest"},
		{"indexes in indexes", func(l layoutDir) {
			d := l.manifest(raw{layers: one})
			for range 4 {
				d = l.json(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{d}}, types.OCIImageIndex)
			}
			l.index(d)
		}, image.ErrInvalid, "deep"},
		{"an index in itself", func(l layoutDir) {
			self := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hashOf(sum([]byte("self")))}
			l.blob([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:`+self.Digest.Hex+`"}]}`), self.Digest.Hex)
			l.index(self)
		}, image.ErrInvalid, "has the digest"},
		{"too large an index", func(l layoutDir) { l.index(slices.Repeat([]v1.Descriptor{{Digest: hashOf(sum(nil))}}, 1001)...) }, image.ErrTooLarge, "more than 1000 manifests"},
		{"other platforms alone", func(l layoutDir) {
			d := l.manifest(raw{layers: one})
			d.Platform = &v1.Platform{OS: "linux", Architecture: "riscv64"}
			l.index(d)
		}, image.ErrArchitecture, "linux/riscv64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, small)
			l := layoutDir{t, f.files}
			c.make(l)
			_, err := f.Pull(t.Context(), asked("oci:"+l.dir))
			if !errors.Is(err, c.want) || !strings.Contains(f.text(err), c.says) {
				t.Errorf("%v, want %v and %q", err, c.want, c.says)
			}
			f.clean(t, 0, 0)
		})
	}
}

// TestIndex picks the image of the platform that is asked for.
func TestIndex(t *testing.T) {
	f := open(t)
	l := layoutDir{t, f.files}
	var all []v1.Descriptor
	for _, arch := range []string{"unknown", "arm64", "amd64"} {
		d := l.manifest(raw{layers: []rawLayer{{sent: layer(t, imagetest.File("arch", arch))}}, config: func(c *v1.ConfigFile) { c.Architecture = arch }})
		d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		if arch == "unknown" {
			d.Platform.OS = arch
		}
		all = append(all, d)
	}
	l.index(l.json(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: all}, types.OCIImageIndex))
	for i, arch := range []string{"arm64", "amd64"} {
		img, err := f.Pull(t.Context(), image.Request{Ref: "oci:" + l.dir, Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, img.Layers[0]+"/arch"); got != arch || img.Digest != all[i+1].Digest.String() || img.Config.Architecture != arch {
			t.Errorf("asked for %s, got %s of %q, %s", arch, got, img.Config.Architecture, img.Digest)
		}
	}
}
