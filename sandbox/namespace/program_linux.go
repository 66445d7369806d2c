//go:build amd64 || arm64

package namespace

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

//go:embed embedded
var embedded embed.FS

// MaybeInit turns the process into the first process of a sandbox, if the driver has started it as that, and never returns then. A
// program that uses the driver calls it first thing in main, a test in TestMain. It is what makes the driver work without
// the embedded program.
func MaybeInit() {
	if len(os.Args) == 1 && os.Args[0] == pid1.Name {
		pid1.Main()
	}
}

// A program is what a sandbox's first process runs.
type program struct {
	file *os.File // nil for this binary, which costs more
}

// newProgram readies the embedded program, or takes this binary itself.
func newProgram(stateDir string) (program, error) {
	name := "embedded/" + pid1.Name + "-" + runtime.GOARCH
	code, err := embedded.Open(name)
	if err != nil {
		return program{}, nil
	}
	defer code.Close()
	f, err := memoryFile(code)
	if err != nil && stateDir != "" {
		var again fs.File // the first one was read
		if again, err = embedded.Open(name); err != nil {
			return program{}, err
		}
		defer again.Close()
		f, err = diskFile(stateDir, again)
	}
	if err != nil {
		return program{}, fmt.Errorf("ready the sandbox's first process: %w", err)
	}
	return program{file: f}, nil
}

// memoryFile is code in memory that nobody can change any more. It is copied in pieces: in one, it would be the larger part of a
// server's start.
func memoryFile(code io.Reader) (*os.File, error) {
	fd, err := unix.MemfdCreate(pid1.Name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3, where all were executable
		fd, err = unix.MemfdCreate(pid1.Name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), pid1.Name)
	if _, err := io.Copy(f, code); err != nil {
		f.Close()
		return nil, err
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// diskFile is code in a file that has no name any more and is open for reading only.
func diskFile(dir string, code io.Reader) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w, err := os.CreateTemp(dir, pid1.Name)
	if err != nil {
		return nil, err
	}
	defer os.Remove(w.Name())
	defer w.Close()
	if _, err := io.Copy(w, code); err != nil {
		return nil, err
	}
	if err := w.Chmod(0o555); err != nil {
		return nil, err
	}
	return os.Open(filepath.Clean(w.Name()))
}

// in is the program's path in a process that gets files, and what it is to get for that: the program is the last of them, and the first
// process closes it. Its number here would be no name for it there: os.StartProcess has descriptors of its own in the child, at numbers
// above those of the files, whatever else is open at them.
func (p program) in(files []*os.File) (path string, all []*os.File) {
	if p.file == nil {
		return "/proc/self/exe", files
	}
	return fmt.Sprintf("/proc/self/fd/%d", len(files)), append(files, p.file)
}

func (p program) close() {
	if p.file != nil {
		p.file.Close()
	}
}
