package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const all = "cpuset cpu io memory pids"

func (f *fake) exists(path string) bool {
	_, err := os.Stat(filepath.Join(f.root, path))
	return err == nil
}

// v2Host is a host with cgroup v2 where we, process 42, are in the group own together with others.
func v2Host(t *testing.T, own string, others ...string) (*fake, host) {
	f := newFake(t)
	f.v2 = true
	f.proc(42, "0::"+own+"\n", "cgroup2 cg nsdelegate")
	f.group("cg", all)
	path := "cg"
	for part := range strings.SplitSeq(strings.Trim(own, "/"), "/") {
		if part != "" {
			path = filepath.Join(path, part)
			f.group(path, all)
		}
	}
	f.file(filepath.Join(path, "cgroup.procs"), strings.Join(append(others, "42"), "\n")+"\n")
	return f, f.host(42)
}

func TestV2AloneMovesItselfIntoALeaf(t *testing.T) {
	f, h := v2Host(t, "/system.slice/enfold.service")
	inner := h.dirs.mkdir
	h.dirs.mkdir = func(dir string) error { // the kernel makes the file when the controllers are passed on
		err := inner(dir)
		if filepath.Base(dir) == leaf {
			f.file("cg/system.slice/enfold.service/enfold-server/cpu.weight", "100")
		}
		return err
	}
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	if tree.Version() != 2 {
		t.Errorf("version %d, want 2", tree.Version())
	}
	if got := f.read("cg/system.slice/enfold.service/enfold-server/cgroup.procs"); got != "42" {
		t.Errorf("the leaf has processes %q, want the server's 42", got)
	}
	// A fake file keeps the last write: controllers are passed on one by one, cpu last.
	if got := f.read("cg/system.slice/enfold.service/cgroup.subtree_control"); !strings.HasPrefix(got, "+cpu") {
		t.Errorf("passed on last %q, want +cpu", got)
	}
	if got := f.read("cg/cgroup.subtree_control"); got != "" {
		t.Errorf("wrote %q at the top, which was not delegated to us", got)
	}
	if !f.exists("cg/system.slice/enfold.service/enfold-x") {
		t.Error("no directory of the server")
	}
	if got := f.read("cg/system.slice/enfold.service/enfold-server/cpu.weight"); got != "300" || !tree.Beside() {
		t.Errorf("the server's weight is %q, want 300: its threads share it, and each function has 100 beside it", got)
	}
}

func TestV2AtTheTopStaysThere(t *testing.T) {
	f, h := v2Host(t, "/", "1", "2")
	if _, err := h.open("enfold-x"); err != nil {
		t.Fatal(err)
	}
	if f.exists("cg/enfold-server") {
		t.Error("moved into a leaf, which the top of the tree does not need")
	}
	if !f.exists("cg/enfold-x") {
		t.Error("no directory of the server")
	}
}

func TestV2NotAloneGoesToTheTop(t *testing.T) {
	f, h := v2Host(t, "/user.slice/session-1.scope", "7", "8")
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	if !f.exists("cg/enfold-x") || f.exists("cg/user.slice/session-1.scope/enfold-server") {
		t.Error("want a directory at the top and our group left alone")
	}
	if !strings.Contains(tree.Note, "2 other processes") {
		t.Errorf("note %q does not say why", tree.Note)
	}
	// Beside all services of the host, the functions weigh together what the server's directory does.
	if _, err := tree.New("s1"); err != nil {
		t.Error(err)
	}
	if !f.exists("cg/enfold-x/s1") || tree.Beside() || f.read("cg/enfold-x/cpu.weight") != strconv.Itoa(100*weight()) {
		t.Errorf("the functions' groups are not in one of weight %d", 100*weight())
	}
}

func TestV2SecondTreeOfAProcessSharesTheParent(t *testing.T) {
	f, h := v2Host(t, "/svc")
	if _, err := h.open("enfold-x"); err != nil {
		t.Fatal(err)
	}
	f.file("proc/self/cgroup", "0::/svc/enfold-server\n")
	if _, err := h.open("enfold-y"); err != nil {
		t.Fatal(err)
	}
	if !f.exists("cg/svc/enfold-y") {
		t.Error("the second tree is not beside the first")
	}
}

func TestV2NotDelegated(t *testing.T) {
	f, h := v2Host(t, "/user.slice/session-1.scope", "7")
	h.dirs.mkdir = func(string) error { return os.ErrPermission }
	_, err := h.open("enfold-x")
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "Delegate=yes") {
		t.Errorf("error %v does not say what to do", err)
	}
	_ = f
}

