package image_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// TestKeep removes images that nobody names, and layers that nobody has.
func TestKeep(t *testing.T) {
	f := open(t, func(o *image.Options) { o.Limits.Grace = time.Nanosecond })
	base := layer(t, imagetest.File("base", "1234"))
	one := build(t, base, layer(t, imagetest.File("one", "1")))
	two := build(t, base, layer(t, imagetest.File("two", "22")))
	for tag, img := range map[string]v1.Image{"one": one, "two": two} {
		if err := imagetest.WriteLayout(f.files, tag, img); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Pull(t.Context(), asked("oci:"+f.files+":"+tag)); err != nil {
			t.Fatal(err)
		}
	}
	f.clean(t, 2, 3)
	none := func(string) bool { return false }
	freed, err := f.Keep(func(d string) bool { return d == digest(t, two) })
	if err != nil || freed != (image.Freed{Images: 1, Layers: 1, Bytes: 1}) {
		t.Errorf("freed %+v, %v", freed, err)
	}
	if _, err := f.Get(digest(t, one)); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("the image that nobody names: %v", err)
	}
	if got, err := f.Get(digest(t, two)); err != nil || content(t, got.Layers[0]+"/base") != "1234" || content(t, got.Layers[1]+"/two") != "22" {
		t.Errorf("the image that is named: %+v, %v", got, err)
	}
	f.clean(t, 1, 2)
	if freed, err = f.Keep(none); err != nil || freed != (image.Freed{Images: 1, Layers: 2, Bytes: 6}) {
		t.Errorf("freed %+v, %v", freed, err)
	}
	f.clean(t, 0, 0)
}

// TestKeepSpares leaves what was just pulled, and what is being pulled.
func TestKeepSpares(t *testing.T) {
	img := build(t, layer(t, imagetest.File("first", "1")), layer(t, imagetest.File("second", "2")))
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	second, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	began, goOn := make(chan struct{}), make(chan struct{})
	host := newRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+second.String()) {
				close(began)
				<-goOn
			}
			h.ServeHTTP(w, r)
		})
	})
	push(t, host+"/x:1", img)
	f := open(t)
	done := make(chan error, 1)
	go func() { _, err := f.Pull(t.Context(), asked(host+"/x:1")); done <- err }()
	<-began
	// The first layer gets there by itself.
	for end := time.Now().Add(time.Minute); f.layers(t) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first layer does not get there")
		}
	}
	none := func(string) bool { return false }
	if freed, err := f.Keep(none); err != nil || freed != (image.Freed{}) {
		t.Errorf("freed %+v, %v of an image that is being pulled", freed, err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if freed, err := f.Keep(none); err != nil || freed != (image.Freed{}) {
		t.Errorf("freed %+v, %v of an image that was just pulled", freed, err)
	}
	f.clean(t, 1, 2)
}

func (f *fixture) layers(t *testing.T) int {
	t.Helper()
	u, err := f.Usage()
	if err != nil {
		t.Fatal(err)
	}
	return u.Layers
}

// TestFailedPull takes back what it has brought, and nothing that others have.
func TestFailedPull(t *testing.T) {
	f := open(t)
	shared := layer(t, imagetest.File("shared", "1"))
	if _, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: shared}}}))); err != nil {
		t.Fatal(err)
	}
	bad := raw{layers: []rawLayer{{sent: shared}, {sent: layer(t, imagetest.File("own", "2"))}, {sent: layer(t, imagetest.File("../out", "3"))}}}
	for range 3 { // layers are fetched side by side, in any order
		if _, err := f.Pull(t.Context(), asked(f.rawImage(t, bad))); !errors.Is(err, image.ErrInvalid) {
			t.Fatal(err)
		}
		f.clean(t, 1, 1)
	}
}

// TestSwept begins without what a process that died has left.
func TestSwept(t *testing.T) {
	f := open(t)
	left := filepath.Join(f.dir, "tmp", "layer-1", "fs", "a")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Open(f.dir, image.Options{}); err != nil {
		t.Fatal(err)
	}
	f.clean(t, 0, 0)
}

