//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a directory tree that looks like /proc and a cgroup file system to a host.
type fake struct {
	t    *testing.T
	root string
	v2   bool
}

func newFake(t *testing.T) *fake { return &fake{t: t, root: t.TempDir()} }

func (f *fake) file(path, text string) {
	f.t.Helper()
	full := filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) read(path string) string {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.root, path))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

// proc tells what is mounted and where we are. Mount lines are "type point options", points below the fake's root.
func (f *fake) proc(pid int, own string, mounts ...string) {
	var info strings.Builder
	for i, m := range mounts {
		w := strings.Fields(m)
		fmt.Fprintf(&info, "%d 1 0:%d / %s rw - %s %s rw,%s\n", 30+i, i, filepath.Join(f.root, w[1]), w[0], w[0], w[2])
	}
	f.file("proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n"+info.String())
	f.file("proc/self/cgroup", own)
	f.alive(pid, "777")
	if err := os.MkdirAll(filepath.Join(f.root, "proc/self/ns"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink("pid:[4026531836]", filepath.Join(f.root, "proc/self/ns/pid")); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) alive(pid int, start string) { f.process(pid, start, "S") }

func (f *fake) process(pid int, start, state string) {
	f.file(fmt.Sprintf("proc/%d/stat", pid), fmt.Sprintf("%d (a (strange) name) %s%s %s 0\n", pid, state, strings.Repeat(" 1", 18), start))
}

func (f *fake) host(pid int) host {
	return host{proc: filepath.Join(f.root, "proc"), pid: pid, dirs: dirs{mkdir: f.mkdir, rmdir: f.rmdir}}
}

// mkdir makes a group as the kernel does: with its files, and on v2 with the controllers that the parent passes on.
func (f *fake) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	rel, err := filepath.Rel(f.root, dir)
	if err != nil {
		return err
	}
	if !f.v2 {
		for _, name := range []string{
			"cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes",
			"memory.usage_in_bytes", "memory.oom_control", "pids.max", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpuacct.usage", "cpu.shares",
			"memory.force_empty",
		} {
			f.file(filepath.Join(rel, name), "")
		}
		return nil
	}
	f.group(rel, strings.ReplaceAll(f.read(filepath.Join(filepath.Dir(rel), "cgroup.subtree_control")), "+", ""))
	return nil
}

// group fills a v2 group.
func (f *fake) group(path, controllers string) {
	f.file(filepath.Join(path, "cgroup.controllers"), controllers)
	f.file(filepath.Join(path, "cgroup.subtree_control"), "")
	f.file(filepath.Join(path, "cgroup.procs"), "")
	for _, name := range []string{
		"memory.max", "memory.swap.max", "memory.peak", "memory.current", "memory.events", "pids.max", "cpu.max",
		"cpu.stat", "cpu.weight", "cgroup.freeze", "memory.reclaim",
	} {
		ctl, _, _ := strings.Cut(name, ".")
		if ctl == "cgroup" || strings.Contains(controllers, ctl) {
			f.file(filepath.Join(path, name), "")
		}
	}
}

// rmdir removes a group as the kernel does: its files are no obstacle, its children are.
func (f *fake) rmdir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			return fmt.Errorf("%s has children", dir)
		}
	}
	return os.RemoveAll(dir)
}
