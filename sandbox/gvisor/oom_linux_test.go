//go:build amd64 || arm64

package gvisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
)

// The host's kernel may not kill gVisor's own kernel but a process of the host that a process of the sandbox runs in: to that one, it
// is the same.
func TestOutOfMemoryBesideTheSentry(t *testing.T) {
	d := open(t)
	defer d.Close()
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	s, err := d.Create(t.Context(), sandbox.Spec{ID: "a", Owner: "a", Memory: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Destroy()
	preferred := 0
	for _, status := range processesOf(s.(*box).id) {
		dir := filepath.Dir(status)
		if args, err := os.ReadFile(filepath.Join(dir, "cmdline")); err != nil || len(args) > 0 {
			continue // the sentry, or the one that opens files for it
		}
		// What is forked from it inherits this.
		if err := os.WriteFile(filepath.Join(dir, "oom_score_adj"), []byte("1000"), 0); err != nil {
			t.Fatal(err)
		}
		preferred++
	}
	if preferred == 0 {
		t.Fatal("nothing of gVisor's looks like what processes run in")
	}
	p, err := s.Start(t.Context(), sandbox.Command{Args: []string{"/bin/sh", "-c", "x=x; while :; do x=$x$x; done"}, Dir: "/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if e := p.Exit(); !e.OOM || e.Signal != "killed" || e.Code != 137 {
		t.Errorf("it ended with %+v, want an OOM kill", e)
	}
}
