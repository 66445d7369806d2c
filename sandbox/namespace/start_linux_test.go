//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
)

// A process that cannot be started tells a program that is missing from a directory that is.
func TestStartTellsWhatIsMissing(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	box, err := d.Create(context.Background(), sandbox.Spec{ID: "missing"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, program, dir string
		op, path           string
	}{
		{"the program", "/nowhere/program", "/tmp", "exec", "/nowhere/program"},
		{"the directory", "/bin/true", "/nowhere/dir", "chdir", "/nowhere/dir"},
		{"both", "/nowhere/program", "/nowhere/dir", "chdir", "/nowhere/dir"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := box.Start(context.Background(), sandbox.Command{Args: []string{tc.program}, Dir: tc.dir})
			if err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			why, ok := errors.AsType[*os.PathError](p.Exit().Err)
			if !ok || why.Op != tc.op || why.Path != tc.path || !errors.Is(why, os.ErrNotExist) {
				t.Errorf("exit %+v, want %s %s: no such file", p.Exit(), tc.op, tc.path)
			}
		})
	}
}
