//go:build amd64 || arm64

package namespace

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/sandbox"
)

func TestCovered(t *testing.T) {
	const proc = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	for text, want := range map[string]string{
		"":   "",
		proc: "",
		proc + "30 22 0:5 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n": "",
		proc + "30 22 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n":               "/proc/kcore",
		"30 1 0:5 / /process rw - tmpfs tmpfs rw\n":                              "",
		"nothing\n": "",
	} {
		if got := covered(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Where a part of /proc is covered, as in a container, no sandbox can be made, and the driver says so at once, not each sandbox.
func TestCoveredProc(t *testing.T) {
	const again = "ENFOLD_TEST_COVERED"
	if os.Getenv(again) != "" {
		d, err := New(Options{StateDir: t.TempDir(), Stock: -1, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			d.Close()
		}
		if !errors.Is(err, sandbox.ErrUnsupported) || !strings.Contains(err.Error(), "something is mounted over /proc/stat") {
			t.Errorf("New: %v", err)
		}
		return
	}
	if !isPrivileged() {
		t.Skip("only root can mount something over /proc/stat")
	}
	openWith(t, -1).Close() // or skip
	script := `mount --make-rprivate / && mount --bind /dev/null /proc/stat || exit 77; exec "$0" -test.run 'TestCoveredProc$' -test.count=1`
	c := exec.Command("unshare", "-m", "sh", "-c", script, os.Args[0])
	c.Env = append(os.Environ(), again+"=1")
	out, err := c.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 {
		t.Skipf("nothing can be mounted here: %s", out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
