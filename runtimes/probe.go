package runtimes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// probeTimeout is how long an interpreter may take to say what it is. A Java on a busy, cold machine takes seconds.
const probeTimeout = 20 * time.Second

// interpreter is a program that serves a runtime.
type interpreter struct {
	path    string  // the binary itself, symbolic links and shims resolved
	version string  // "3.12.1"
	prefix  string  // the directory that it lives in: <prefix>/bin/node
	extra   string  // a second directory it needs: the Python that a virtual environment stands on, or ""
	outside []Mount // what a Java home links to elsewhere
}

// probe asks a program what it is. It runs without a shell, with none of our environment but a home directory.
func probe(ctx context.Context, f Family, path, home string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, probeArgs(f)...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + home}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	out := &limitedBuffer{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return interpreter{}, fmt.Errorf("ask %s for its version: %w", path, errors.Join(err, ctx.Err()))
	}
	in, err := parseProbe(f, out.String())
	if err != nil {
		return in, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return in, nil
}

// probeArgs make every interpreter print its version, its own path and its prefixes, a line each.
func probeArgs(f Family) []string {
	switch f {
	case Python:
		return []string{"-I", "-c", "import os, sys\nprint('%d.%d.%d' % sys.version_info[:3])\nprint(sys.executable)\nprint(sys.prefix)\nprint(sys.base_prefix)"}
	case Node:
		return []string{"-p", `[process.versions.node, process.execPath].join("\n")`}
	default:
		return []string{"-XshowSettings:properties", "-version"}
	}
}

func parseProbe(f Family, out string) (interpreter, error) {
	if f == Java {
		return parseJava(out)
	}
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	if f == Node {
		if len(lines) < 2 || !filepath.IsAbs(lines[len(lines)-1]) {
			return interpreter{}, fmt.Errorf("not the answer of a Node.js: %.80q", out)
		}
		path := lines[len(lines)-1]
		return interpreter{path: path, version: lines[len(lines)-2], prefix: filepath.Dir(filepath.Dir(path))}, nil
	}
	if len(lines) < 4 || !filepath.IsAbs(lines[len(lines)-1]) {
		return interpreter{}, fmt.Errorf("not the answer of a Python: %.80q", out)
	}
	lines = lines[len(lines)-4:]
	in := interpreter{version: lines[0], path: lines[1], prefix: lines[2]}
	if lines[3] != lines[2] {
		in.extra = lines[3]
		return in, nil // the path is a link in the virtual environment, and must stay one
	}
	if real, err := filepath.EvalSymlinks(in.path); err == nil {
		in.path = real
	}
	return in, nil
}

func parseJava(out string) (interpreter, error) {
	var in interpreter
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case "java.home":
			in.prefix = value
		case "java.version":
			in.version = value
		}
	}
	if in.version == "" || !filepath.IsAbs(in.prefix) {
		return in, fmt.Errorf("not the answer of a Java: %.80q", out)
	}
	in.path, in.outside = filepath.Join(in.prefix, "bin", "java"), outsideLinks(in.prefix)
	return in, nil
}

// limitedBuffer keeps the first bytes written to it and drops the rest.
type limitedBuffer struct {
	bytes.Buffer
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}
