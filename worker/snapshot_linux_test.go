package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

// storing is a driver of processes that stores how a process was started, and starts it again, telling it so: what a real one has in
// the process's memory is in the environment here.
type storing struct {
	sandbox.Driver
	snapshots, restores atomic.Int64
	err                 atomic.Pointer[error] // of Restore
	full                error                 // of Snapshot
}

// stored is what is in a snapshot.
type stored struct {
	Command  sandbox.Command
	Endpoint string
}

type storedBox struct {
	sandbox.Sandbox
	command sandbox.Command
	last    sandbox.Process
}

func (b *storedBox) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	b.command = c
	var err error
	b.last, err = b.Sandbox.Start(ctx, c)
	return b.last, err
}

func (d *storing) Create(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	box, err := d.Driver.Create(ctx, s)
	if err != nil {
		return nil, err
	}
	return &storedBox{Sandbox: box}, nil
}

func (d *storing) Snapshot(_ context.Context, s sandbox.Sandbox, dir string) error {
	d.snapshots.Add(1)
	if d.full != nil {
		return errors.Join(d.full, s.Destroy())
	}
	box := s.(*storedBox)
	select {
	case <-box.last.Done():
		return errors.New("it is dead")
	default:
	}
	box.command.Stdout, box.command.Stderr = nil, nil
	data, err := json.Marshal(stored{box.command, box.Endpoint()})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "memory"), data, 0o644), box.Destroy())
}

func (d *storing) Restore(ctx context.Context, s sandbox.Spec, dir string, stdout, stderr *os.File) (sandbox.Sandbox, sandbox.Process, error) {
	d.restores.Add(1)
	if err := d.err.Load(); err != nil {
		stdout.Close()
		return nil, nil, *err
	}
	data, err := os.ReadFile(filepath.Join(dir, "memory"))
	if err != nil {
		return nil, nil, err
	}
	var was stored
	if err := json.Unmarshal(data, &was); err != nil {
		return nil, nil, err
	}
	box, err := d.Create(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	c := was.Command
	c.Stdout, c.Stderr = stdout, stderr
	for i, v := range c.Env {
		c.Env[i] = strings.ReplaceAll(v, was.Endpoint, box.Endpoint())
	}
	c.Env = append(c.Env, "RESTORED=1")
	process, err := box.Start(ctx, c)
	return box, process, err
}

// newStoring makes a world whose driver stores sandboxes.
func newStoring(t *testing.T) (*world, *storing) {
	t.Helper()
	d := &storing{}
	var minted atomic.Int64
	w := newWorld(t, "process", Deps{
		ReadyMemory: -1, // none stands by: see TestStandby
		Credentials: func(context.Context, *Function) (Credentials, error) {
			return Credentials{
				AccessKeyID: fmt.Sprint("ASIA", minted.Add(1)), SecretAccessKey: "secret", SessionToken: "token", Expires: time.Now().Add(time.Hour),
			}, nil
		},
	})
	d.Driver = w.deps.Driver
	w.deps.Driver = d
	return w, d
}

// snapping is a function with SnapStart; env is pairs of name and value.
func (w *world) snapping(how string, env ...string) *Function {
	f := w.function(append(env, "SNAP", how)...)
	f.SnapStart, f.Snapshot = true, filepath.Join(w.t.TempDir(), "snapshots", "one")
	f.RuntimeVersion, f.RuntimeVersionArn = "python:3.12.v1", "arn:aws:lambda:us-east-1::runtime:0"
	return f
}

func (w *world) snapshot(f *Function) {
	w.t.Helper()
	if err := w.Snapshot(context.Background(), f); err != nil {
		w.t.Fatalf("%v\n%s", err, w.logs.text())
	}
}

// TestSnapshot goes from the Init phase to restored invocations.
func TestSnapshot(t *testing.T) {
	w, d := newStoring(t)
	f := w.snapping("good", "INIT", "print")
	w.snapshot(f)
	log := w.logs.text()
	for _, want := range []string{"INIT_START Runtime Version: python:3.12.v1\t", "static code\n", "before the snapshot\n", "INIT_REPORT Init Duration: ", "\tPhase: init\tStatus: success\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log of the Init phase\n%s", want, log)
		}
	}
	if left := w.processes(); len(left) > 0 {
		t.Errorf("after Snapshot there are processes: %v", left)
	}
	w.snapshot(f)
	if n := d.snapshots.Load(); n != 1 {
		t.Errorf("a whole snapshot was made again: %d times", n)
	}

	first := w.request("state")
	resp := w.do(f, first)
	if resp.FunctionError != "" {
		t.Fatalf("%s\n%s", resp.Payload, w.logs.text())
	}
	line := report(t, string(resp.LogTail), first.RequestID)
	if resp.Restore <= 0 || resp.Init != 0 || ms(t, line["Restore Duration"]) <= 0 || line["Init Duration"] != "" ||
		ms(t, line["Billed Restore Duration"]) < ms(t, line["Restore Duration"]) {
		t.Errorf("Restore %v, Init %v, %v", resp.Restore, resp.Init, line)
	}
	if log := w.logs.text(); !strings.Contains(log, "RESTORE_START Runtime Version: python:3.12.v1\tRuntime Version ARN: arn:") ||
		!strings.Contains(log, "RESTORE_REPORT Restore Duration: ") {
		t.Errorf("the restore is not in the log\n%s", log)
	}
	second := w.request("state")
	if resp := w.do(f, second); resp.Restore != 0 || report(t, string(resp.LogTail), second.RequestID)["Restore Duration"] != "" {
		t.Errorf("a warm invocation was restored: %v", resp.Restore)
	}
	if n := d.restores.Load(); n != 1 {
		t.Errorf("%d restores", n)
	}
}

