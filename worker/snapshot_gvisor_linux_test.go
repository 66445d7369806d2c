//go:build amd64 || arm64

package worker

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/gvisor"
)

// newGVisor makes a world of sandboxes that can be stored.
func newGVisor(t *testing.T) *world {
	t.Helper()
	program, err := filepath.Abs("../bin/enfold-gvisor")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		program = "" // in PATH
	}
	d, err := gvisor.New(gvisor.Options{Program: program, Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, sandbox.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "process", Deps{})
	w.deps.Driver = d
	t.Cleanup(func() {
		w.end()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

const twinCode = `import os, random, socket, tempfile, time, urllib.parse, urllib.request, uuid
import snapshot_restore_py
made = time.time()
random.seed(1)
log = []
def credentials():
    r = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
    return urllib.request.urlopen(r).read().decode()
log.append(credentials())
assert urllib.parse.urlparse(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).hostname == "127.0.0.1"  # the SDKs want loopback
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
idle = socket.create_connection((host, int(port)))  # a client's, that is open when the snapshot is made
kept = open("/tmp/kept", "w+")
kept.write("before"); kept.flush()
snapshot_restore_py.register_before_snapshot(log.append, "before")
snapshot_restore_py.register_after_restore(log.append, "after")
def handler(event, context):
    kept.seek(0)
    return {"log": log[1:], "made": made, "now": time.time(), "kept": kept.read(), "stream": context.log_stream_name, "differ":
        [random.random(), str(uuid.uuid4()), os.urandom(8).hex(), open("/dev/urandom", "rb").read(8).hex(), credentials()]}
`

// TestSnapshotGVisor stores a Python function for real, and restores it twice.
func TestSnapshotGVisor(t *testing.T) {
	w := newGVisor(t)
	f := w.python(t, twinCode)
	if runtimes.FamilyOf(f.Runtime) != runtimes.Python {
		t.Skip("this host has no Python")
	}
	f.MemoryMB, f.SnapStart, f.Snapshot = 1769, true, filepath.Join(t.TempDir(), "snapshots", "one")
	begun := time.Now()
	w.snapshot(f)
	t.Logf("stored in %v", time.Since(begun))
	type twin struct {
		Log       []string
		Made, Now float64
		Kept      string
		Stream    string
		Differ    []any
	}
	var twins [2]twin
	for i := range twins {
		resp := w.good(f, "{}")
		t.Logf("restored in %v", resp.Restore)
		if resp.Restore <= 0 {
			t.Fatalf("it was not restored\n%s\n%s", w.logs.text(), w.server)
		}
		now := float64(time.Now().UnixNano()) / 1e9
		if err := json.Unmarshal(resp.Payload, &twins[i]); err != nil {
			t.Fatalf("%s: %v", resp.Payload, err)
		}
		if g := twins[i]; len(g.Log) != 2 || g.Log[0] != "before" || g.Log[1] != "after" || g.Kept != "before" || g.Now > now || now-g.Now > 10 {
			t.Errorf("%+v; it is %f", g, now)
		}
		w.Retire(f.Key)
	}
	if twins[0].Made != twins[1].Made || twins[0].Stream == twins[1].Stream {
		t.Errorf("made %f and %f, streams %s and %s", twins[0].Made, twins[1].Made, twins[0].Stream, twins[1].Stream)
	}
	for i := range twins[0].Differ {
		if i < 4 && twins[0].Differ[i] == twins[1].Differ[i] {
			t.Errorf("both have %v", twins[0].Differ[i])
		}
	}
}
