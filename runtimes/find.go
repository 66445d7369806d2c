package runtimes

import (
	"cmp"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// host is where to look for interpreters. Tests make their own.
type host struct {
	path  []string // directories of PATH
	homes []string // home directories: ours, and that of the user who called sudo
	env   func(string) string
	root  string // "" in production
}

func thisHost() host {
	h := host{path: filepath.SplitList(os.Getenv("PATH")), env: os.Getenv}
	if home, err := os.UserHomeDir(); err == nil {
		h.homes = append(h.homes, home)
	}
	if name := os.Getenv("SUDO_USER"); name != "" {
		if u, err := user.Lookup(name); err == nil && !slices.Contains(h.homes, u.HomeDir) {
			h.homes = append(h.homes, u.HomeDir)
		}
	}
	return h
}

// candidates are the files that might be the runtime's interpreter, best first. Each exists, is executable and is not a script.
func (h host) candidates(r runtime) []string {
	var found []string
	switch r.family {
	case Python:
		found = h.pythons(r.version)
	case Node:
		found = h.nodes(r.version)
	case Java:
		found = h.javas(r.version)
	}
	return found
}

func (h host) pythons(v string) []string {
	name := "python" + v
	var out []string
	out = append(out, h.inPath(name)...)
	out = append(out, h.glob("/usr/local/bin/"+name, "/usr/bin/"+name)...)
	for _, root := range h.roots("PYENV_ROOT", ".pyenv") {
		out = append(out, h.glob(root+"/versions/"+v+"*/bin/"+name)...)
	}
	for _, home := range h.homes {
		out = append(out, h.glob(
			home+"/.local/share/uv/python/cpython-"+v+".*/bin/"+name,
			home+"/.asdf/installs/python/"+v+".*/bin/"+name,
			home+"/.local/share/mise/installs/python/"+v+".*/bin/"+name,
			home+"/.local/bin/"+name,
		)...)
	}
	return append(out, h.glob("/opt/python*/bin/"+name, "/opt/*/bin/"+name, "/opt/python/"+v+"*/bin/"+name, "/opt/homebrew/bin/"+name)...)
}

func (h host) nodes(v string) []string {
	out := slices.Concat(h.inPath("node"), h.inPath("nodejs"), h.glob("/usr/local/bin/node", "/usr/bin/node", "/usr/bin/node-"+v))
	for _, root := range h.roots("NVM_DIR", ".nvm") {
		out = append(out, h.glob(root+"/versions/node/v"+v+".*/bin/node")...)
	}
	for _, root := range h.roots("FNM_DIR", ".local/share/fnm", ".fnm") {
		out = append(out, h.glob(root+"/node-versions/v"+v+".*/installation/bin/node")...)
	}
	for _, home := range h.homes {
		out = append(out, h.glob(
			home+"/.asdf/installs/nodejs/"+v+".*/bin/node",
			home+"/.local/share/mise/installs/node/"+v+".*/bin/node",
			home+"/.volta/tools/image/node/"+v+".*/bin/node",
		)...)
	}
	return append(out, h.glob("/usr/local/n/versions/node/"+v+".*/bin/node", "/opt/node*/bin/node", "/opt/nodejs/*/bin/node", "/opt/homebrew/opt/node@"+v+"/bin/node")...)
}

// javas also reads the `release` file that each Java home has, because a Java that is only asked for its version takes long.
func (h host) javas(v string) []string {
	var out []string
	if home := h.env("JAVA_HOME"); home != "" {
		out = append(out, h.glob(home+"/bin/java")...)
	}
	out = append(out, h.inPath("java")...)
	out = append(out, h.glob("/usr/lib/jvm/*/bin/java", "/usr/java/*/bin/java", "/usr/local/*/bin/java", "/opt/*/bin/java", "/opt/java/*/bin/java", "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java")...)
	for _, home := range h.homes {
		out = append(out, h.glob(
			home+"/.sdkman/candidates/java/"+v+"*/bin/java",
			home+"/.jdks/*/bin/java",
			home+"/.asdf/installs/java/*/bin/java",
			home+"/.local/share/mise/installs/java/"+v+"*/bin/java",
		)...)
	}
	return slices.DeleteFunc(out, func(java string) bool {
		got := releaseVersion(java)
		return got != "" && !fits(Java, v, got)
	})
}

// releaseVersion is JAVA_VERSION of the release file beside a java binary, or "".
func releaseVersion(java string) string {
	real, err := filepath.EvalSymlinks(java)
	if err != nil {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(real)), "release"))
	if err != nil || len(data) > 64<<10 {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "JAVA_VERSION="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// roots are the directory that an environment variable names, or else the named ones of every home.
func (h host) roots(variable string, under ...string) []string {
	if dir := h.env(variable); filepath.IsAbs(dir) {
		return []string{dir}
	}
	var out []string
	for _, home := range h.homes {
		for _, dir := range under {
			out = append(out, filepath.Join(home, dir))
		}
	}
	return out
}

func (h host) inPath(name string) []string {
	var out []string
	for _, dir := range h.path {
		if filepath.IsAbs(dir) && isBinary(filepath.Join(dir, name)) {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out
}

// glob expands patterns, the newest version of each first.
func (h host) glob(patterns ...string) []string {
	var out []string
	for _, p := range patterns {
		found, err := filepath.Glob(h.root + p)
		if err != nil {
			continue
		}
		found = slices.DeleteFunc(found, func(f string) bool { return !isBinary(f) })
		slices.SortFunc(found, func(a, b string) int { return compareVersions(b, a) })
		out = append(out, found...)
	}
	return out
}

// isBinary reports whether a file can be run and is not a script. The shims of pyenv, asdf and their like are scripts that
// need their whole installation around them; the binaries behind them are found by their own patterns.
func isBinary(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	n, _ := f.Read(head[:])
	return n == 2 && string(head[:]) != "#!"
}

// compareVersions compares strings with the numbers in them taken as numbers: 3.9.1 < 3.10.0.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, restA := leadingNumber(a)
		y, restB := leadingNumber(b)
		if x >= 0 && y >= 0 {
			if x != y {
				return cmp.Compare(x, y)
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) (int, string) {
	n := 0
	for n < len(s) && n < 9 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.Atoi(s[:n])
	if err != nil {
		return -1, s
	}
	return v, s[n:]
}

// fits reports whether an interpreter of version got serves what a runtime wants: the same Python minor version, the same
// Node.js or Java major version.
func fits(f Family, want, got string) bool {
	got = strings.TrimPrefix(got, "v")
	if f == Java {
		got = strings.TrimPrefix(got, "1.") // Java 8 called itself 1.8
	}
	rest, ok := strings.CutPrefix(got, want)
	return ok && (rest == "" || rest[0] < '0' || rest[0] > '9')
}
