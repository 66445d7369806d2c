package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func v1Host(t *testing.T) (*fake, host) {
	f := newFake(t)
	f.proc(42, "9:name=systemd:/\n8:pids:/\n4:memory:/svc/a b\n1:cpu,cpuacct:/\n0::/\n",
		"cgroup memory memory", "cgroup pids pids", "cgroup cpu cpu,cpuacct", "cgroup2 unified nsdelegate")
	for _, dir := range []string{"memory/svc/a b", "pids", "cpu"} {
		f.file(dir+"/cgroup.procs", "")
	}
	f.file("unified/cgroup.controllers", "\n") // a hybrid host: v2 is there, with nothing in it
	return f, f.host(42)
}

func TestV1Limits(t *testing.T) {
	f, h := v1Host(t)
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	if tree.Version() != 1 {
		t.Fatalf("version %d, want 1: v2 has no controllers here", tree.Version())
	}
	g, err := tree.New("s1")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Limit(Limits{Memory: 1 << 20, Pids: 10}); err != nil {
		t.Fatal(err)
	}
	if err := g.LimitCPU(2000); err != nil {
		t.Fatal(err)
	}
	if err := g.Add(99); err != nil {
		t.Fatal(err)
	}
	if g.Freezes() {
		t.Error("it can be frozen, and would outlive its server")
	}
	if err := errors.Join(g.Weigh(Least), g.Reclaim()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"memory/svc/a b/enfold-x.s1/memory.limit_in_bytes":       "1048576",
		"memory/svc/a b/enfold-x.s1/memory.memsw.limit_in_bytes": "1048576",
		"memory/svc/a b/enfold-x.s1/cgroup.procs":                "99",
		"pids/enfold-x.s1/pids.max":                              "10",
		"pids/enfold-x.s1/cgroup.procs":                          "99",
		"cpu/enfold-x.s1/cpu.shares":                             "2",
		"memory/svc/a b/enfold-x.s1/memory.force_empty":          "0",
		"cpu/enfold-x.s1/cpu.cfs_period_us":                      "20000",
		"cpu/enfold-x.s1/cpu.cfs_quota_us":                       "40000",
	} {
		if got := f.read(file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	f.file("cpu/enfold-x.s1/cpu.cfs_quota_us", "") // the kernel does not keep what was longer
	if err := g.LimitCPU(0); err != nil {
		t.Fatal(err)
	}
	if got := f.read("cpu/enfold-x.s1/cpu.cfs_quota_us"); got != "-1" {
		t.Errorf("without a limit the quota is %q", got)
	}
	f.file("memory/svc/a b/enfold-x.s1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
	if n, err := g.OOMKills(); n != 3 || err != nil {
		t.Errorf("OOM kills %d %v, want 3", n, err)
	}
	f.file("memory/svc/a b/enfold-x.s1/tasks", "99\n100\n")
	if ids, err := g.Threads(); !slices.Equal(ids, []int{99, 100}) || err != nil {
		t.Errorf("threads %v %v, want 99 and 100", ids, err)
	}
	if err := errors.Join(g.Remove(), tree.Close()); err != nil {
		t.Error(err)
	}
	if f.exists("cpu/enfold-x") || f.exists("memory/svc/a b/enfold-x") || f.exists("cpu/enfold-x.s1") || f.exists("memory/svc/a b/enfold-x.s1") {
		t.Error("something of the tree is still there")
	}
}

func TestV1WithoutMemoryLimit(t *testing.T) {
	f, h := v1Host(t)
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.New("s1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.root, "memory/svc/a b/enfold-x.s1/memory.limit_in_bytes")); err != nil {
		t.Fatal(err)
	}
	if err := g.Limit(Limits{Memory: 1 << 20}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a limit that was not set: %v", err)
	}
}

func TestV1WithoutPidsController(t *testing.T) {
	f, h := v1Host(t)
	f.file("proc/self/cgroup", "4:memory:/svc/a b\n1:cpu,cpuacct:/\n0::/\n")
	_, err := h.open("enfold-x")
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "pids") {
		t.Errorf("error %v does not name the controller that is missing", err)
	}
	if f.exists("memory/svc/a b/enfold-x") {
		t.Error("left a directory behind")
	}
}

func TestNoControllers(t *testing.T) {
	f := newFake(t)
	f.proc(42, "0::/\n")
	if _, err := f.host(42).open("enfold-x"); !errors.Is(err, ErrNone) {
		t.Errorf("error %v, want ErrNone", err)
	}
}

// A container sees its own group's directory as the mount's root, and may be told its group's path from the host's top.
func TestWithin(t *testing.T) {
	for _, tc := range []struct{ name, root, path, want string }{
		{"the whole tree", "/", "/a/b", "/cg/a/b"},
		{"a container without a cgroup namespace", "/docker/1", "/docker/1/x", "/cg/x"},
		{"the container's own group", "/docker/1", "/docker/1", "/cg"},
		{"a group that is not visible", "/docker/1", "/docker/12", "/cg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := within("/cg", tc.root, tc.path); got != tc.want {
				t.Errorf("within %s", got)
			}
		})
	}
}

// The real thing, where we are root.
func TestKernel(t *testing.T) {
	tree, err := Open()
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}()
	g, err := tree.New("s1")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Remove()
	if err := g.Limit(Limits{Memory: 64 << 20, Pids: 50}); err != nil {
		t.Error(err)
	}
	if err := g.LimitCPU(100); err != nil {
		t.Error(err)
	}
	if n, err := g.Peak(); err != nil || n > 64<<20 {
		t.Errorf("peak of an empty group %d %v", n, err)
	}
	if _, err := g.OOMKills(); err != nil {
		t.Error(err)
	}
	if _, err := g.CPUTime(); err != nil {
		t.Error(err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range g.dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}
