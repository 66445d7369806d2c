package pid1

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// confined runs fn on a thread that is restricted after before has run on it, and ends.
func confined(t *testing.T, before, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		before()
		if err == nil {
			err = restrict()
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func needLandlock(t *testing.T, version int) {
	t.Helper()
	if v := Landlock(); v < version {
		t.Skipf("this kernel has version %d of Landlock, and version %d is wanted", v, version)
	}
}

// connect connects to an abstract socket on this thread.
func connect(name string) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	return unix.Connect(s, &unix.SockaddrUnix{Name: name})
}

// What functions do every day still goes.
func TestRestrictAllows(t *testing.T) {
	needLandlock(t, leastLandlock)
	dir := t.TempDir()
	own := fmt.Sprintf("@enfold-own-%d", time.Now().UnixNano())
	confined(t, func() {}, func() {
		for what, err := range map[string]error{
			"write":    os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600),
			"mkdir":    os.MkdirAll(filepath.Join(dir, "a/b"), 0o755),
			"fifo":     unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
			"symlink":  os.Symlink("f", filepath.Join(dir, "l")),
			"a shell":  exec.Command("/bin/sh", "-c", "cd "+dir+" && echo y >g && mv g a/b/ && ln a/b/g h && cat h && rm h").Run(),
			"/dev/nul": os.WriteFile("/dev/null", []byte("x"), 0),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := os.Rename(filepath.Join(dir, "f"), filepath.Join(dir, "a/b/f")); err != nil {
			t.Errorf("move to another directory: %v", err)
		}
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(s)
		if err := errors.Join(unix.Bind(s, &unix.SockaddrUnix{Name: own}), unix.Listen(s, 1)); err != nil {
			t.Error(err)
		}
		if err := connect(own); err != nil {
			t.Errorf("connect to an abstract socket of its own: %v", err)
		}
	})
}

// Each of these works right before, on the same thread.
func TestRestrictForbids(t *testing.T) {
	dir := t.TempDir()
	name := fmt.Sprintf("@enfold-host-%d", time.Now().UnixNano())
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := 0
	for _, tc := range []struct {
		name    string
		version int
		root    bool
		do      func() error
		want    error
	}{
		{"a character device", leastLandlock, true, func() error {
			n++
			return unix.Mknod(filepath.Join(dir, fmt.Sprint("char", n)), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
		}, unix.EACCES},
		{"a block device", leastLandlock, true, func() error {
			n++
			return unix.Mknod(filepath.Join(dir, fmt.Sprint("block", n)), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0)))
		}, unix.EACCES},
		{"a mount", leastLandlock, true, func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			return unix.Mount("none", dir, "tmpfs", 0, "")
		}, unix.EPERM},
		{"an order to a device", 5, false, func() error {
			fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if _, err = unix.IoctlGetTermios(fd, unix.TCGETS); errors.Is(err, unix.ENOTTY) {
				return nil // the device has looked at it
			}
			return err
		}, unix.EACCES},
		{"an abstract socket of the host", 6, false, func() error { return connect(name) }, unix.EPERM},
	} {
		t.Run(tc.name, func(t *testing.T) {
			needLandlock(t, tc.version)
			if tc.root && os.Geteuid() != 0 {
				t.Skip("only root can do it at all")
			}
			confined(t, func() {
				if err := tc.do(); err != nil {
					t.Errorf("unrestricted: %v", err)
				}
			}, func() {
				if err := tc.do(); !errors.Is(err, tc.want) {
					t.Errorf("restricted: %v, want %v", err, tc.want)
				}
			})
		})
	}
}
