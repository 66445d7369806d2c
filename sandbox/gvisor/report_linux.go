//go:build amd64 || arm64

package gvisor

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

//go:embed embedded
var embedded embed.FS

// needed are the capabilities by which the driver makes namespaces.
var needed = []int{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SYS_CHROOT}

// supported finds out, without trying, whether sandboxes can be made.
func supported() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return err
	}
	for _, c := range needed {
		if os.Geteuid() != 0 || data[c/32].Effective&(1<<(c%32)) == 0 {
			return fmt.Errorf("%w: the gvisor driver wants root with CAP_SYS_ADMIN: run the server as root", sandbox.ErrUnsupported)
		}
	}
	if st, err := os.Stat(stage); err != nil || !st.IsDir() {
		return fmt.Errorf("%w: there is no directory %s: mkdir %[2]s", sandbox.ErrUnsupported, stage)
	}
	return nil
}

// openProgram finds enfold-gvisor: what is named, else beside the running binary, else in PATH.
func openProgram(name string) (*os.File, error) {
	paths := []string{name}
	if name == "" {
		paths = nil
		if exe, err := os.Executable(); err == nil {
			paths = append(paths, filepath.Join(filepath.Dir(exe), programName))
		}
		if found, err := exec.LookPath(programName); err == nil {
			paths = append(paths, found)
		}
	}
	for _, p := range paths {
		f, err := os.Open(p)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open %s: %w", p, err)
		}
	}
	return nil, fmt.Errorf("%w: there is no %s beside the server's binary or in PATH: build it with make gvisor", sandbox.ErrUnsupported, programName)
}

// guestProgram is the first process inside.
func guestProgram() ([]byte, error) {
	code, err := embedded.ReadFile("embedded/enfold-guest-" + runtime.GOARCH)
	if err != nil {
		return nil, fmt.Errorf("%w: this server was built without sandbox/gvisor/build-guest.sh: build it with make", sandbox.ErrUnsupported)
	}
	return code, nil
}
