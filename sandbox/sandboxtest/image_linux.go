package sandboxtest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// RunImage runs what may differ in a sandbox with a Root, attempts to escape included, in sandboxes whose root is a small image.
func RunImage(t *testing.T, e Expect, open func(t testing.TB) sandbox.Driver) {
	d := &imageDriver{Driver: open(t), root: NewRoot(t)}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the driver: %v", err)
		}
	})
	s := &suite{driver: d, expect: e}
	same := []string{
		"Output", "Exit", "CannotStart", "View", "Environment", "Mounts", "BadSpecs", "Listener", "APIListener", "Files", "Tmp", "Orphans",
		"Restart", "Destroy", "Parallel", "Escape",
	}
	t.Run("Files", func(t *testing.T) { testImageFiles(t, s, d.root) })
	t.Run("Program", func(t *testing.T) { testImageProgram(t, s) })
	t.Run("Shared", func(t *testing.T) { testImageShared(t, s) })
	t.Run("BadRoots", func(t *testing.T) { testBadRoots(t, s) })
	for _, tc := range cases() {
		if slices.Contains(same, tc.name) && (e.Only == nil || slices.Contains(e.Only, tc.name)) {
			t.Run(tc.name, func(t *testing.T) { tc.run(t, s) })
		}
	}
}

// An imageDriver gives every sandbox the same root.
type imageDriver struct {
	sandbox.Driver
	root *sandbox.Root
}

func (d *imageDriver) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if spec.Root == nil {
		spec.Root = d.root
	}
	return d.Driver.Create(ctx, spec)
}

// NewRoot is a small image: a few programs of the host's with their libraries, below two layers that remove and replace. What it has
// where a sandbox has its own is in the way on purpose.
func NewRoot(t testing.TB) *sandbox.Root {
	t.Helper()
	base, middle, top := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{base, middle, top} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"/bin/sh", "/bin/true", "/bin/echo", "/bin/sleep", "/bin/cat", "/bin/mkdir", "/bin/ln", mustExe(t)} {
		copyProgram(t, base, program)
	}
	files := map[string]string{
		"/etc/passwd": "root:x:0:0::/:/bin/sh\n", "/etc/hosts": "of the image\n", "/data/removed.txt": "x", "/data/replaced.txt": "of the base",
		"/data/kept.txt": "of the base", "/data/dir/below.txt": "x", "/gone/below.txt": "x", "/tmp/of-the-image": "x", "/dev": "a file",
		"/data/private.txt": "for root alone",
	}
	for path, text := range files {
		put(t, base+path, text, 0o644)
	}
	if err := os.Chmod(base+"/data/private.txt", 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, base+"/tools/hello", "#!/bin/sh\necho hello $1 from $PWD\n", 0o755)
	put(t, base+"/tools/plain", "#!/bin/sh\n", 0o644)
	for link, to := range map[string]string{base + "/proc": "/data", base + "/var/task": "/data", middle + "/sys": "../../../.."} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(to, link)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, middle+"/data/replaced.txt", "of the middle", 0o644)
	put(t, middle+"/data/dir/new.txt", "of the middle", 0o644)
	if err := unix.Setxattr(middle+"/data/dir", "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skipf("the file system of %s has no user attributes, which layers want: %v", middle, err)
	}
	put(t, top+"/data/top.txt", "of the top", 0o644)
	for _, path := range []string{top + "/data/removed.txt", top + "/gone"} {
		if err := unix.Mknod(path, unix.S_IFCHR, 0); err != nil {
			t.Skipf("this user can make no mark of what a layer removes: %v", err)
		}
	}
	return &sandbox.Root{Layers: []string{base, middle, top}}
}

