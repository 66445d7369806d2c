package image_test

import (
	"archive/tar"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a Store in a directory of its own, which may reach loopback registries without TLS and files below files.
type fixture struct {
	*image.Store
	dir   string
	files string
}

func open(t *testing.T, change ...func(*image.Options)) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), files: t.TempDir()}
	o := image.Options{
		AllowHost: func(string) bool { return true }, PlainHost: func(h string) bool { return strings.HasPrefix(h, "127.0.0.1:") },
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Dirs: []string{f.files},
	}
	for _, c := range change {
		c(&o)
	}
	s, err := image.Open(f.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	t.Cleanup(s.Close)
	return f
}

func layer(t *testing.T, entries ...imagetest.Entry) imagetest.Layer {
	t.Helper()
	l, err := imagetest.Tar(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func build(t *testing.T, layers ...imagetest.Layer) v1.Image {
	t.Helper()
	img, err := imagetest.New(image.Config{Architecture: "amd64", Entrypoint: []string{"/bin/it"}, Env: []string{"A=1"}}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// newRegistry is a registry on loopback, and its host:port.
func newRegistry(t *testing.T, around func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if around != nil {
		h = around(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	if err := imagetest.Push(t.Context(), ref, img, nil, tr); err != nil {
		t.Fatal(err)
	}
}

// asked is a request as everybody's.
func asked(ref string) image.Request {
	return image.Request{Ref: ref, Architecture: "amd64", Owner: "111111111111"}
}

// tree lists what is below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	all := []string{}
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err == nil && p != dir {
			all = append(all, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// clean fails if anything is left in a store but what is whole.
func (f *fixture) clean(t *testing.T, images, layers int) {
	t.Helper()
	u, err := f.Usage()
	if err != nil || u.Images != images || u.Layers != layers {
		t.Errorf("the store has %+v, %v; want %d images, %d layers", u, err, images, layers)
	}
	if left := tree(t, filepath.Join(f.dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestPull pulls the same image from everywhere.
func TestPull(t *testing.T) {
	f := open(t)
	img := build(t, layer(t, imagetest.File("bin/it", "one"), imagetest.File("etc/a", "a")), layer(t, imagetest.File("bin/it", "two")))
	host := newRegistry(t, nil)
	push(t, host+"/some/thing:v1", img)
	if err := imagetest.WriteLayout(filepath.Join(f.files, "layout"), "v1", img); err != nil {
		t.Fatal(err)
	}
	if err := imagetest.WriteArchive(filepath.Join(f.files, "a.tar"), "some/thing:v1", img); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, ref string
		same      bool // the manifest is the one that was made
	}{
		{"a registry, by tag", host + "/some/thing:v1", true},
		{"a registry, by digest", host + "/some/thing@" + digest(t, img), true},
		{"a layout's only image", "oci:" + f.files + "/layout", true},
		{"a layout, by name", "oci:" + f.files + "/layout:v1", true},
		{"a layout, by digest", "oci:" + f.files + "/layout@" + digest(t, img), true},
		{"an archive's only image", "docker-archive:" + f.files + "/a.tar", false},
		{"an archive, by name", "docker-archive:" + f.files + "/a.tar:some/thing:v1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			resolved, err := f.Resolve(t.Context(), asked(c.ref))
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Pull(t.Context(), asked(c.ref))
			if err != nil {
				t.Fatal(err)
			}
			if c.same && got.Digest != digest(t, img) || resolved.Digest != got.Digest || resolved.Ref != got.Ref {
				t.Errorf("digest %s (resolved %s), ref %s (%s)", got.Digest, resolved.Digest, got.Ref, resolved.Ref)
			}
			if !slices.Equal(got.Config.Entrypoint, []string{"/bin/it"}) || !slices.Equal(got.Config.Env, []string{"A=1"}) || got.Config.Architecture != "amd64" {
				t.Errorf("config %+v", got.Config)
			}
			if len(got.Layers) != 2 || content(t, got.Layers[0]+"/bin/it") != "one" || content(t, got.Layers[1]+"/bin/it") != "two" || got.Size != 7 {
				t.Errorf("layers %q, %d bytes", got.Layers, got.Size)
			}
			again, err := f.Pull(t.Context(), asked(got.Ref))
			if err != nil || again.Digest != got.Digest {
				t.Errorf("pulled by %s: %+v, %v", got.Ref, again, err)
			}
			kept, err := f.Get(got.Digest)
			if err != nil || !slices.Equal(kept.Layers, got.Layers) || !slices.Equal(kept.Config.Env, got.Config.Env) {
				t.Errorf("from disk: %+v, %v", kept, err)
			}
		})
	}
	f.clean(t, 2, 2) // the archive's manifest is another, its layers are the same
	s, err := image.Open(f.dir, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := s.Get(digest(t, img)); err != nil || content(t, kept.Layers[1]+"/bin/it") != "two" {
		t.Errorf("after a new start: %+v, %v", kept, err)
	}
}

// TestLayerOnce counts what is asked of a registry: a layer once, and once more for a stranger.
func TestLayerOnce(t *testing.T) {
	base := layer(t, imagetest.File("base", strings.Repeat("x", 1000)))
	blobs := 0
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				blobs++
			}
			h.ServeHTTP(w, r)
		})
	})
	f := open(t)
	for i, tag := range []string{"a", "b", "c"} {
		push(t, host+"/x:"+tag, build(t, base, layer(t, imagetest.File("own", tag))))
		if _, err := f.Pull(t.Context(), asked(host+"/x:"+tag)); err != nil {
			t.Fatal(err)
		}
		if want := 3 + 2*i; blobs != want {
			t.Errorf("%d blobs were asked for after %d images, want %d", blobs, i+1, want)
		}
	}
	if u, err := f.Usage(); err != nil || u.Layers != 4 || u.Bytes != 1003 {
		t.Errorf("usage %+v, %v", u, err)
	}
	// Somebody else has to bring the bytes, once.
	stranger := image.Request{Ref: host + "/x:a", Architecture: "amd64", Owner: "222222222222"}
	for want := range []int{0, 1} {
		blobs = 0
		if _, err := f.Pull(t.Context(), stranger); err != nil {
			t.Fatal(err)
		}
		if blobs != 3-2*want {
			t.Errorf("pull %d of a stranger asked for %d blobs", want, blobs)
		}
	}
	f.clean(t, 3, 4)
}

// TestUnpack shows what becomes of a layer's entries.
func TestUnpack(t *testing.T) {
	f := open(t)
	img := build(t,
		layer(t,
			imagetest.File("./bin/su", "su"),
			imagetest.Entry{Header: tar.Header{Name: "bin/setuid", Mode: 0o6750}, Body: "x"},
			imagetest.Entry{Header: tar.Header{Name: "tmp/", Mode: 0o1777}},
			imagetest.Entry{Header: tar.Header{Name: "lib", Typeflag: tar.TypeSymlink, Linkname: "/usr/lib"}},
			imagetest.Entry{Header: tar.Header{Name: "usr/lib/", Mode: 0o755}},
			imagetest.File("lib/through", "link"),
			imagetest.Entry{Header: tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../../../../etc"}},
			imagetest.File("/absolute", "abs"),
			imagetest.Entry{Header: tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "/bin/su"}},
			imagetest.Entry{Header: tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "hard"}},
			imagetest.Entry{Header: tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
			imagetest.Entry{Header: tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}},
			imagetest.File("twice", "first"), imagetest.File("twice", "second"),
			imagetest.File("was/dir/f", "f"), imagetest.File("was/dir", "now a file"),
			imagetest.Entry{Header: tar.Header{Name: "attr", PAXRecords: map[string]string{"SCHILY.xattr.user.overlay.redirect": "/etc"}}, Body: "x"},
		))
	if err := imagetest.WriteLayout(f.files, "x", img); err != nil {
		t.Fatal(err)
	}
	got, err := f.Pull(t.Context(), asked("oci:"+f.files))
	if err != nil {
		t.Fatal(err)
	}
	root := got.Layers[0]
	want := []string{
		"absolute", "attr", "bin", "bin/setuid", "bin/su", "dev", "hard", "lib", "out", "tmp", "twice", "usr", "usr/lib", "usr/lib/through", "was", "was/dir",
	}
	if have := tree(t, root); !slices.Equal(have, want) {
		t.Errorf("unpacked %q, want %q", have, want)
	}
	for path, mode := range map[string]os.FileMode{"bin/setuid": 0o750, "tmp": 0o777 | os.ModeDir | os.ModeSticky, "usr": 0o755 | os.ModeDir} {
		if st, err := os.Lstat(filepath.Join(root, path)); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", path, st.Mode(), err, mode)
		}
	}
	for path, text := range map[string]string{"twice": "second", "was/dir": "now a file", "usr/lib/through": "link", "hard": "su"} {
		if have := content(t, filepath.Join(root, path)); have != text {
			t.Errorf("%s is %q, want %q", path, have, text)
		}
	}
}