// TestLayerTwice has a layer that comes twice once, at its upper place.
func TestLayerTwice(t *testing.T) {
	f := open(t)
	twice := layer(t, imagetest.File("a", "twice"))
	img, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: twice}, {sent: layer(t, imagetest.File("a", "between"))}, {sent: twice}}})))
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Layers) != 2 || content(t, img.Layers[0]+"/a") != "between" || content(t, img.Layers[1]+"/a") != "twice" {
		t.Errorf("layers %q", img.Layers)
	}
	kept, err := f.Get(img.Digest)
	if err != nil || len(kept.Layers) != 2 || kept.Layers[1] != img.Layers[1] {
		t.Errorf("from disk: %+v, %v", kept, err)
	}
}

// TestStranger reads nobody else's layer by naming it.
func TestStranger(t *testing.T) {
	f := open(t)
	secret := layer(t, imagetest.File("secret", "s"))
	if _, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: secret}}}))); err != nil {
		t.Fatal(err)
	}
	ref := f.rawImage(t, raw{layers: []rawLayer{{sent: layer(t, imagetest.File("mine", "m")), diffID: sum(secret)}}})
	img, err := f.Pull(t.Context(), image.Request{Ref: ref, Architecture: "amd64", Owner: "222222222222"})
	if !errors.Is(err, image.ErrInvalid) {
		t.Errorf("%+v, %v, want that the layer is another", img, err)
	}
	f.clean(t, 1, 1)
}

// TestFiles reads images in the directories that are allowed, and nowhere else.
func TestFiles(t *testing.T) {
	f := open(t)
	img := build(t, layer(t, imagetest.File("a", "a")))
	outside := t.TempDir()
	for _, dir := range []string{outside, filepath.Join(f.files, "in")} {
		if err := imagetest.WriteLayout(filepath.Join(dir, "layout"), "x", img); err != nil {
			t.Fatal(err)
		}
		if err := imagetest.WriteArchive(filepath.Join(dir, "a.tar"), "a:1", img); err != nil {
			t.Fatal(err)
		}
	}
	links := map[string]string{"link": filepath.Join(outside, "layout"), "link.tar": filepath.Join(outside, "a.tar"), "up": "../" + filepath.Base(outside)}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(f.files, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(f.files, "text"), []byte(strings.Repeat("no tar ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref  string
		want error // nil is an image
	}{
		{"oci:" + f.files + "/in/layout", nil},
		{"oci:" + f.files + "/in/../in/layout", nil},
		{"docker-archive:" + f.files + "/in/a.tar", nil},
		{"oci:" + outside + "/layout", image.ErrNotAllowed},
		{"oci:" + f.files + "/../" + filepath.Base(outside) + "/layout", image.ErrNotAllowed},
		{"docker-archive:" + outside + "/a.tar", image.ErrNotAllowed},
		{"docker-archive:/etc/passwd", image.ErrNotAllowed},
		{"oci:in/layout", image.ErrInvalid},
		{"oci:", image.ErrInvalid},
		{"oci:" + f.files + "/link", image.ErrNotAllowed},
		{"oci:" + f.files + "/up/layout", image.ErrNotAllowed},
		{"docker-archive:" + f.files + "/link.tar", image.ErrNotAllowed},
		{"docker-archive:" + f.files + "/text", image.ErrInvalid},
		{"docker-archive:" + f.files + "/in", image.ErrInvalid},
		{"docker-archive:" + f.files + "/none.tar", image.ErrNotFound},
		{"docker-archive:" + f.files + "/in/a.tar:b:1", image.ErrNotFound},
		{"docker-archive:" + f.files + "/in/a.tar@sha256:" + strings.Repeat("0", 64), image.ErrNotFound},
		{"oci:" + f.files + "/none", image.ErrNotFound},
		{"oci:" + f.files + "/in/layout:y", image.ErrNotFound},
		{"oci:" + f.files + "/in/layout@sha256:" + strings.Repeat("0", 64), image.ErrNotFound},
		{"oci:" + f.files + "/in/layout@sha256:../../../../etc/passwd", image.ErrInvalid},
	} {
		if img, err := f.Pull(t.Context(), asked(c.ref)); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", c.ref, img, err, c.want)
		}
	}
}
