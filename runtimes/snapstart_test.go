package runtimes

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const restoredStream = "2026/01/01/[1]restored"

// snapshotted plays the platform: the runtime's first restore/next is cut off, as if it were stored, and the next one answered, as if it
// were restored. Signal is what the runtime waits for in between.
func snapshotted(signal string) http.HandlerFunc {
	var asked atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 && signal != "" {
			if err := os.WriteFile(signal, nil, 0o644); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Enfold-Log-Stream", restoredStream)
	}
}

// startSnap starts a function with SnapStart.
func startSnap(t *testing.T, c code, signal string) *function {
	t.Helper()
	if c.env == nil {
		c.env = map[string]string{}
	}
	c.env["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
	if signal != "" {
		c.env["_ENFOLD_RESTORED"] = signal
	}
	f, l, entries := newFunction(t, c)
	f.api.restore = snapshotted(signal)
	f.run(l.Args, entries, nil)
	return f
}

// eachSnapPython runs a test for every Python of this host that has SnapStart.
func eachSnapPython(t *testing.T, test func(t *testing.T, runtime string)) {
	t.Helper()
	eachInterpreter(t, Python, func(t *testing.T, runtime string) {
		if r, _ := lookup(runtime); compareVersions(r.version, "3.12") < 0 {
			t.Skip("AWS has no SnapStart for it")
		}
		test(t, runtime)
	})
}

const pythonHooks = `
import ctypes, os, random, ssl, tempfile, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

seen = []

@register_before_snapshot
def first():
    seen.append("first")

def other(n, word):
    seen.append("%d %s" % (n, word))

register_before_snapshot(other, 1, word="before")
register_after_restore(other, 2, word="after")
register_after_restore(lambda: seen.append(os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]))

def handler(event, context):
    return seen + [context.log_stream_name, os.environ.get("_ENFOLD_RESTORED")]
`

func TestPythonHooks(t *testing.T) {
	eachSnapPython(t, func(t *testing.T, runtime string) {
		const want = `["1 before", "first", "2 after", "` + restoredStream + `", "` + restoredStream + `", null]`
		c := code{runtime: runtime, handler: "a.handler", files: map[string]string{"a.py": pythonHooks}}
		for name, signal := range map[string]string{"stored": filepath.Join(t.TempDir(), "restored"), "not stored": ""} {
			t.Run(name, func(t *testing.T) {
				f := startSnap(t, c, signal)
				f.ok(f.invoke("{}"), want)
			})
		}
	})
}

// TestPythonHookErrors end the process with AWS's status.
func TestPythonHookErrors(t *testing.T) {
	for _, tt := range []struct {
		name, register, path, kind string
		status                     int
	}{
		{"before", "register_before_snapshot", "init/error", "Runtime.BeforeSnapshotError", 64},
		{"after", "register_after_restore", "restore/error", "Runtime.AfterRestoreError", 65},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachSnapPython(t, func(t *testing.T, runtime string) {
				f := startSnap(t, code{runtime: runtime, handler: "a.handler", files: map[string]string{"a.py": "import snapshot_restore_py\n" +
					"def hook():\n    raise KeyError('no luck')\nsnapshot_restore_py." + tt.register + "(hook)\ndef handler(e, c): pass\n"}}, "")
				a := f.answer()
				want := `{"errorMessage": "'no luck'", "errorType": "KeyError", "requestId": "", "stackTrace": ["  File \"TASK/a.py\", line 3, in hook\n    raise KeyError('no luck')\n"]}`
				f.is(a, tt.path, strings.ReplaceAll(want, "\n\"", `\n"`))
				if got := a.header.Get("Lambda-Runtime-Function-Error-Type"); got != tt.kind {
					t.Errorf("error type %q", got)
				}
				if status := f.exit(); status != tt.status {
					t.Errorf("it ended with %d", status)
				}
				if log := f.logged(); !strings.Contains(log, "[ERROR] KeyError: 'no luck'") {
					t.Errorf("the log is\n%s", log)
				}
			})
		})
	}
}

