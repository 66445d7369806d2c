package runtimes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fakeBinary writes an executable file that does not look like a script.
func fakeBinary(t *testing.T, path string) {
	t.Helper()
	write(t, path, "\x7fELF not really", 0o755)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestCandidates(t *testing.T) {
	root := t.TempDir()
	home := filepath.Join(root, "home/u")
	for _, f := range []string{
		"/usr/bin/python3.12", "/home/u/.pyenv/versions/3.12.1/bin/python3.12", "/home/u/.pyenv/versions/3.12.10/bin/python3.12",
		"/home/u/.pyenv/versions/3.1/bin/python3.1", "/home/u/.nvm/versions/node/v22.1.0/bin/node", "/home/u/.nvm/versions/node/v2.2.0/bin/node",
		"/home/u/.local/share/fnm/node-versions/v22.9.0/installation/bin/node", "/usr/lib/jvm/a/bin/java", "/usr/lib/jvm/b/bin/java", "/usr/lib/jvm/c/bin/java",
	} {
		fakeBinary(t, root+f)
	}
	write(t, root+"/home/u/.pyenv/shims/python3.12", "#!/bin/sh\n", 0o755)
	write(t, root+"/usr/local/bin/python3.12", "\x7fELF", 0o644) // not executable
	write(t, root+"/usr/lib/jvm/a/release", "JAVA_VERSION=\"17.0.15\"\n", 0o644)
	write(t, root+"/usr/lib/jvm/b/release", "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"21.0.1\"\n", 0o644)
	h := host{root: root, path: []string{root + "/home/u/.pyenv/shims", "relative"}, homes: []string{"/home/u"}, env: func(string) string { return "" }}
	for name, want := range map[string][]string{
		"python3.12": {"/usr/bin/python3.12", "/home/u/.pyenv/versions/3.12.10/bin/python3.12", "/home/u/.pyenv/versions/3.12.1/bin/python3.12"},
		"python3.11": nil,
		"nodejs22.x": {"/home/u/.nvm/versions/node/v22.1.0/bin/node", "/home/u/.local/share/fnm/node-versions/v22.9.0/installation/bin/node"},
		"nodejs20.x": nil,
		"java17":     {"/usr/lib/jvm/c/bin/java", "/usr/lib/jvm/a/bin/java"}, // c does not say
		"java21":     {"/usr/lib/jvm/c/bin/java", "/usr/lib/jvm/b/bin/java"},
	} {
		r, _ := lookup(name)
		got := h.candidates(r)
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], root)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	h.env = func(name string) string { return map[string]string{"PYENV_ROOT": "/elsewhere"}[name] }
	fakeBinary(t, root+"/elsewhere/versions/3.12.3/bin/python3.12")
	r, _ := lookup("python3.12")
	if got := h.candidates(r); !slices.Contains(got, root+"/elsewhere/versions/3.12.3/bin/python3.12") || slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, home+"/.pyenv") }) {
		t.Errorf("with PYENV_ROOT: %v", got)
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		family    Family
		want, got string
		ok        bool
	}{
		{Python, "3.12", "3.12.1", true},
		{Python, "3.1", "3.12.1", false},
		{Python, "3.12", "3.1.2", false},
		{Python, "3.12", "3.12", true},
		{Node, "22", "v22.1.0", true},
		{Node, "22", "2.2.0", false},
		{Node, "2", "22.0.0", false},
		{Java, "17", "17.0.15", true},
		{Java, "17", "1.17", true},
		{Java, "17", "17-ea", true},
		{Java, "1", "11.0.2", false},
		{Java, "11", "1.8.0_1", false},
		{Java, "11", "", false},
	} {
		if got := fits(c.family, c.want, c.got); got != c.ok {
			t.Errorf("fits(%s, %s, %s) = %v", c.family, c.want, c.got, got)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "3.2", "3.9.1", "3.9.10", "3.10", "3.10.0", "v2", "v10"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareVersions(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compareVersions(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("3.10.0", "3.9")
	f.Add("v18", "999999999999999999999")
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareVersions(a, b) != -compareVersions(b, a) {
			t.Errorf("%q and %q are not ordered", a, b)
		}
		if compareVersions(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
	})
}

func FuzzParseProbe(f *testing.F) {
	f.Add("3.12.1\n/p/bin/python3.12\n/p\n/p\n")
	f.Add("22.1.0\n/p/bin/node\n")
	f.Add("Property settings:\n    java.home = /jvm\n    java.version = 17.0.1\n")
	f.Fuzz(func(t *testing.T, out string) {
		for _, family := range []Family{Python, Node, Java} {
			in, err := parseProbe(family, out)
			if err == nil && in.prefix == "" && family != Python {
				t.Errorf("%s: accepted %q without a prefix", family, out)
			}
		}
	})
}

func TestParseProbe(t *testing.T) {
	in, err := parseProbe(Python, "a site's noise\n3.12.1\n/venv/bin/python\n/venv\n/base\n")
	if want := (interpreter{path: "/venv/bin/python", version: "3.12.1", prefix: "/venv", extra: "/base"}); err != nil || !reflect.DeepEqual(in, want) {
		t.Errorf("virtual environment: %+v, %v", in, err)
	}
	in, err = parseProbe(Java, "Property settings:\n    java.home = /jvm\n    java.version = 17.0.1\nopenjdk version\n")
	if want := (interpreter{path: "/jvm/bin/java", version: "17.0.1", prefix: "/jvm"}); err != nil || !reflect.DeepEqual(in, want) {
		t.Errorf("java: %+v, %v", in, err)
	}
	for _, f := range []Family{Python, Node, Java} {
		if _, err := parseProbe(f, "command not found\n"); err == nil {
			t.Errorf("%s: noise was accepted", f)
		}
	}
}

func TestMissing(t *testing.T) {
	s := New(Options{DataDir: t.TempDir(), Map: map[string]string{"nodejs22.x": "/none/node", "java21": "/bin/true"}})
	s.host = host{env: func(string) string { return "" }, root: t.TempDir()}
	for runtime, want := range map[string]string{
		"python3.14": "python3.14 was not found on this host. Install it (apt-get install python3.14, pyenv install 3.14) or map it: --runtime-map python3.14=/path/to/python3.14",
		"nodejs20.x": "Node.js 20 was not found on this host. Install it (nvm install 20, fnm install 20) or map it: --runtime-map nodejs20.x=/path/to/node",
		"java25":     "Java 25 was not found on this host. Install it (apt-get install openjdk-25-jre-headless) or map it: --runtime-map java25=/path/to/java",
		"nodejs22.x": "The program that --runtime-map gives for nodejs22.x does not work: ",
		"java21":     "The program that --runtime-map gives for java21 does not work: ",
		"ruby3.3":    "The runtime ruby3.3 is not served by Enfold. Use one of python3.8, ",
	} {
		_, err := s.Launch(context.Background(), Request{Runtime: runtime})
		var m *MissingError
		if !errors.As(err, &m) || m.Runtime != runtime || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", runtime, err, want)
		}
	}
	for _, f := range s.Found() {
		if f.OK || f.Fix == "" {
			t.Errorf("found on an empty host: %+v", f)
		}
	}
}

func TestTable(t *testing.T) {
	for _, name := range Names() {
		if !Known(name) || FamilyOf(name) == "" {
			t.Errorf("%s is in the table and not known", name)
		}
	}
	if Known("python3.7") || Known("") || FamilyOf("go1.x") != "" {
		t.Error("runtimes that are not served are known")
	}
	if !Deprecated("go1.x") || !Deprecated("nodejs18.x") || Deprecated("python3.12") {
		t.Error("the deprecated runtimes are wrong")
	}
}

// TestMapNeedsNoVersion maps a runtime to an interpreter of another version.
func TestMapNeedsNoVersion(t *testing.T) {
	var other string
	for _, f := range hostSet(t).Found() {
		if f.OK && FamilyOf(f.Runtime) == Python && f.Runtime != "python3.9" {
			other = f.Path
		}
	}
	if other == "" {
		t.Skip("no Python but 3.9 was found on this host")
	}
	s := New(Options{DataDir: t.TempDir(), Map: map[string]string{"python3.9": other}})
	l, err := s.Launch(context.Background(), Request{Runtime: "python3.9"})
	if err != nil || l.Args[0] != other || l.Env["AWS_EXECUTION_ENV"] != "AWS_Lambda_python3.9" {
		t.Errorf("%+v, %v", l, err)
	}
}