func TestV2Limits(t *testing.T) {
	f, h := v2Host(t, "/")
	// The kernel shows in subtree_control what was written to it; a fake file only the last write.
	f.file("cg/cgroup.subtree_control", "memory pids cpu")
	inner := h.dirs.mkdir
	h.dirs.mkdir = func(dir string) error {
		err := inner(dir)
		rel, _ := filepath.Rel(f.root, dir)
		f.file(filepath.Join(rel, "cgroup.subtree_control"), "memory pids cpu")
		return err
	}
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.New("s1")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Limit(Limits{Memory: 128 << 20, Pids: 1024}); err != nil {
		t.Fatal(err)
	}
	if err := g.LimitCPU(500); err != nil {
		t.Fatal(err)
	}
	if err := g.Add(99); err != nil {
		t.Fatal(err)
	}
	f.file("cg/enfold-x.s1/memory.current", "4096\n")
	if !g.Freezes() {
		t.Error("it cannot be frozen")
	}
	if err := errors.Join(g.Weigh(Least), g.Freeze(true), g.Reclaim()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"cpu.weight": "1", "cgroup.freeze": "1", "memory.reclaim": "4096",
		"memory.max": "134217728", "memory.swap.max": "0", "pids.max": "1024", "cpu.max": "10000 20000", "cgroup.procs": "99",
	} {
		if got := f.read("cg/enfold-x.s1/" + file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	if err := errors.Join(g.Weigh(Normal), g.Freeze(false)); err != nil {
		t.Fatal(err)
	}
	if w, z := f.read("cg/enfold-x.s1/cpu.weight"), f.read("cg/enfold-x.s1/cgroup.freeze"); w != "100" || z != "0" {
		t.Errorf("weight %q and freeze %q, want 100 and 0", w, z)
	}
	f.file("cg/enfold-x.s1/memory.peak", "5242880\n")
	f.file("cg/enfold-x.s1/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n")
	f.file("cg/enfold-x.s1/cpu.stat", "usage_usec 1500\nuser_usec 1000\n")
	if n, err := g.Peak(); n != 5<<20 || err != nil {
		t.Errorf("peak %d %v, want 5 MiB", n, err)
	}
	if n, err := g.OOMKills(); n != 1 || err != nil {
		t.Errorf("OOM kills %d %v, want 1", n, err)
	}
	if d, err := g.CPUTime(); d != 1500*time.Microsecond || err != nil {
		t.Errorf("processor time %v %v, want 1.5ms", d, err)
	}
	f.file("cg/enfold-x.s1/cgroup.threads", "0\n99\n") // the first is of a PID namespace that is not ours
	if ids, err := g.Threads(); !slices.Equal(ids, []int{99}) || err != nil {
		t.Errorf("threads %v %v, want 99", ids, err)
	}
	if err := errors.Join(g.Remove(), tree.Close()); err != nil {
		t.Error(err)
	}
	if f.exists("cg/enfold-x") || f.exists("cg/enfold-x.s1") {
		t.Error("the tree is still there")
	}
}

func TestV2LeastShareIsWhatTheKernelTakes(t *testing.T) {
	_, h := v2Host(t, "/")
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	dir := tree.dirs[""]
	g := &Group{version: 2, dirs: map[string]string{"": dir}}
	if err := os.WriteFile(filepath.Join(dir, "cpu.max"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := g.LimitCPU(1); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "cpu.max")); string(got) != "1000 20000" {
		t.Errorf("cpu.max %q, want a millisecond of quota, the kernel's least", got)
	}
}

func TestSweepTakesOnlyDeadServers(t *testing.T) {
	f, h := v2Host(t, "/")
	f.alive(50, "1000")
	f.process(70, "1000", "Z")
	for _, dir := range []string{
		"enfold-4026531836-50-1000-aa",      // lives
		"enfold-4026531836-50-900-bb",       // its pid has another owner now
		"enfold-4026531836-60-1000-cc",      // gone
		"enfold-4026531836-70-1000-ff",      // has ended, and nobody took note
		"enfold-4026531836-50-1000-aa.1",    // a group of who lives
		"enfold-4026531836-60-1000-cc.1",    // and of who is gone
		"enfold-4026531999-60-1000-dd",      // of another pid namespace: cannot know
		"enfold-server", "enfold-mine", "x", // not ours
	} {
		f.group("cg/"+dir, all)
		f.group("cg/"+dir+"/s1", all)
	}
	if _, err := h.open("enfold-4026531836-42-777-ee"); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{
		"enfold-4026531836-50-1000-aa": true, "enfold-4026531836-50-900-bb": false, "enfold-4026531836-60-1000-cc": false,
		"enfold-4026531836-70-1000-ff": false, "enfold-4026531836-50-1000-aa.1": true, "enfold-4026531836-60-1000-cc.1": false,
		"enfold-4026531999-60-1000-dd": true, "enfold-server": true, "enfold-mine": true, "x": true,
	} {
		if got := f.exists("cg/" + dir); got != want {
			t.Errorf("after the sweep %s exists: %v, want %v", dir, got, want)
		}
	}
}

// A dead server that was started in another session had its directory there.
func TestSweepFindsOtherSessions(t *testing.T) {
	f, h := v2Host(t, "/user.slice/session-2.scope")
	f.group("cg/user.slice/session-1.scope", all)
	f.group("cg/user.slice/session-1.scope/enfold-4026531836-60-1000-cc", all)
	f.group("cg/user.slice/session-1.scope/enfold-4026531836-60-1000-cc/s1", all)
	f.group("cg/user.slice/session-1.scope/enfold-4026531836-42-777-dd", all) // ours
	tree, err := h.open("enfold-x")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	close(stopped)
	tree.Sweep(stopped)
	if !f.exists("cg/user.slice/session-1.scope/enfold-4026531836-60-1000-cc") {
		t.Error("a sweep that was stopped went on")
	}
	tree.Sweep(make(chan struct{}))
	if f.exists("cg/user.slice/session-1.scope/enfold-4026531836-60-1000-cc") {
		t.Error("the dead server's directory is still there")
	}
	if !f.exists("cg/user.slice/session-1.scope/enfold-4026531836-42-777-dd") {
		t.Error("a living server's directory is gone")
	}
}
