package sandboxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ordinaryID is the user and group id of an ordinary user whom no host has: below those of sandboxes, above those of people.
const ordinaryID = 1_999_999

// AsUser runs those of the test binary's tests that match, once more, as an ordinary user. It wants root; an ordinary user has run
// them as such anyway.
func AsUser(t *testing.T, match string) {
	if os.Geteuid() != 0 {
		t.Skip("the tests run as an ordinary user already")
	}
	dir, err := os.MkdirTemp("", "enfold-user") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, tmp := filepath.Join(dir, "test"), filepath.Join(dir, "tmp")
	code, err := os.ReadFile(mustExe(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.WriteFile(exe, code, 0o755), os.Mkdir(tmp, 0o700), os.Chown(tmp, ordinaryID, ordinaryID),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), exe, "-test.run", match, "-test.v", "-test.timeout=5m")
	c.Dir = tmp
	c.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryID, Gid: ordinaryID}}
	out, err := c.CombinedOutput()
	report(t, string(out), err)
}

// report says what became of the tests, and in full what failed.
func report(t *testing.T, out string, err error) {
	t.Helper()
	passed, skipped := strings.Count(out, "--- PASS"), strings.Count(out, "--- SKIP")
	switch {
	case err != nil:
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	case passed == 0:
		t.Skipf("an ordinary user can do none of it on this host: %s", out)
	default:
		t.Logf("as an ordinary user %d tests passed and %d were skipped", passed, skipped)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, " attempts: ") || strings.Contains(line, "get through") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
