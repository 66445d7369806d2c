//go:build amd64 || arm64

package gvisor

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox"
)

// program has something in memory and in /tmp, waits until it is restored, and tells what it has and what is new.
const program = `
import os, socket, time, uuid
secret = "kept-" + uuid.uuid4().hex
held = open("/tmp/kept", "w+"); held.write(secret); held.flush()
begun = time.monotonic()
print("ready", flush=True)
while not os.path.exists("/var/signal/restored"):
    time.sleep(0.005)
held.seek(0)
call = socket.create_connection(("169.254.100.1", 9001))
call.sendall(("%s %s %s %s %d\n" % (secret, held.read(), uuid.uuid4().hex, os.urandom(8).hex(), time.time())).encode())
print("restored", call.recv(100).decode(), flush=True)
call.close()
time.sleep(3600)
`

// lines reads what a process writes until a line has come that begins with a word.
func untilLine(t *testing.T, r *os.File, word string) string {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		text = append(text, buf[:n]...)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, word) && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(line)
			}
		}
		if err != nil {
			t.Fatalf("no line %q came but %q: %v", word, text, err)
		}
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, w
}

func TestSnapshot(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip("no python3 here: ", err)
	}
	ctx := t.Context()
	d := open(t)
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	signal, dir := t.TempDir(), t.TempDir()
	spec := sandbox.Spec{ID: "stored", Memory: 256 << 20, CPU: 1000, Mounts: []sandbox.Mount{{Source: signal, Target: "/var/signal"}}}
	box, err := d.Create(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	p, err := box.Start(ctx, sandbox.Command{Args: []string{python, "-I", "-S", "-c", program}, Dir: "/tmp", Stdout: w, Stderr: w})
	if err != nil {
		t.Fatal(err)
	}
	untilLine(t, r, "ready")
	begun := time.Now()
	if err := d.Snapshot(ctx, box, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("stored in %v", time.Since(begun))
	if e := p.Exit(); e.Signal != "killed" || e.OOM {
		t.Errorf("the stored process ended with %+v", e)
	}
	if rest, err := io.ReadAll(r); err != nil {
		t.Errorf("after %q: %v", rest, err)
	}
	if err := os.WriteFile(filepath.Join(signal, "restored"), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	var said [2][]string
	for i := range said {
		said[i] = restored(t, d, spec, dir)
	}
	a, b := said[0], said[1]
	if a[0] != b[0] || a[1] != a[0] || b[1] != b[0] || !strings.HasPrefix(a[0], "kept-") {
		t.Errorf("memory and open files: %q and %q", a, b)
	}
	if a[2] == b[2] || a[3] == b[3] {
		t.Errorf("two that were restored have the same random numbers: %q and %q", a, b)
	}
}

// A snapshot that is written to memory is the sandbox's own memory, and may be too much of it.
func TestSnapshotOutOfMemory(t *testing.T) {
	const python, inMemory = "/usr/bin/python3", "/dev/shm"
	if _, err := os.Stat(python); err != nil {
		t.Skip("no python3 here: ", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(inMemory, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC || fs.Bavail*uint64(fs.Bsize) < 256<<20 {
		t.Skipf("%s is no file system in memory with 256 MiB left: %v", inMemory, err)
	}
	ctx := t.Context()
	d := open(t)
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if d.tree == nil {
		t.Skip("this user may make no control groups")
	}
	dir, err := os.MkdirTemp(inMemory, "enfold-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const code = `import os, time; held = os.urandom(120 << 20); print("ready", flush=True); time.sleep(3600)`
	box, err := d.Create(ctx, sandbox.Spec{ID: "large", Memory: 192 << 20, CPU: 1000})
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	if _, err := box.Start(ctx, sandbox.Command{Args: []string{python, "-I", "-S", "-c", code}, Dir: "/tmp", Stdout: w, Stderr: w}); err != nil {
		t.Fatal(err)
	}
	untilLine(t, r, "ready")
	if err := d.Snapshot(ctx, box, dir); !errors.Is(err, sandbox.ErrSnapshotMemory) || !strings.Contains(err.Error(), "(192 MiB)") {
		t.Errorf("got %v", err)
	}
}

// restored restores a sandbox and is what its process says of itself. It lives on until the driver is closed.
func restored(t *testing.T, d *Driver, spec sandbox.Spec, dir string) []string {
	t.Helper()
	spec.ID += "-" + filepath.Base(t.TempDir()) + time.Now().Format("150405000000")
	r, w := pipe(t)
	begun := time.Now()
	box, p, err := d.Restore(context.Background(), spec, dir, w, w)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	c, err := box.Listener().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("restored in %v, heard of after %v", took, time.Since(begun))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := untilLine(t, r, "restored"); got != "restored hello" {
		t.Errorf("it wrote %q", got)
	}
	select {
	case <-p.Done():
		t.Errorf("it ended: %+v", p.Exit())
	default:
	}
	said := strings.Fields(string(buf[:n]))
	if len(said) != 5 {
		t.Fatalf("it said %q", said)
	}
	return said
}
