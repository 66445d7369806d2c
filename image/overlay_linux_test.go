package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/image"
	"github.com/enfold-run/enfold/image/imagetest"
)

// mount mounts something for a test, or skips it.
func mount(t *testing.T, kind, at, data string) {
	t.Helper()
	if err := unix.Mount(kind, at, kind, unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		t.Skipf("this needs to mount a file system of kind %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// mayMount says whether a test may mount. If not it has been run in a user namespace, where it may, and is over.
func mayMount(t *testing.T) bool {
	t.Helper()
	const inside = "IMAGE_TEST_INSIDE"
	if os.Geteuid() == 0 || os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Errorf("in a user namespace: %s", out)
	case err != nil:
		t.Skipf("this needs to mount, or a user namespace: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in a user namespace: %s", out)
	}
	return false
}

// TestWhiteouts puts layers together as the kernel does.
func TestWhiteouts(t *testing.T) {
	if !mayMount(t) {
		return
	}
	f := open(t)
	dir := func(name string) imagetest.Entry { return imagetest.Entry{Header: tar.Header{Name: name + "/"}} }
	img := build(t,
		layer(t, imagetest.File("keep", "1"), imagetest.File("gone", "1"), imagetest.File("d/low", "1"), imagetest.File("o/low", "1"),
			imagetest.File("again/low", "1"), imagetest.File("before/low", "1"), imagetest.File("implied/low", "1"), imagetest.File("file/low", "1"),
			imagetest.File("same", "1"), imagetest.File("aufs", "1")),
		layer(t,
			imagetest.File(".wh.gone", ""), imagetest.File("d/.wh.low", ""),
			dir("o"), imagetest.File("o/.wh..wh..opq", ""), imagetest.File("o/high", "2"),
			// Removed and made again, in either order: nothing from below shows.
			imagetest.File(".wh.again", ""), dir("again"), imagetest.File("again/high", "2"),
			dir("before"), imagetest.File("before/high", "2"), imagetest.File(".wh.before", ""),
			imagetest.File(".wh.implied", ""), imagetest.File("implied/high", "2"),
			imagetest.File(".wh.file", ""), imagetest.File("file", "2"),
			imagetest.File("same", "2"), imagetest.File(".wh.same", ""),
			imagetest.File(".wh..wh.aufs", ""), imagetest.File(".wh..wh.plnk/1.2", "x")),
	)
	if err := imagetest.WriteLayout(f.files, "x", img); err != nil {
		t.Fatal(err)
	}
	got, err := f.Pull(t.Context(), asked("oci:"+f.files))
	if err != nil {
		t.Fatal(err)
	}
	merged := t.TempDir()
	top := slices.Clone(got.Layers)
	slices.Reverse(top)
	mount(t, "overlay", merged, "userxattr,lowerdir="+strings.Join(top, ":"))
	want := []string{
		"again", "again/high", "aufs", "before", "before/high", "d", "file", "implied", "implied/high", "keep", "o", "o/high", "same",
	}
	if have := tree(t, merged); !slices.Equal(have, want) {
		t.Errorf("together they are %q, want %q", have, want)
	}
	if same, file := content(t, merged+"/same"), content(t, merged+"/file"); same != "2" || file != "2" {
		t.Errorf("same is %q and file %q, want the upper layer's", same, file)
	}
}

// TestOpaqueRoot leaves out what is below a layer that hides everything.
func TestOpaqueRoot(t *testing.T) {
	f := open(t)
	img := build(t, layer(t, imagetest.File("low", "1")), layer(t, imagetest.File(".wh..wh..opq", ""), imagetest.File("mid", "2")), layer(t, imagetest.File("high", "3")))
	if err := imagetest.WriteLayout(f.files, "x", img); err != nil {
		t.Fatal(err)
	}
	got, err := f.Pull(t.Context(), asked("oci:"+f.files))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Layers) != 2 || content(t, got.Layers[0]+"/mid") != "2" || content(t, got.Layers[1]+"/high") != "3" {
		t.Errorf("layers %q", got.Layers)
	}
}

// TestDiskFull leaves nothing behind, and goes on once there is room.
func TestDiskFull(t *testing.T) {
	if !mayMount(t) {
		return
	}
	small := t.TempDir()
	mount(t, "tmpfs", small, "size=2m")
	files := t.TempDir()
	s, err := image.Open(filepath.Join(small, "store"), image.Options{Dirs: []string{files}, Limits: image.Limits{Reserve: 1}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Store: s, dir: filepath.Join(small, "store"), files: files}
	big := build(t, layer(t, imagetest.File("small", "x")), layer(t, imagetest.File("a", strings.Repeat("a", 1<<20)), imagetest.File("b", strings.Repeat("b", 2<<20))))
	fits := build(t, layer(t, imagetest.File("a", strings.Repeat("a", 1<<20))))
	if err := imagetest.WriteLayout(files, "big", big); err != nil {
		t.Fatal(err)
	}
	if err := imagetest.WriteLayout(files, "fits", fits); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Pull(t.Context(), asked("oci:"+files+":big")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("pulled 3 MB onto a disk of 2: %v", err)
	}
	if left := tree(t, filepath.Join(f.dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if _, err := f.Pull(t.Context(), asked("oci:"+files+":fits")); err != nil {
		t.Errorf("pulled 1 MB onto a disk of 2: %v", err)
	}
	if _, err := f.Get(digest(t, big)); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("the image that did not fit: %v", err)
	}
	if _, err := os.Stat(f.dir); err != nil {
		t.Error(err)
	}
}

// TestReserve takes no image when the disk would be too full for others.
func TestReserve(t *testing.T) {
	var said bytes.Buffer
	f := open(t, func(o *image.Options) {
		o.Limits.Reserve, o.Log = 1<<60, slog.New(slog.NewTextHandler(&said, nil))
	})
	_, err := f.Pull(t.Context(), asked(f.rawImage(t, raw{layers: []rawLayer{{sent: layer(t, imagetest.File("a", "a"))}}})))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want that there is no room", err)
	}
	var full *image.FullError
	if !errors.As(err, &full) || full.Kept != 1<<60 || full.Free <= 0 || !strings.Contains(err.Error(), "MiB are free, and 1099511627776.0 MiB are kept for everything else") {
		t.Errorf("%v, want how much is free and how much is kept", err)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "kept for everything else") {
		t.Errorf("the log has %q", said.String())
	}
	f.clean(t, 0, 0)
}

// TestFifo does not wait for somebody to write into what should be a file.
func TestFifo(t *testing.T) {
	f := open(t)
	for _, name := range []string{"index.json", "a.tar"} {
		if err := unix.Mkfifo(filepath.Join(f.files, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []string{"oci:" + f.files, "docker-archive:" + f.files + "/a.tar"} {
		if _, err := f.Pull(t.Context(), asked(ref)); !errors.Is(err, image.ErrInvalid) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}