// twins is a function that becomes two before the snapshot, behind the interpreter's back, as a restore would make it.
const pythonTwins = `
import ctypes, os, random, ssl, tempfile, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

random.seed(1)
tempfile.mktemp()
register_before_snapshot(lambda: ctypes.CDLL(None).fork())

def after():
    os.write(1, ("twin %s %s %s %s\n" % (random.random(), os.path.basename(tempfile.mktemp()), uuid.uuid4(), ssl.RAND_bytes(8).hex())).encode())
    os._exit(0)

register_after_restore(after)

def handler(event, context):
    pass
`

// TestPythonTwins differ in all that is random.
func TestPythonTwins(t *testing.T) {
	eachSnapPython(t, func(t *testing.T, runtime string) {
		f := startSnap(t, code{runtime: runtime, handler: "a.handler", files: map[string]string{"a.py": pythonTwins}}, "")
		f.exit()
		differ(t, f.logged(), 4)
	})
}

// differ asserts that two lines of a log that begin with "twin" have so many fields, and none in common.
func differ(t *testing.T, log string, n int) {
	t.Helper()
	var twins [][]string
	for line := range strings.SplitSeq(log, "\n") {
		if fields := strings.Fields(line); len(fields) == n+1 && fields[0] == "twin" {
			twins = append(twins, fields[1:])
		}
	}
	if len(twins) != 2 {
		t.Fatalf("there are %d twins in\n%s", len(twins), log)
	}
	for i := range n {
		if twins[0][i] == twins[1][i] {
			t.Errorf("field %d of both is %s", i, twins[0][i])
		}
	}
}

func TestJavaHooks(t *testing.T) {
	eachInterpreter(t, Java, func(t *testing.T, runtime string) {
		classes := javac(t, runtime, "testdata/java/snap/Hooks.java", "testdata/java/snap/Seeds.java")
		const want = `["before 2","before 1","after 1 in ` + restoredStream + `","after 2 in ` + restoredStream + `","` + restoredStream + `",null]`
		for name, signal := range map[string]string{"stored": filepath.Join(t.TempDir(), "restored"), "not stored": ""} {
			t.Run(name, func(t *testing.T) {
				f := startSnap(t, code{runtime: runtime, handler: "snap.Hooks", task: classes}, signal)
				f.ok(f.invoke("{}"), want)
			})
		}
		for _, tt := range []struct{ when, path, kind, class string }{
			{"before", "init/error", "Runtime.BeforeCheckpointError", "CheckpointException"},
			{"after", "restore/error", "Runtime.AfterRestoreError", "RestoreException"},
		} {
			t.Run("error "+tt.when, func(t *testing.T) {
				f := startSnap(t, code{
					runtime: runtime, handler: "snap.Hooks$Failing", task: classes, env: map[string]string{"FAIL": tt.when},
				}, "")
				a := f.answer()
				if want := `{"errorMessage":"java.lang.IllegalStateException: no luck","errorType":"org.crac.` + tt.class + `"`; a.path != tt.path || !strings.HasPrefix(a.body, want) {
					t.Errorf("posted %s %s, want %s", a.path, a.body, want)
				}
				if got := a.header.Get("Lambda-Runtime-Function-Error-Type"); got != tt.kind {
					t.Errorf("error type %q", got)
				}
				if status := f.exit(); status != 64 {
					t.Errorf("it ended with %d", status)
				}
				if log := f.logged(); !strings.Contains(log, "IllegalStateException: no luck") || !strings.Contains(log, "Hooks.java:") ||
					strings.Contains(log, "WARNING") {
					t.Errorf("the log is\n%s", log)
				}
			})
		}
	})
}

// TestJavaTwins differ in all that is random. They are two processes that have the same seeds before the snapshot.
func TestJavaTwins(t *testing.T) {
	eachInterpreter(t, Java, func(t *testing.T, runtime string) {
		classes := javac(t, runtime, "testdata/java/snap/Hooks.java", "testdata/java/snap/Seeds.java")
		var said string
		for range 2 {
			f := startSnap(t, code{runtime: runtime, handler: "snap.Hooks$Twin", task: classes, env: map[string]string{
				"JAVA_TOOL_OPTIONS": "--add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED",
			}}, "")
			said += strings.Trim(f.invoke("{}").body, `"`) + "\n"
		}
		differ(t, said, 5)
	})
}
