//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// A server's processes are found whatever they call themselves.
func TestTree(t *testing.T) {
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: &exec.Cmd{Process: me}}
	odd := filepath.Join(t.TempDir(), "1) R 1 (x")
	if err := os.Symlink("/bin/sleep", odd); err != nil {
		t.Fatal(err)
	}
	children := map[int]bool{} // by id, whether it is a first process
	for _, cmd := range []*exec.Cmd{
		{Path: odd, Args: []string{odd, "600"}},
		{Path: "/bin/sleep", Args: []string{"enfold-init", "600"}},
	} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		children[cmd.Process.Pid] = cmd.Args[0] == "enfold-init"
	}
	tree, err := s.tree()
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) == 0 || tree[0].pid != me.Pid {
		t.Fatalf("the server is not the first of %+v", tree)
	}
	for pid, first := range children {
		i := slices.IndexFunc(tree, func(m member) bool { return m.pid == pid && m.parent == me.Pid })
		if i < 0 {
			t.Errorf("child %d is not in %+v", pid, tree)
			continue
		}
		if tree[i].first() != first {
			t.Errorf("%d is a first process: %v, want %v", pid, !first, first)
		}
	}
}

func TestProcessFigures(t *testing.T) {
	me := member{pid: os.Getpid()}
	before, err := me.processorTime()
	if err != nil || before <= 0 {
		t.Fatalf("processor time %v, %v", before, err)
	}
	after := before
	for n := 0; after == before && n < 1e9; n++ { // the clock is as fine as the kernel's
		after, err = me.processorTime()
	}
	if err != nil || after <= before {
		t.Errorf("processor time %v, then %v, %v", before, after, err)
	}
	if n, err := me.pss(); err != nil || n < 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	none := member{pid: 1 << 22} // beyond the greatest process id
	if _, err := none.processorTime(); err == nil {
		t.Error("a process that does not exist has a clock")
	}
	if mib, err := availableMiB(); err != nil || mib <= 0 {
		t.Errorf("%d MiB available, %v", mib, err)
	}
}
