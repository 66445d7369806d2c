package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// The image of a runtime is pulled once, is spared when images are swept, and goes on when its registry is gone.
func TestRuntimeImages(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	layer, err := imagetest.Tar(imagetest.File("var/runtime/bootstrap", "#!/bin/sh\n"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imagetest.New(image.Config{Entrypoint: []string{"/lambda-entrypoint.sh"}, Env: []string{"A=1"}, Architecture: runtime.GOARCH}, layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := imagetest.WriteLayout(filepath.Join(dir, "base"), "v1", img); err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Data: data, Account: "000000000000", Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		RuntimeImages: map[string]string{"python3.12": "oci:" + dir + "/base:v1", "java21": "oci:" + dir + "/nothing"},
	}
	open := func() *runtimeImages {
		t.Helper()
		store, err := image.Open(filepath.Join(data, "images"), image.Options{Dirs: []string{dir}, Limits: image.Limits{Grace: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRuntimeImages(&Server{cfg: cfg}, store)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.image(t.Context(), "python3.11"); got != nil || err != nil {
		t.Errorf("a runtime without an image: %v, %v", got, err)
	}
	if _, err := r.image(t.Context(), "java21"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("an image that is not there: %v", err)
	}
	works := func(r *runtimeImages) {
		t.Helper()
		got, err := r.image(t.Context(), "python3.12")
		if err != nil || len(got.Layers) != 1 || got.Env[0] != "A=1" {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := os.Stat(filepath.Join(got.Layers[0], "var/runtime/bootstrap")); err != nil {
			t.Error(err)
		}
	}
	works(r)
	if err := os.RemoveAll(filepath.Join(dir, "base")); err != nil {
		t.Fatal(err)
	}
	works(r) // it is not asked for again
	if _, err := r.Keep(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	works(open())

	// A sweep of one whose runtime has another image by now takes the old one.
	cfg.RuntimeImages = map[string]string{"python3.12": "oci:" + dir + "/other:v1"}
	r = open()
	if freed, err := r.Keep(func(string) bool { return false }); err != nil || freed.Images != 1 {
		t.Errorf("the sweep freed %+v, %v", freed, err)
	}
	if _, err := r.image(t.Context(), "python3.12"); err == nil {
		t.Error("an image that was never pulled is there")
	}

	cfg.RuntimeImages = map[string]string{"cobol85": "x"}
	if _, err := newRuntimeImages(&Server{cfg: cfg}, nil); err == nil || !strings.Contains(err.Error(), "cobol85") {
		t.Errorf("a runtime that nobody knows: %v", err)
	}
}
