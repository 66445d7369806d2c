//go:build amd64 || arm64

package namespace

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// TestProgramAtAnyNumber: os.StartProcess moves a pipe of its own to the number above its files in the child, where the program may be open.
func TestProgramAtAnyNumber(t *testing.T) {
	p, err := newProgram(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.file == nil {
		t.Skip("no first process is embedded: run build-init.sh")
	}
	at := func(f *os.File, n int) *os.File {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, n)
		if err != nil || fd != n {
			t.Fatalf("descriptor %d instead of %d, %v", fd, n, err)
		}
		return os.NewFile(uintptr(fd), f.Name())
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	other, high := at(null, 400), at(p.file, 401)
	defer other.Close()
	defer high.Close()
	path, files := program{file: high}.in([]*os.File{null, null, null, other})
	process, err := os.StartProcess(path, []string{pid1.Name}, &os.ProcAttr{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := process.Wait(); err != nil || state.ExitCode() != 2 {
		t.Errorf("it ended with %v, %v; want 2, as it is no first process here", state, err)
	}
}
