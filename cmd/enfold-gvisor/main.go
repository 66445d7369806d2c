// Command enfold-gvisor is gVisor's runsc, built from the pinned module, so that an installation needs nothing but files
// of ours. It lies beside the main binary and not in it: it is 80 MB, and adds milliseconds to every start of a process.
//
// gVisor starts itself again as /proc/self/exe for its helpers (the sandbox, the gofer), which is why nothing here looks at the name
// it was called by.
package main

import (
	"fmt"
	"os"
	"syscall"

	"gvisor.dev/gvisor/runsc/cli/maincli"
)

func main() {
	// The driver starts it as the first process of a pid namespace, so that all of it ends with it.
	if os.Getpid() == 1 && len(os.Args) > 1 && os.Getenv(waits) != "" {
		if err := begin(); err != nil {
			fmt.Fprintln(os.Stderr, "enfold-gvisor:", err)
			os.Exit(1)
		}
	}
	if err := haveFilters(); err != nil {
		fmt.Fprintln(os.Stderr, "enfold-gvisor:", err)
		os.Exit(1)
	}
	maincli.Main()
}

// waits is set by the driver; see begin.
const waits = "ENFOLD_GVISOR_WAITS"

// begin waits for the driver to say, on file descriptor 3, that it has put this process into its control groups, and mounts a /proc of
// this pid namespace in the mount namespace that the driver has made.
func begin() error {
	var word [1]byte
	if n, err := syscall.Read(3, word[:]); n != 1 {
		return fmt.Errorf("the driver is gone: %v", err)
	}
	syscall.Close(3)
	os.Unsetenv(waits)
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if err := syscall.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
