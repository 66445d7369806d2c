package runtimes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProvided(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/task/bootstrap", "x", 0o755)
	write(t, root+"/layer/bootstrap", "x", 0o755)
	write(t, root+"/plain/bootstrap", "x", 0o644)
	write(t, root+"/dir/bootstrap/f", "x", 0o644)
	write(t, root+"/empty/f", "x", 0o644)
	if err := os.MkdirAll(root+"/link", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/opt/elsewhere", root+"/link/bootstrap"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		task   string
		layers []string
		want   string // Args[0], or the error
	}{
		{"in the task", "task", []string{"layer"}, "/var/task/bootstrap"},
		{"in a layer", "empty", []string{"empty", "layer"}, "/opt/bootstrap"},
		{"a link to what only the sandbox has", "link", nil, "/var/task/bootstrap"},
		{"nowhere", "empty", []string{"empty"}, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"},
		{"not executable", "plain", []string{"layer"}, "fork/exec /var/task/bootstrap: permission denied"},
		{"a directory", "dir", nil, "fork/exec /var/task/bootstrap: permission denied"},
	} {
		q := Request{Runtime: "provided.al2023", Task: filepath.Join(root, c.task)}
		for _, l := range c.layers {
			q.Layers = append(q.Layers, filepath.Join(root, l))
		}
		l, err := New(Options{DataDir: root}).Launch(context.Background(), q)
		var entry *EntrypointError
		if err != nil && (!errors.As(err, &entry) || entry.ErrorType() != "Runtime.InvalidEntrypoint" || err.Error() != c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if err == nil && (len(l.Args) != 1 || l.Args[0] != c.want || len(l.Mounts) > 0) {
			t.Errorf("%s: %+v, want %s", c.name, l, c.want)
		}
	}
	l, err := New(Options{DataDir: root}).Launch(context.Background(), Request{Runtime: "provided.al2", Task: root + "/task"})
	if err != nil || l.Env["PATH"] != "/usr/local/bin:/usr/bin/:/bin:/opt/bin" || l.Env["AWS_EXECUTION_ENV"] != "" {
		t.Errorf("provided.al2: %+v, %v", l, err)
	}
}

func TestLaunchMounts(t *testing.T) {
	for _, family := range []Family{Python, Node, Java} {
		eachInterpreter(t, family, func(t *testing.T, runtime string) {
			l, err := hostSet(t).Launch(context.Background(), Request{Runtime: runtime, Task: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			targets := map[string]string{}
			for _, m := range l.Mounts {
				if !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.Target) {
					t.Errorf("mount %+v is not absolute", m)
				}
				if _, err := os.Stat(m.Source); err != nil && !m.Optional {
					t.Errorf("mount %+v: %v", m, err)
				}
				targets[m.Target] = m.Source
			}
			if targets["/var/runtime"] == "" || targets["/var/lang"] == "" {
				t.Errorf("mounts %v lack /var/runtime or /var/lang", l.Mounts)
			}
			// The interpreter is in /usr, which every sandbox has, or in one of the mounts under its own path.
			if !strings.HasPrefix(l.Args[0], "/usr/") && !slices.ContainsFunc(l.Mounts, func(m Mount) bool {
				return m.Source == m.Target && strings.HasPrefix(l.Args[0], m.Target+"/")
			}) {
				t.Errorf("%s is not in the sandbox: %v", l.Args[0], l.Mounts)
			}
			if l.Env["AWS_EXECUTION_ENV"] != "AWS_Lambda_"+runtime || !strings.HasPrefix(l.Env["PATH"], "/var/lang/bin:") {
				t.Errorf("environment %v", l.Env)
			}
		})
	}
}

func TestIn(t *testing.T) {
	l := Launch{Args: []string{"/bin/x", "-a", "/var/task/f", ""}, Env: map[string]string{"PATH": "/var/task/bin:/bin", "WORD": "x", "LIST": "a:/opt"}}
	got := l.In(func(p string) string {
		return strings.Replace(strings.Replace(p, "/var/task", "/host/t", 1), "/opt", "/host/o", 1)
	})
	if want := []string{"/bin/x", "-a", "/host/t/f", ""}; !slices.Equal(got.Args, want) {
		t.Errorf("args %q", got.Args)
	}
	if got.Env["PATH"] != "/host/t/bin:/bin" || got.Env["WORD"] != "x" || got.Env["LIST"] != "a:/host/o" {
		t.Errorf("env %v", got.Env)
	}
	if l.Args[2] != "/var/task/f" || l.Env["PATH"] != "/var/task/bin:/bin" {
		t.Error("In changed the launch itself")
	}
}

func TestOutsideLinks(t *testing.T) {
	home := t.TempDir()
	other := t.TempDir()
	write(t, other+"/cacerts", "x", 0o644)
	write(t, home+"/lib/modules", "x", 0o644)
	for link, target := range map[string]string{"lib/cacerts": other + "/cacerts", "inner": home + "/lib", "lib/broken": other + "/none"} {
		if err := os.Symlink(target, filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := []Mount{{Source: other + "/cacerts", Target: other + "/cacerts", Optional: true}}
	if got := outsideLinks(home); !slices.Equal(got, want) {
		t.Errorf("mounts %+v, want %+v", got, want)
	}
}
