package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// installTimeout bounds a download of the SDK.
const installTimeout = 15 * time.Minute

// sdkDir is where the runtime's SDK is, if it was installed, or "". Python looks into the directory itself, Node.js into
// its node_modules.
func (s *Set) sdkDir(r runtime) string {
	dir := s.sdkPath(r)
	if _, err := os.Stat(filepath.Join(dir, "installed.txt")); err != nil {
		return ""
	}
	return dir
}

func (s *Set) sdkPath(r runtime) string { return filepath.Join(s.dir, "sdk", r.name) }

// Install puts the SDK that AWS's runtime carries under the data directory: boto3 for python3.x by pip, clients of the AWS SDK
// for JavaScript v3 for nodejsN.x by npm. Versions are pinned. What the tools say goes to out. An SDK that is there is
// replaced; sandboxes that run keep the old one.
func (s *Set) Install(ctx context.Context, name string, out io.Writer) error {
	r, ok := lookup(name)
	if !ok {
		return unknown(name)
	}
	if r.family != Python && r.family != Node {
		return fmt.Errorf("%s: AWS's runtime carries no SDK, so there is nothing to install", name)
	}
	in, err := s.interpreter(ctx, r)
	if err != nil {
		return err
	}
	parent := filepath.Dir(s.sdkPath(r))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", parent, err)
	}
	tmp, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return fmt.Errorf("make a directory for the SDK: %w", err)
	}
	defer os.RemoveAll(tmp)
	files := filepath.Join(tmp, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return fmt.Errorf("make a directory for the SDK: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	var packages []string
	if r.family == Python {
		packages, err = s.pip(ctx, r, in, files, out)
	} else {
		packages, err = npm(ctx, r, in, files, out)
	}
	if err != nil {
		return err
	}
	return publishSDK(tmp, s.sdkPath(r), packages)
}

// publishSDK marks tmp/files as complete and moves it to dir, in place of what was there.
func publishSDK(tmp, dir string, packages []string) error {
	files := filepath.Join(tmp, "files")
	list := []byte(strings.Join(packages, "\n") + "\n")
	if err := os.WriteFile(filepath.Join(files, "installed.txt"), list, 0o644); err != nil {
		return fmt.Errorf("mark the SDK as installed: %w", err)
	}
	if err := readableByAll(files); err != nil {
		return fmt.Errorf("set the SDK's modes: %w", err)
	}
	if err := os.Rename(dir, filepath.Join(tmp, "old")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("move the old SDK away: %w", err)
	}
	if err := os.Rename(files, dir); err != nil {
		return fmt.Errorf("put the SDK in place: %w", err)
	}
	return nil
}

// readableByAll lets the users that functions run as read what pip and npm made under our umask.
func readableByAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// pip installs into dir with the runtime's own pip, or with that of another Python: these packages have no compiled parts.
func (s *Set) pip(ctx context.Context, r runtime, in interpreter, dir string, out io.Writer) ([]string, error) {
	packages := pythonSDK(r.version)
	python, err := s.pythonWithPip(ctx, in)
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"-m", "pip", "install", "--target", dir, "--python-version", r.version, "--implementation", "py", "--only-binary", ":all:",
		"--no-input", "--no-warn-script-location", "--disable-pip-version-check",
	}, packages...)
	return packages, run(ctx, exec.CommandContext(ctx, python, args...), out)
}

func (s *Set) pythonWithPip(ctx context.Context, in interpreter) (string, error) {
	candidates := []string{in.path}
	for _, r := range slices.Backward(served) {
		if r.family == Python {
			candidates = append(candidates, s.host.candidates(r)...)
		}
	}
	for _, python := range candidates {
		if exec.CommandContext(ctx, python, "-I", "-m", "pip", "--version").Run() == nil {
			return python, nil
		}
	}
	return "", fmt.Errorf("no Python with pip was found on this host: install it for %s (apt-get install python3-pip)", in.path)
}

// npm installs into dir. It runs none of the packages' own scripts.
func npm(ctx context.Context, r runtime, in interpreter, dir string, out io.Writer) ([]string, error) {
	packages := nodeSDK(r.version)
	tool := filepath.Join(in.prefix, "bin", "npm")
	if _, err := os.Stat(tool); err != nil {
		found, err := exec.LookPath("npm")
		if err != nil {
			return nil, fmt.Errorf("npm was not found on this host: install it (apt-get install npm)")
		}
		tool = found
	}
	args := append([]string{
		"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--save-exact", "--loglevel=error",
	}, packages...)
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(in.prefix, "bin")+":"+os.Getenv("PATH"))
	return packages, run(ctx, cmd, out)
}

func run(ctx context.Context, cmd *exec.Cmd, out io.Writer) error {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	fmt.Fprintln(out, strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(cmd.Path), errors.Join(err, ctx.Err()))
	}
	return nil
}
