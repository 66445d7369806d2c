package sandboxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

func testOutput(t *testing.T, s *suite) {
	h := s.create(t, nil)
	r := h.begin(h.command("echo", "to stdout", "to stderr"))
	r.wait()
	if out, err := r.out.all(t), r.err.all(t); out != "to stdout" || err != "to stderr" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	t.Run("one file for both", func(t *testing.T) {
		o, w := newOutput(t)
		cmd := h.command("echo", "a", "b")
		cmd.Stdout, cmd.Stderr = w, w
		p, err := h.Start(context.Background(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if got := o.all(t); got != "ab" {
			t.Errorf("wrote %q, want ab", got)
		}
	})
	t.Run("none", func(t *testing.T) {
		p, err := h.Start(context.Background(), h.command("echo", "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if e := p.Exit(); e.Code != 0 {
			t.Errorf("writing to no file ended with %+v", e)
		}
	})
}

// A reader that is slow makes the function wait; a write never fails because of it.
func testFlood(t *testing.T, s *suite) {
	h := s.create(t, nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := h.command("flood", "1048576")
	cmd.Stdout = w
	p, err := h.Start(context.Background(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	n := 0
	for buf := make([]byte, 8<<10); ; {
		m, err := r.Read(buf)
		n += m
		if err != nil {
			break
		}
	}
	<-p.Done()
	if e := p.Exit(); e.Code != 0 || n != 1<<20 {
		t.Errorf("%d bytes came, want %d; %+v", n, 1<<20, e)
	}
}

func testExit(t *testing.T, s *suite) {
	h := s.create(t, nil)
	for _, tc := range []struct {
		name, probe, arg string
		want             sandbox.Exit
	}{
		{"success", "exit", "0", sandbox.Exit{}},
		{"a code", "exit", "3", sandbox.Exit{Code: 3}},
		{"the highest code", "exit", "255", sandbox.Exit{Code: 255}},
		{"killed by itself", "raise", "9", sandbox.Exit{Code: 137, Signal: "killed"}},
		{"aborted", "raise", "6", sandbox.Exit{Code: 134, Signal: "aborted"}},
		{"segmentation fault", "raise", "11", sandbox.Exit{Code: 139, Signal: "segmentation fault"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := h.begin(h.command(tc.probe, tc.arg)).wait(); got != tc.want {
				t.Errorf("exit %+v, want %+v", got, tc.want)
			}
		})
	}
}

func testCannotStart(t *testing.T, s *suite) {
	h := s.create(t, nil)
	for _, tc := range []struct {
		name string
		cmd  sandbox.Command
		want error
	}{
		{"no such file", sandbox.Command{Args: []string{h.Path("/var/task/bootstrap")}, Dir: h.Path(taskDir)}, os.ErrNotExist},
		{"not executable", sandbox.Command{Args: []string{h.Path("/var/task/code.txt")}, Dir: h.Path(taskDir)}, os.ErrPermission},
		{"a directory", sandbox.Command{Args: []string{h.Path(taskDir)}, Dir: "/"}, os.ErrPermission},
		{"no such working directory", sandbox.Command{Args: []string{h.Path(probePath)}, Dir: "/nowhere"}, os.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := h.begin(tc.cmd)
			if e := r.wait(); !errorIs(e.Err, tc.want) {
				t.Errorf("exit %+v, want the error %v", e, tc.want)
			}
			r.out.all(t) // and the pipes are closed
			r.err.all(t)
		})
	}
	if out := h.run("echo", "still", ""); out != "still" {
		t.Errorf("after commands that cannot start, a good one wrote %q", out)
	}
}

// testView is what a function sees of the world.
func testView(t *testing.T, s *suite) {
	secret, err := os.CreateTemp(t.TempDir(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	leak, err := syscall.Dup(int(secret.Fd())) // without close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	h := s.create(t, nil)
	var v view
	h.tell(&v, "look")
	eq := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	eq("working directory", v.Cwd, h.Path(taskDir))
	eq("stdin", v.Stdin, "")
	eq("session leader", v.Session, v.PID)
	if !s.expect.Isolated {
		eq("the driver that isolates nothing lets a descriptor of the server through", len(v.FDs) > 3, true)
		return
	}
	eq("user", v.UID, 993)
	eq("group", v.GID, 990)
	eq("umask", v.Umask, 0o022)
	eq("host name", v.Hostname, "sandbox")
	eq("interfaces", v.Interfaces, []string{"lo"})
	eq("core dumps", v.Core, 1) // which is less than 0: the host's crash handler is not run
	eq("open files", v.Files, 1024)
	eq("parent", v.PPID, 1)
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		eq(set, v.Status[set], "0000000000000000")
	}
	eq("no_new_privs", v.Status["NoNewPrivs"], 1)
	eq("seccomp", v.Status["Seccomp"], 2)
	if s.expect.OwnIDs {
		eq("supplementary groups", v.Groups, []int{})
	}
	slices.Sort(v.Procs)
	eq("processes", v.Procs, []int{1, v.PID})
	for _, name := range []string{"root", "boot", "srv", "media", "lost+found"} {
		if slices.Contains(v.Root, name) {
			t.Errorf("the root shows %q of the host", name)
		}
	}
	for _, name := range []string{"shadow", "gshadow", "sudoers", "ssh", "environment"} {
		if slices.Contains(v.Etc, name) {
			t.Errorf("/etc shows %q of the host", name)
		}
	}
	devices := []string{"fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
	if s.expect.OwnKernel { // gVisor's /dev is made by its kernel
		devices = append(devices, "ptmx", "pts")
		slices.Sort(devices)
	}
	eq("devices", v.Dev, devices)
	for fd, to := range v.FDs {
		// What the probe opened itself is gone by now or its own: 0 to 2, Go's epoll and event descriptors, /proc/self/fd, and where
		// cgroups are to be seen, its own.
		if fd > "2" && len(fd) == 1 && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "/proc/") && !(s.expect.OwnKernel && strings.HasPrefix(to, "/sys/fs/cgroup/cpu/")) {
			t.Errorf("descriptor %s is %s", fd, to)
		}
	}
	if strings.Contains(fmt.Sprint(v.FDs), secret.Name()) {
		t.Error("a descriptor of the server came through")
	}
}

func testEnvironment(t *testing.T, s *suite) {
	t.Setenv("ENFOLD_HOST_SECRET", "of the host")
	h := s.create(t, nil)
	cmd := h.command("look")
	cmd.Env = []string{"A=1", "B=two words", "EMPTY="}
	r := h.begin(cmd)
	r.wait()
	out := r.out.all(t)
	want := `"Env":["A=1","B=two words","EMPTY="]`
	if !s.expect.Isolated {
		want = `"Env":["A=1","B=two words","EMPTY=","TMPDIR=` + h.Path("/tmp") + `"]`
	}
	if !strings.Contains(out, want) {
		t.Errorf("environment is not %s:\n%s", want, out)
	}
}

func testMounts(t *testing.T, s *suite) {
	dir, layer := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "closed", "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(inner, "f"): "below a closed directory", filepath.Join(layer, "f"): "of the layer"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := s.create(t, func(spec *sandbox.Spec) {
		spec.Mounts = append(spec.Mounts,
			sandbox.Mount{Source: inner, Target: "/var/runtime"},
			sandbox.Mount{Source: layer, Target: "/opt"},
			sandbox.Mount{Source: filepath.Join(layer, "f"), Target: "/deep/ly/nested/file"},
			sandbox.Mount{Source: "/nowhere/at/all", Target: "/mnt/x", Optional: true})
	})
	for path, want := range map[string]string{
		"/var/task/code.txt": "the code", "/var/runtime/f": "below a closed directory", "/opt/f": "of the layer",
		"/deep/ly/nested/file": "of the layer",
	} {
		if got := h.run("read", h.Path(path)); got != want {
			t.Errorf("%s has %q, want %q", path, got, want)
		}
	}
	if h.run("write", h.Path("/tmp/x"), "private"); h.run("read", h.Path("/tmp/x")) != "private" {
		t.Error("/tmp does not keep a file")
	}
	// What the host changes, a function sees: a mount is no copy.
	if err := os.WriteFile(filepath.Join(layer, "g"), []byte("later"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := h.run("read", h.Path("/opt/g")); got != "later" {
		t.Errorf("a file made later has %q", got)
	}
}

func testBadSpecs(t *testing.T, s *suite) {
	for name, spec := range map[string]sandbox.Spec{
		"no id":             {},
		"an id with a path": {ID: "../x"},
		"a long id":         {ID: strings.Repeat("x", 65)},
		"a missing source":  {ID: newID(), Mounts: []sandbox.Mount{{Source: "/nowhere/at/all", Target: "/opt"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if box, err := s.driver.Create(context.Background(), spec); err == nil {
				box.Destroy()
				t.Error("was created")
			}
		})
	}
	t.Run("an id twice", func(t *testing.T) {
		id := newID()
		s.create(t, func(spec *sandbox.Spec) { spec.ID = id })
		if box, err := s.driver.Create(context.Background(), sandbox.Spec{ID: id}); err == nil {
			box.Destroy()
			t.Error("was created")
		}
	})
	t.Run("a cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if box, err := s.driver.Create(ctx, sandbox.Spec{ID: newID()}); err == nil {
			box.Destroy()
			t.Error("was created")
		}
	})
	if !s.expect.Isolated {
		return
	}
	for _, target := range []string{"/", "/proc/x", "/dev", "/tmp/x", "/sys", "relative", "/opt/../etc"} {
		t.Run("target "+target, func(t *testing.T) {
			spec := sandbox.Spec{ID: newID(), Mounts: []sandbox.Mount{{Source: t.TempDir(), Target: target}}}
			if box, err := s.driver.Create(context.Background(), spec); err == nil {
				box.Destroy()
				t.Error("was created")
			}
		})
	}
	t.Run("a target through a link that stranger's code has planted", func(t *testing.T) {
		layer := t.TempDir()
		if err := os.Symlink("/etc", filepath.Join(layer, "link")); err != nil {
			t.Fatal(err)
		}
		spec := sandbox.Spec{ID: newID(), Mounts: []sandbox.Mount{
			{Source: layer, Target: "/opt"}, {Source: layer, Target: "/opt/link/ssl"},
		}}
		if box, err := s.driver.Create(context.Background(), spec); err == nil {
			box.Destroy()
			t.Error("was created")
		}
	})
}
