//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

const (
	sharing   = 20       // functions whose images have one base
	baseLayer = 20 << 20 // bytes
	ownLayer  = 64 << 10
)

// images measures the first invocation of a function that is a container image, whose layers are on the disk, against that of the same
// binary from a zip, and what functions with the same base take on the disk.
func images(ctx context.Context, o *options, p *programs, e *enfold, t *table) (err error) {
	if t.foreign {
		t.note("SKIPPED: container images: with --isolation %s there are none.", e.isolation)
		return nil
	}
	dir := p.path("images")
	if err := writeImages(dir, p.path("hello")); err != nil {
		return err
	}
	s, err := startOn(ctx, p, e.isolation, filepath.Join(p.dir, "data-images"), "--image-dir", dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.create(ctx, p.path("hello")); err != nil {
		return err
	}
	if err := s.createImage(ctx, "image", "oci:"+dir+":hello"); err != nil {
		return err
	}
	var ps pairs
	var inits []float64
	for i := range o.rounds {
		var image, zip []float64
		for j := range coldStarts {
			for _, side := range []struct {
				name string
				to   *[]float64
			}{{"image", &image}, {functionName, &zip}} {
				if err := s.configure(ctx, side.name, fmt.Sprintf("cold start %d.%d", i, j)); err != nil {
					return err
				}
				ms, init, err := s.coldInvoke(ctx, side.name)
				if err != nil {
					return fmt.Errorf("%s: %w", side.name, err)
				}
				*side.to = append(*side.to, ms)
				if side.name == "image" {
					inits = append(inits, init)
				}
			}
		}
		ps.add(median(image), median(zip))
	}
	t.add(ps.row("cold Invoke of an image, against the same code as a zip", "%.2f ms", atMost(1.3, "×"),
		fmt.Sprintf("REPORT's Init Duration %.2f ms", median(inits))))
	return s.shared(ctx, dir, t)
}

// shared makes functions of images with one base, and measures what the disk has of them.
func (e *enfold) shared(ctx context.Context, dir string, t *table) error {
	before, err := diskUse(e.data)
	if err != nil {
		return err
	}
	for i := range sharing {
		if err := e.createImage(ctx, fmt.Sprintf("image-%d", i), fmt.Sprintf("oci:%s:%d", dir, i)); err != nil {
			return err
		}
	}
	after, err := diskUse(e.data)
	if err != nil {
		return err
	}
	times := float64(after-before) / baseLayer
	t.add(row{
		what: fmt.Sprintf("disk of %d images, against the layer that they share", sharing), value: times, target: atMost(1.3, "×"),
		got: fmt.Sprintf("%.1f MiB", float64(after-before)/(1<<20)), floor: fmt.Sprintf("%d MiB", baseLayer>>20),
		beside: fmt.Sprintf("%d KiB of each one's own", ownLayer>>10),
	})
	return nil
}

// createImage makes a function of an image.
func (e *enfold) createImage(ctx context.Context, name, uri string) error {
	return e.createFunction(ctx, map[string]any{"FunctionName": name, "PackageType": "Image", "Code": map[string]any{"ImageUri": uri}})
}

// writeImages writes an OCI layout: the image of the function that is measured, and those that share a layer, which are not invoked.
func writeImages(dir, binary string) error {
	exe, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	c := image.Config{Entrypoint: []string{"/bootstrap"}, Architecture: runtime.GOARCH}
	if err := writeImage(dir, "hello", c, imagetest.File("bootstrap", string(exe))); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{}) // nothing makes it smaller
	noise := func(n int) string {
		b := make([]byte, n)
		_, _ = random.Read(b) // never fails
		return string(b)
	}
	base := imagetest.File("base", noise(baseLayer))
	for i := range sharing {
		if err := writeImage(dir, fmt.Sprint(i), c, base, imagetest.File("own", noise(ownLayer))); err != nil {
			return err
		}
	}
	return nil
}

// writeImage adds an image with a layer for each file to an OCI layout.
func writeImage(dir, tag string, c image.Config, files ...imagetest.Entry) error {
	var layers []imagetest.Layer
	for _, f := range files {
		l, err := imagetest.Tar(f)
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	img, err := imagetest.New(c, layers...)
	if err != nil {
		return err
	}
	return imagetest.WriteLayout(dir, tag, img)
}

// diskUse is what the files below a directory take on the disk, in bytes, each counted once.
func diskUse(dir string) (sum int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // it went away
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !seen[st.Ino] {
			seen[st.Ino] = true
			sum += st.Blocks * 512
		}
		return nil
	})
	return sum, err
}