func put(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

// libraries finds the paths in what ldd prints.
var libraries = regexp.MustCompile(`(?m)(/\S+) \(0x`)

var copied sync.Map // path -> its contents: programs are read once

// copyProgram copies a program of the host with its libraries below dir.
func copyProgram(t testing.TB, dir, program string) {
	t.Helper()
	files := []string{program}
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err == nil {
		for _, m := range libraries.FindAllStringSubmatch(string(out), -1) {
			files = append(files, m[1])
		}
	} else if !strings.Contains(string(out), "not a dynamic") {
		t.Skipf("the libraries of %s cannot be found: ldd: %v: %s", program, err, out)
	}
	for _, file := range files {
		if _, err := os.Stat(dir + file); err == nil {
			continue
		}
		text, ok := copied.Load(file)
		if !ok {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
			copied.Store(file, text)
		}
		put(t, dir+file, text.(string), 0o755)
	}
}

func testImageFiles(t *testing.T, s *suite, root *sandbox.Root) {
	h := s.create(t, nil)
	sh := func(script string) string {
		t.Helper()
		r := h.begin(sandbox.Command{Args: []string{"/bin/sh", "-c", script}, Dir: "/", Env: []string{"PATH=/bin:/usr/bin"}})
		r.wait()
		return r.out.all(t)
	}
	// The first process of all, which is confined by other hands than later ones. Files may be linked from one directory to another, which
	// a Landlock domain that knows another root would forbid.
	if out := sh("mkdir /tmp/a /tmp/b && echo x > /tmp/a/f && ln /tmp/a/f /tmp/b/f && cat /tmp/b/f"); out != "x\n" {
		t.Errorf("a file of /tmp, linked into another directory, has %q", out)
	}
	for path, want := range map[string]string{
		"/data/kept.txt": "of the base", "/data/replaced.txt": "of the middle", "/data/top.txt": "of the top", "/data/dir/new.txt": "of the middle",
		"/etc/passwd": "root:x:0:0::/:/bin/sh\n", "/etc/hostname": "sandbox\n", "/etc/resolv.conf": "",
	} {
		if got := h.run("read", path); got != want {
			t.Errorf("%s has %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/data/removed.txt", "/data/dir/below.txt", "/gone", "/tmp/of-the-image", "/usr/bin/env"} {
		if out := sh("cat " + path + " && echo it is there"); out != "" {
			t.Errorf("%s: %q", path, out)
		}
	}
	if out := sh("cat /data/private.txt"); out != "" && s.expect.OwnIDs { // else the function is who has unpacked it
		t.Errorf("a file that only its owner may read has %q", out)
	}
	if got := h.run("read", "/etc/hosts"); !strings.Contains(got, "sandbox") || strings.Contains(got, "image") {
		t.Errorf("/etc/hosts has %q", got)
	}
	mounts := h.run("read", "/proc/self/mountinfo")
	for _, dir := range root.Layers {
		if strings.Contains(mounts, dir) {
			t.Errorf("the mounts show where on the host layer %s is", dir)
		}
	}
	for _, dir := range []string{"/", "/data", "/etc", "/dev", "/bin"} {
		if out := sh("echo x > " + dir + "/written && echo written"); out != "" {
			t.Errorf("%s can be written to", dir)
		}
	}
}

// A program is found as exec finds it, with the sandbox's own eyes.
func testImageProgram(t *testing.T, s *suite) {
	h := s.create(t, nil)
	path := []string{"PATH=/nowhere:/tools:/bin"}
	for _, tc := range []struct {
		name string
		cmd  sandbox.Command
		want string
		err  error
	}{
		{"by its path", sandbox.Command{Args: []string{"/tools/hello", "a"}, Dir: "/data"}, "hello a from /data\n", nil},
		{"from the directory", sandbox.Command{Args: []string{"../tools/hello", "b"}, Dir: "/data"}, "hello b from /data\n", nil},
		{"by PATH", sandbox.Command{Args: []string{"hello", "c"}, Dir: "/tmp", Env: path}, "hello c from /tmp\n", nil},
		{"by the default PATH", sandbox.Command{Args: []string{"echo", "d"}, Dir: "/"}, "d\n", nil},
		{"by an empty entry of PATH", sandbox.Command{Args: []string{"hello", "e"}, Dir: "/tools", Env: []string{"PATH=:/bin"}}, "hello e from /tools\n", nil},
		{"nowhere in PATH", sandbox.Command{Args: []string{"helo"}, Dir: "/", Env: path}, "", os.ErrNotExist},
		{"not executable", sandbox.Command{Args: []string{"plain"}, Dir: "/", Env: path}, "", os.ErrPermission},
		{"a directory", sandbox.Command{Args: []string{"dir"}, Dir: "/", Env: []string{"PATH=/data"}}, "", os.ErrNotExist},
		{"not in the image", sandbox.Command{Args: []string{"/usr/bin/env"}, Dir: "/"}, "", os.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := h.begin(tc.cmd)
			e := r.wait()
			if out := r.out.all(t); out != tc.want || !errors.Is(e.Err, tc.err) {
				t.Errorf("wrote %q, %+v; want %q, %v: %s", out, e, tc.want, tc.err, r.err.all(t))
			}
		})
	}
}

// testImageShared has sandboxes of different owners on the same layers.
func testImageShared(t *testing.T, s *suite) {
	a, b := s.create(t, nil), s.create(t, nil)
	if a.run("write", "/tmp/x", "a's"); a.run("read", "/tmp/x") != "a's" {
		t.Error("/tmp does not keep a file")
	}
	for _, h := range []*host{a, b} {
		if got := h.run("read", "/data/kept.txt"); got != "of the base" {
			t.Errorf("one of two has %q", got)
		}
	}
	r := b.begin(b.command("read", "/tmp/x"))
	if e := r.wait(); e.Code == 0 && s.expect.Isolated {
		t.Errorf("the other one sees %q", r.out.all(t))
	}
	if err := a.Destroy(); err != nil {
		t.Fatal(err)
	}
	if got := b.run("read", "/data/kept.txt"); got != "of the base" {
		t.Errorf("after the end of one the other has %q", got)
	}
}

func testBadRoots(t *testing.T, s *suite) {
	many := make([]string, 500)
	for i := range many {
		many[i] = t.TempDir()
	}
	for name, layers := range map[string][]string{
		"no layers": {}, "a layer that is missing": {"/nowhere/at/all"}, "a relative layer": {"layer"}, "a file": {mustExe(t)}, "too many": many,
	} {
		t.Run(name, func(t *testing.T) {
			box, err := s.driver.Create(context.Background(), sandbox.Spec{ID: newID(), Root: &sandbox.Root{Layers: layers}})
			if err == nil {
				box.Destroy()
				t.Error("was created")
			}
		})
	}
	t.Run("a hundred layers", func(t *testing.T) {
		layers := many[:100]
		put(t, layers[0]+"/lowest", "it is there", 0o644)
		h := s.create(t, func(spec *sandbox.Spec) {
			spec.Root = &sandbox.Root{Layers: slices.Concat(s.driver.(*imageDriver).root.Layers, layers)}
		})
		if got := h.run("read", "/lowest"); got != "it is there" {
			t.Errorf("the layer in the middle has %q", got)
		}
	})
}
