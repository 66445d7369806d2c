package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctl that makes a file system stop as if the power were cut: with flag 2 its journal is not flushed first
// (include/uapi/linux/fs.h and fs/ext4/ext4.h of Linux).
const (
	ioctlShutdown   = 0x8004587d
	shutdownNoFlush = 2
)

// disk is an ext4 file system in a file.
type disk struct {
	image, dir string
	n          int // power cuts so far
}

// newDisk makes and mounts one, or skips the test with the reason why it cannot.
func newDisk(t *testing.T, size int64) *disk {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("skipped: no mkfs.ext4: install e2fsprogs")
	}
	d := &disk{image: filepath.Join(t.TempDir(), "image.0"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		t.Skipf("skipped: this machine mounts no image (%v): %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(d.dir, unix.MNT_DETACH) })
	return d
}

func (d *disk) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput()
}

// cutPower stops the file system at once: what is not on the disk is lost.
func (d *disk) cutPower(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags := uint32(shutdownNoFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Skipf("skipped: this kernel's ext4 cannot be shut down: %v", errno)
	}
}

// powerOn mounts the file system again, which replays its journal. It mounts a copy of the image: a process elsewhere that
// was made meanwhile, with mounts of its own, may hold the old mount, and then the kernel would answer with that.
func (d *disk) powerOn(t *testing.T) {
	t.Helper()
	if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
		t.Fatalf("unmount: %v", err)
	}
	d.n++
	image := fmt.Sprintf("%s.%d", strings.TrimSuffix(d.image, filepath.Ext(d.image)), d.n)
	if out, err := exec.Command("cp", "--sparse=always", d.image, image).CombinedOutput(); err != nil {
		t.Fatalf("copy the image: %v: %s", err, out)
	}
	if err := os.Remove(d.image); err != nil {
		t.Fatal(err)
	}
	d.image = image
	if out, err := d.mount(); err != nil {
		t.Fatalf("mount after the power cut: %v: %s", err, out)
	}
}

// newSmallDisk mounts a file system of so many bytes, or skips the test with the reason why it cannot.
func newSmallDisk(t *testing.T, options string) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("skipped: this machine mounts no tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting a file system needs root")
	}
}
