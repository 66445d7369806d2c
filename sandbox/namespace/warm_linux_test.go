//go:build amd64 || arm64

package namespace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// warmShell has a shell wait that prints its configuration and then runs a script. It returns where it writes.
func warmShell(t testing.TB, d *Driver, script string) (sandbox.Warmed, *os.File) {
	t.Helper()
	return warmScript(t, d, "cat; "+script)
}

// warmScript has a script wait that reads its configuration itself.
func warmScript(t testing.TB, d *Driver, script string) (sandbox.Warmed, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	box, err := d.Warm(context.Background(), nil, sandbox.Command{
		Args: []string{"/bin/sh", "-c", script}, Dir: "/var/task", Env: []string{"PATH=/usr/bin:/bin"}, Stdout: w, Stderr: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	return box, r
}

func task(t testing.TB) []sandbox.Mount {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "code"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return []sandbox.Mount{{Source: dir, Target: "/var/task"}}
}

// A process that waited is where its owner's code is, with its rights, and the sandbox takes further processes as any other.
func TestClaim(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	w, out := warmShell(t, d, `echo; cat code; echo; pwd; grep -E 'Cap(Prm|Eff|Bnd)|Seccomp:|NoNewPrivs' /proc/self/status; ls -A /mnt | wc -l`)
	spec := sandbox.Spec{ID: "claimed", Owner: "o", Mounts: task(t), Memory: 64 << 20}
	s, p, err := w.Claim(context.Background(), spec, configured("config"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	want := "config\nmine\n/var/task\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n0\n"
	if string(got) != want {
		t.Errorf("it wrote\n%s\nwant\n%s", got, want)
	}
	if e := run(t, s, `test "$(cat /var/task/code)" = mine && test "$(grep Seccomp: /proc/self/status | cut -f2)" = 2 && exit 6`); e.Code != 6 {
		t.Errorf("the next process: %+v", e)
	}
	rights := "0000000000000000"
	if d.privileged {
		rights = "00000000000000e0" // KILL, SETGID, SETUID
	}
	if e := run(t, s, `grep "CapEff:.`+rights+`" /proc/1/status && grep "Seccomp:.2" /proc/1/status && exit 6`); e.Code != 6 {
		t.Errorf("the first process has not given up its rights: %+v", e)
	}
	if err := s.Destroy(); err != nil {
		t.Error(err)
	}
	if err := w.Destroy(); err != nil {
		t.Error(err)
	}
}

// The limits of a sandbox that waited are its owner's.
func TestClaimLimits(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	w, out := warmShell(t, d, `head -c 100M /dev/zero | tail -c 90M >/dev/null; echo survived`)
	s, p, err := w.Claim(context.Background(), sandbox.Spec{ID: "claimed", Owner: "o", Mounts: task(t), Memory: 32 << 20, Tmp: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, out)
	<-p.Done()
	if n := s.Usage().OOMKills; n == 0 {
		t.Errorf("exit %+v, %d killed for want of memory", p.Exit(), n)
	}
	if e := run(t, s, `dd if=/dev/zero of=/tmp/x bs=64k count=32 2>/dev/null && exit 1; exit 7`); e.Code != 7 {
		t.Errorf("/tmp has no limit: %+v", e)
	}
}

// What cannot be claimed can still be destroyed, and what has been claimed once cannot be again.
func TestClaimOnce(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	w, _ := warmShell(t, d, "")
	ctx := context.Background()
	spec := sandbox.Spec{ID: "a", Owner: "o", Mounts: task(t)}
	if _, _, err := w.Claim(ctx, sandbox.Spec{ID: "a", Files: 5}, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another limit of open files: %v", err)
	}
	if _, _, err := w.Claim(ctx, spec, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Claim(ctx, sandbox.Spec{ID: "b", Owner: "o"}, nil); !errors.Is(err, sandbox.ErrDestroyed) {
		t.Errorf("claimed twice: %v", err)
	}
	w, _ = warmShell(t, d, "")
	if err := w.Destroy(); err != nil {
		t.Fatal(err)
	}
	<-w.Done()
	if _, _, err := w.Claim(ctx, sandbox.Spec{ID: "c", Owner: "o"}, nil); !errors.Is(err, sandbox.ErrDestroyed) {
		t.Errorf("claimed after its end: %v", err)
	}
}

// A driver that closes takes those that wait along.
func TestCloseDestroysWaiting(t *testing.T) {
	d := openWith(t, -1)
	w, out := warmShell(t, d, "echo went on")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	<-w.Done()
	if got, _ := io.ReadAll(out); strings.Contains(string(got), "went on") {
		t.Errorf("a process that nobody claimed wrote %q", got)
	}
}

// What does not fit into the pipe is refused, and the process sees nothing of it.
func TestClaimTooLong(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	w, out := warmShell(t, d, "")
	spec := sandbox.Spec{ID: "a", Owner: "o", Mounts: task(t)}
	if _, _, err := w.Claim(context.Background(), spec, configured(strings.Repeat("x", sandbox.MaxConfig+1))); err == nil {
		t.Error("a configuration beyond the pipe was taken")
	}
	if err := w.Destroy(); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(out); len(got) > 0 {
		t.Errorf("the process read something: it wrote %q", got)
	}
}

// A process that has died is nobody's any more.
func TestClaimDead(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	w, _ := warmShell(t, d, "")
	w.(*warmed).process.Kill()
	<-w.Done()
	if _, _, err := w.Claim(context.Background(), sandbox.Spec{ID: "a", Owner: "o", Mounts: task(t)}, nil); !errors.Is(err, sandbox.ErrDestroyed) {
		t.Errorf("claimed after its death: %v", err)
	}
	if err := w.Destroy(); err != nil {
		t.Error(err)
	}
}

// A process that ends as soon as it has its configuration was claimed all the same: what it did must not be done again.
func TestClaimOfShortLife(t *testing.T) {
	d := openWith(t, -1)
	defer d.Close()
	for i := range 40 {
		w, _ := warmScript(t, d, "read x; exit 7")
		s, p, err := w.Claim(context.Background(), sandbox.Spec{ID: fmt.Sprint("a", i), Owner: "o", Mounts: task(t)}, configured("go\n"))
		if err != nil {
			t.Fatal(i, err)
		}
		<-p.Done()
		if got := p.Exit().Code; got != 7 {
			t.Errorf("exit %d", got)
		}
		if err := s.Destroy(); err != nil {
			t.Error(err)
		}
	}
}

// configured is a configuration that is known before.
func configured(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

// BenchmarkClaim is from Claim up to the first byte that the waiting process writes of its configuration.
func BenchmarkClaim(b *testing.B) {
	d, err := New(Options{Stock: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	mounts := task(b)
	var claim time.Duration
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		w, out := warmShell(b, d, "")
		b.StartTimer()
		t0 := time.Now()
		s, _, err := w.Claim(context.Background(), sandbox.Spec{ID: fmt.Sprint("s", n), Owner: "o", Mounts: mounts}, configured("x"))
		if err != nil {
			b.Fatal(err)
		}
		claim += time.Since(t0)
		out.Read(make([]byte, 1))
		b.StopTimer()
		s.Destroy()
		out.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(claim.Microseconds())/float64(b.N), "µs-claim")
}