// TestSnapshotOnce makes one, however many ask for it at once.
func TestSnapshotOnce(t *testing.T) {
	w, d := newStoring(t)
	f := w.snapping("good", "INIT", "sleep:200")
	done := make(chan error)
	for range 3 {
		go func() { done <- w.Snapshot(context.Background(), f) }()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := d.snapshots.Load(); n != 1 {
		t.Errorf("it was made %d times", n)
	}
	if w.good(f, "state").Restore == 0 {
		t.Error("it was not restored")
	}
}

// TestSnapshotFiles are the image's own, and nobody else's.
func TestSnapshotFiles(t *testing.T) {
	w, _ := newStoring(t)
	f := w.snapping("good")
	if err := os.MkdirAll(filepath.Join(f.Snapshot, "image", "rest of an earlier try"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.snapshot(f)
	for name, want := range map[string]os.FileMode{
		".": os.ModeDir | 0o700, "image": os.ModeDir | 0o700, "image/memory": 0o600, "snapshot.json": 0o600, "signal": os.ModeDir | 0o755,
		"signal/restored": 0o444,
	} {
		if info, err := os.Stat(filepath.Join(f.Snapshot, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v (%v)", name, info.Mode(), want, err)
		}
	}
	if _, err := os.Stat(filepath.Join(f.Snapshot, "image", "rest of an earlier try")); err == nil {
		t.Error("what an earlier try left is still there")
	}
}

// twin is what a restored sandbox knows of itself.
func (w *world) twin(f *Function) (stream, key string, env []string) {
	w.t.Helper()
	var document string
	if err := json.Unmarshal(w.good(f, "credentials").Payload, &document); err != nil {
		w.t.Fatal(err)
	}
	var c struct{ AccessKeyID, SecretAccessKey, Token, Expiration string }
	body, ok := strings.CutPrefix(document, "200 OK ")
	if err := json.Unmarshal([]byte(body), &c); !ok || err != nil || c.SecretAccessKey != "secret" || c.Token != "token" {
		w.t.Fatalf("credentials: %s", document)
	}
	if expires, err := time.Parse(time.RFC3339, c.Expiration); err != nil || time.Until(expires) < 30*time.Minute {
		w.t.Errorf("they expire %q", c.Expiration)
	}
	if err := json.Unmarshal(w.good(f, "sleep").Payload, &stream); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(w.good(f, "env").Payload, &env); err != nil {
		w.t.Fatal(err)
	}
	return stream, c.AccessKeyID, env
}

// TestTwins differ in what they act as and where they log.
func TestTwins(t *testing.T) {
	w, _ := newStoring(t)
	f := w.snapping("good")
	w.snapshot(f)
	stream1, key1, env := w.twin(f)
	w.run(f, "exit") // the next one is restored
	stream2, key2, _ := w.twin(f)
	if key1 == key2 || stream1 == stream2 || !strings.Contains(stream1, "[$LATEST]") || !strings.Contains(stream2, "[$LATEST]") {
		t.Errorf("twins: keys %q and %q, log streams %q and %q", key1, key2, stream1, stream2)
	}
	if !slices.Contains(env, "AWS_LAMBDA_INITIALIZATION_TYPE=snap-start") {
		t.Errorf("the initialization type is not in %q", env)
	}
	for _, v := range env {
		if strings.HasPrefix(v, "AWS_ACCESS_KEY") || strings.HasPrefix(v, "AWS_SECRET") || strings.HasPrefix(v, "AWS_SESSION") {
			t.Errorf("the environment has %s", v)
		}
	}
}

// TestHeldCredentials seem to expire soon, so that twins get their own.
func TestHeldCredentials(t *testing.T) {
	for _, expires := range []time.Time{{}, time.Now().Add(time.Hour)} {
		i := identity{Credentials: Credentials{AccessKeyID: "A", Expires: expires}}
		for held, want := range map[bool]func(left time.Duration) bool{
			true:  func(left time.Duration) bool { return left <= heldExpiry },
			false: func(left time.Duration) bool { return left > 50*time.Minute },
		} {
			var c struct{ Expiration time.Time }
			if err := json.Unmarshal(i.document(held)(), &c); err != nil || !want(time.Until(c.Expiration)) {
				t.Errorf("held %v, expires %v: says %v (%v)", held, expires, c.Expiration, err)
			}
		}
	}
}

// TestSnapshotFailures are functions that cannot be stored.
func TestSnapshotFailures(t *testing.T) {
	for _, tt := range []struct {
		name, how string
		env       []string
		want      InitFailure
		log       string
	}{
		{"hook before", "before-error", nil, InitFailure{Type: "Runtime.BeforeSnapshotError"}, "Status: error\tError Type: Runtime.BeforeSnapshotError\n"},
		{"exit", "good", []string{"INIT", "exit:3"}, InitFailure{Type: "Runtime.ExitError", Says: "Runtime.ExitError: Runtime exited with error: exit status 3"}, "Status: error\tError Type: Runtime.ExitError\n"},
		{"init error", "good", []string{"INIT", "error"}, InitFailure{Type: "Runtime.BadInit", Says: "BadInit: no luck"}, "Status: error\tError Type: Runtime.BadInit\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := newStoring(t)
			f := w.snapping(tt.how, tt.env...)
			err := w.Snapshot(context.Background(), f)
			var fail *InitFailure
			if !errors.As(err, &fail) || *fail != tt.want || !errors.Is(err, ErrInit) {
				t.Errorf("%v, want %+v", err, tt.want)
			}
			if log := w.logs.text(); !strings.Contains(log, tt.log) {
				t.Errorf("%q is not in\n%s", tt.log, log)
			}
			if _, err := readManifest(f.Snapshot); err == nil {
				t.Error("there is a snapshot")
			}
		})
	}
	t.Run("an image's runtime", func(t *testing.T) {
		w, _ := newStoring(t)
		w.deps.Runtimes = runtimes.New(runtimes.Options{DataDir: t.TempDir(), Image: func(context.Context, string) (*runtimes.Image, error) {
			return &runtimes.Image{Layers: []string{"/a"}, EntryPoint: []string{"/bootstrap"}}, nil
		}})
		if err := w.Snapshot(context.Background(), w.snapping("good")); !errors.Is(err, ErrSnapshotImage) || !errors.Is(err, ErrSnapshot) {
			t.Errorf("%v", err)
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		w, d := newStoring(t)
		d.full = fmt.Errorf("store sandbox x: %w: EOF", sandbox.ErrSnapshotMemory)
		f := w.snapping("good")
		if err := w.Snapshot(context.Background(), f); !errors.Is(err, ErrSnapshotMemory) {
			t.Errorf("%v", err)
		}
		if _, err := readManifest(f.Snapshot); err == nil {
			t.Error("there is a snapshot")
		}
	})
	t.Run("given up", func(t *testing.T) {
		w, _ := newStoring(t)
		ctx, cancel := context.WithCancel(context.Background())
		f := w.snapping("good", "INIT", "hang")
		done := make(chan error, 1)
		go func() { done <- w.Snapshot(ctx, f) }()
		eventually(t, "it hangs", func() bool { return strings.Contains(w.logs.text(), "hanging") })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("shutting down", func(t *testing.T) {
		w, _ := newStoring(t)
		f := w.snapping("good", "INIT", "hang")
		done := make(chan error, 1)
		go func() { done <- w.Snapshot(context.Background(), f) }()
		eventually(t, "it hangs", func() bool { return strings.Contains(w.logs.text(), "hanging") })
		w.Drain(context.Background())
		if err := <-done; !errors.Is(err, ErrDraining) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a driver that cannot", func(t *testing.T) {
		w := newWorld(t, "process", Deps{})
		f := w.snapping("good")
		const bare = "sandboxes of the process driver cannot be stored (`enfold doctor` says what is missing)"
		if err := w.Snapshot(context.Background(), f); !errors.Is(err, ErrSnapshot) || err.Error() != bare {
			t.Errorf("%v", err)
		}
		w.deps.CanStore = func() error { return errors.New("build gVisor") }
		if err := w.CanSnapshot(); !errors.Is(err, ErrSnapshot) || err.Error() != "build gVisor" {
			t.Errorf("%v", err)
		}
		// It runs all the same, as AWS's own emulators do: initialized, and restored on the spot.
		if log := string(w.good(f, "state").LogTail); !strings.Contains(log, "Init Duration: ") || strings.Contains(log, "Restore") {
			t.Errorf("a cold start looks like\n%s", log)
		}
		if log := w.logs.text(); !strings.Contains(log, "before the snapshot\n") || !strings.Contains(log, "after the restore in ") {
			t.Errorf("its hooks did not run\n%s", log)
		}
	})
}

func TestSaidIn(t *testing.T) {
	for name, tc := range map[string]struct{ payload, want string }{
		"both":            {`{"errorType":"ValueError","errorMessage":"no luck","stackTrace":["x"]}`, "ValueError: no luck"},
		"type":            {`{"errorType":"ValueError"}`, "ValueError"},
		"message":         {`{"errorMessage":"no luck"}`, "no luck"},
		"ours":            {string(newFailure(&Request{}, "Runtime.ExitError", "it went").payload), "Runtime.ExitError: it went"},
		"lines":           {`{"errorType":"A","errorMessage":" one\n\ttwo\r\n"}`, "A: one two"},
		"nothing":         {"", ""},
		"no JSON":         {"no luck", ""},
		"another JSON":    {`["ValueError"]`, ""},
		"other members":   {`{"errorType":7}`, ""},
		"no UTF-8":        {"{\"errorMessage\":\"a\xff\"}", "a\ufffd"},
		"a long one":      {`{"errorType":"A","errorMessage":"` + strings.Repeat("é", 5000) + `"}`, "A: " + strings.Repeat("é", maxSays-4) + "…"},
		"a huge one":      {`{"errorMessage":"` + strings.Repeat("x", maxErrorBody) + `"}`, ""},
		"a very deep one": {strings.Repeat("[", 100_000), ""},
	} {
		if got := saidIn([]byte(tc.payload)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func FuzzSaidIn(f *testing.F) {
	f.Add([]byte(`{"errorType":"ValueError","errorMessage":"no luck"}`))
	f.Add([]byte("{\"errorMessage\":\"a\xff\x00\\n\"}"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got := saidIn(payload); utf8.RuneCountInString(got) > maxSays || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("got %q", got)
		}
	})
}

// TestRestoreFailures are functions that do not come out of their snapshot.
func TestRestoreFailures(t *testing.T) {
	for _, tt := range []struct {
		how  string
		want error
		log  string
	}{
		{"after-error", ErrRestore, "\tStatus: error\tError Type: Runtime.AfterRestoreError\n"},
		{"after-exit", ErrRestore, "\tStatus: error\tError Type: Runtime.ExitError\n"},
		{"after-hang", ErrRestoreTimeout, "\tStatus: timeout\tError Type: Runtime.RestoreHookUserTimeout\n"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			w, d := newStoring(t)
			f := w.snapping(tt.how)
			w.snapshot(f)
			if tt.how == "after-hang" {
				w.restoreLimit = 200 * time.Millisecond
			}
			for range 2 { // every time anew
				if _, err := w.Run(context.Background(), f, w.request("state")); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			}
			if n := d.restores.Load(); n != 2 {
				t.Errorf("%d restores", n)
			}
			if log := w.logs.text(); !strings.Contains(log, "RESTORE_REPORT Restore Duration: ") || !strings.Contains(log, tt.log) ||
				strings.Contains(log, "START RequestId") {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

// TestUnrestorable snapshots are no reason not to run.
func TestUnrestorable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, d *storing, f *Function)
		want  string // in the server's log
	}{
		{"gone", func(t *testing.T, _ *storing, f *Function) {
			if err := os.RemoveAll(f.Snapshot); err != nil {
				t.Fatal(err)
			}
		}, "there is none yet"},
		{"damaged", func(_ *testing.T, d *storing, _ *Function) { d.err.Store(new(errors.New("bad image"))) }, "bad image"},
		{"of another sandbox", func(_ *testing.T, _ *storing, f *Function) { f.MemoryMB++ }, "another kind of sandbox"},
		{"no manifest", func(t *testing.T, _ *storing, f *Function) {
			if err := os.WriteFile(filepath.Join(f.Snapshot, "snapshot.json"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "read snapshot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, d := newStoring(t)
			f := w.snapping("good")
			w.snapshot(f)
			tt.spoil(t, d, f)
			var spoilt atomic.Int64
			f.Spoilt = func() { spoilt.Add(1) }
			for range 2 {
				if resp := w.good(f, "state"); resp.Restore != 0 {
					t.Errorf("it was restored: %v", resp.Restore)
				}
				w.run(f, "exit")
			}
			want := int64(1)
			if tt.name == "gone" {
				want = 0
			}
			if got := spoilt.Load(); got != want {
				t.Errorf("it was told %d times that the snapshot is spoilt", got)
			}
			d.err.Store(nil)
			w.snapshot(f)
			if resp := w.good(f, "state"); resp.Restore == 0 {
				t.Error("it was not restored from a new snapshot")
			}
			w.Drain(context.Background())
			if !strings.Contains(w.server.String(), tt.want) {
				t.Errorf("%q is not in the server's log\n%s", tt.want, w.server)
			}
		})
	}
}

// TestRestoredDies in an invocation or between two: the next one is restored.
func TestRestoredDies(t *testing.T) {
	w, d := newStoring(t)
	f := w.snapping("good")
	w.snapshot(f)
	before := w.state(f)
	if resp := w.run(f, "exit"); resp.FunctionError == "" {
		t.Fatal("it did not die")
	}
	if _, same := w.alive(f, before); same {
		t.Error("it is the same process")
	}
	w.good(f, `{"do":"next-exit"}`)
	eventually(t, "it is gone", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for e := range w.all {
			if e.alive() {
				return false
			}
		}
		return true
	})
	if resp := w.good(f, "state"); resp.Restore <= 0 {
		t.Error("what came after a death between two invocations was not restored")
	}
	if n := d.restores.Load(); n != 3 {
		t.Errorf("%d restores", n)
	}
}

// TestRestoreJSON is the log of a function that logs JSON.
func TestRestoreJSON(t *testing.T) {
	w, _ := newStoring(t)
	f := w.snapping("good")
	f.LogFormat, f.LogLevel, f.SystemLog = "JSON", "INFO", "DEBUG"
	w.snapshot(f)
	w.good(f, "state")
	log := w.logs.text()
	for _, want := range []string{
		`"initializationType":"snap-start"`, `"type":"platform.restoreStart","record":{"functionName":"misbehave","functionVersion":"$LATEST","runtimeVersion":"python:3.12.v1"`,
		`"type":"platform.restoreRuntimeDone","record":{"status":"success"}`, `"type":"platform.restoreReport","record":{"metrics":{"durationMs":`,
		`"restoreDurationMs":`, `"billedRestoreDurationMs":`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in\n%s", want, log)
		}
	}
}
