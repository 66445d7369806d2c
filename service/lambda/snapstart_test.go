package lambda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/worker"
)

// snaps plays the part of the worker that stores sandboxes: a snapshot is a file.
type snaps struct {
	mu     sync.Mutex
	cannot error
	err    error
	gate   chan struct{} // if set, Snapshot waits until it is closed
	made   []*worker.Function
	begun  int
}

func (s *snaps) CanSnapshot() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cannot
}

func (s *snaps) Snapshot(ctx context.Context, f *worker.Function) error {
	s.mu.Lock()
	err, gate := s.err, s.gate
	s.begun++
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if merr := os.MkdirAll(f.Snapshot, 0o700); merr != nil || err != nil {
		return errors.Join(merr, err)
	}
	file := filepath.Join(f.Snapshot, "memory")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, f)
	return os.WriteFile(file, nil, 0o600)
}

func (s *snaps) set(change func(*snaps)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *snaps) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.made)
}

// until waits for a condition.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in twenty seconds")
		}
	}
}

// newSnapWorld is a world whose host can store sandboxes.
func newSnapWorld(t *testing.T) (*world, *snaps) {
	w := newWorld(t)
	w.close()
	s := &snaps{}
	w.snaps = s
	w.open()
	return w, s
}

func snapStart(in *api.CreateFunctionInput) {
	in.SnapStart = &api.SnapStart{ApplyOn: new(api.SnapStartApplyOnPublishedVersions)}
}

// shown is a version's state and SnapStart as the API shows them.
func (w *world) shown(name, version string) string {
	w.t.Helper()
	c := must(w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: &name, Qualifier: &version}))(w.t)
	return fmt.Sprintf("%s %s %s: %s/%s", *c.State, str(c.StateReasonCode), str(c.StateReason), *c.SnapStart.ApplyOn, *c.SnapStart.OptimizationStatus)
}

// dirs are the snapshots on the disk.
func (w *world) snapshotDirs() []string {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.data, snapshotsDir, "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// TestSnapStart is the way of a version from PublishVersion to its end.
func TestSnapStart(t *testing.T) {
	w, s := newSnapWorld(t)
	w.create("f", snapStart)
	if got := w.shown("f", "$LATEST"); got != "Active  : PublishedVersions/Off" {
		t.Errorf("$LATEST is %s", got)
	}
	if s.count() != 0 {
		t.Error("$LATEST has a snapshot")
	}
	gate := make(chan struct{})
	s.set(func(s *snaps) { s.gate = gate })
	v := must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	if *v.State != "Pending" || *v.StateReasonCode != "Creating" || *v.SnapStart.OptimizationStatus != "Off" {
		t.Errorf("it was published %s, %s, %s", *v.State, *v.StateReasonCode, *v.SnapStart.OptimizationStatus)
	}
	w.create("other") // does not wait for it
	close(gate)
	w.wait("f")
	if got := w.shown("f", "1"); got != "Active  : PublishedVersions/On" {
		t.Errorf("version 1 is %s", got)
	}
	var ran, latestRan *worker.Function
	w.pool.run = func(f *worker.Function, r *worker.Request) (*worker.Response, error) {
		if f.Version == latest {
			latestRan = f
		} else {
			ran = f
		}
		return &worker.Response{Payload: []byte("1")}, nil
	}
	must(w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}))(t)
	must(w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f")}))(t)
	dirs := w.snapshotDirs()
	if len(dirs) != 1 || !ran.SnapStart || ran.Snapshot != dirs[0] || ran.Key != s.made[0].Key || latestRan.SnapStart || latestRan.Snapshot != "" {
		t.Errorf("%v is restored from %q, $LATEST from %q; there are %q", ran.SnapStart, ran.Snapshot, latestRan.Snapshot, dirs)
	}
	// None on the next version.
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), SnapStart: &api.SnapStart{ApplyOn: new("None")},
	}))(t)
	w.wait("f")
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	if got := w.shown("f", "2"); got != "Active  : None/Off" || s.count() != 1 {
		t.Errorf("version 2 is %s, %d snapshots were made", got, s.count())
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("1")}))(t)
	if dirs := w.snapshotDirs(); len(dirs) != 0 {
		t.Errorf("the deleted version's snapshot is left: %q", dirs)
	}
}

// TestSnapStartRestart is what a new process makes of the snapshots that it finds.
func TestSnapStartRestart(t *testing.T) {
	w, s := newSnapWorld(t)
	w.create("f", snapStart)
	w.publish("f", "one")
	w.publish("f", "two")
	w.wait("f")
	dirs := w.snapshotDirs()
	if len(dirs) != 2 || s.count() != 2 {
		t.Fatalf("%q", dirs)
	}
	w.close()
	if err := os.RemoveAll(dirs[0]); err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(w.data, snapshotsDir, "nobody's")
	if err := os.MkdirAll(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	w.open()
	until(t, func() bool { return s.count() >= 3 })
	if now := w.snapshotDirs(); s.count() != 3 || !slices.Equal(now, dirs) {
		t.Errorf("after the restart there are %q, made %d times; want %q, 3", now, s.count(), dirs)
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	if now := w.snapshotDirs(); len(now) != 0 {
		t.Errorf("the deleted function's snapshots are left: %q", now)
	}
}

// TestSnapStartSpoilt has a snapshot made anew that the worker has given up, once.
func TestSnapStartSpoilt(t *testing.T) {
	w, s := newSnapWorld(t)
	w.create("f", snapStart)
	w.publish("f", "one")
	w.wait("f")
	var ran *worker.Function
	w.pool.run = func(f *worker.Function, r *worker.Request) (*worker.Response, error) {
		ran = f
		return &worker.Response{Payload: []byte("1")}, nil
	}
	must(w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}))(t)
	if err := os.Remove(filepath.Join(ran.Snapshot, "memory")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ran.Spoilt()
	}
	until(t, func() bool { return s.count() == 2 })
	must(w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}))(t)
	if got := w.shown("f", "1"); got != "Active  : PublishedVersions/On" {
		t.Errorf("it is %s", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != 2 {
		t.Errorf("it was made %d times", s.begun)
	}
}

// TestSnapStartDeletedMidway leaves no snapshot.
func TestSnapStartDeletedMidway(t *testing.T) {
	w, s := newSnapWorld(t)
	w.create("f", snapStart)
	gate := make(chan struct{})
	s.set(func(s *snaps) { s.gate = gate })
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	until(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.begun > 0 })
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	close(gate)
	until(t, func() bool { return s.count() == 1 && len(w.snapshotDirs()) == 0 })
}

func TestSnapStartFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"init", &worker.InitFailure{Type: "Runtime.ExitError"}, "FunctionError.RuntimeInitError The function's initialization failed: Runtime.ExitError. See the log group /aws/lambda/f."},
		{
			"what it said", fmt.Errorf("x: %w", &worker.InitFailure{Type: "Runtime.Unknown", Says: "ValueError: no luck."}),
			"FunctionError.RuntimeInitError The function's initialization failed: ValueError: no luck. See the log group /aws/lambda/f.",
		},
		{
			"what a hook said", &worker.InitFailure{Type: "Runtime.BeforeSnapshotError", Says: "ValueError: no luck"},
			"FunctionError.RuntimeInitError The function's initialization failed: Runtime.BeforeSnapshotError: ValueError: no luck. See the log group /aws/lambda/f.",
		},
		{
			"what is said already", &worker.InitFailure{Type: "Runtime.ExitError", Says: "Runtime.ExitError: it exited"},
			"FunctionError.RuntimeInitError The function's initialization failed: Runtime.ExitError: it exited. See the log group /aws/lambda/f.",
		},
		{
			"no memory to store it", fmt.Errorf("x: %w: EOF", worker.ErrSnapshotMemory),
			"FunctionError.InitResourceExhausted The execution environment ran out of memory while its snapshot was stored: give the function " +
				"more than 128 MB, and keep the server's data directory on a disk.",
		},
		{"timeout", &worker.InitFailure{Type: "Sandbox.Timedout", Timeout: true}, "FunctionError.InitTimeout The function's initialization failed: Sandbox.Timedout. See the log group /aws/lambda/f."},
		{"memory", &worker.InitFailure{Type: "Runtime.OutOfMemory"}, "FunctionError.InitResourceExhausted The function's initialization failed: Runtime.OutOfMemory. See the log group /aws/lambda/f."},
		{"entry point", &worker.InitFailure{Type: "Runtime.InvalidEntrypoint"}, "FunctionError.InvalidEntryPoint The function's initialization failed: Runtime.InvalidEntrypoint. See the log group /aws/lambda/f."},
		{"an image's runtime", fmt.Errorf("x: %w", worker.ErrSnapshotImage), "InvalidConfiguration SnapStart is not available for a runtime that is served by a container image (--runtime-images)."},
		{"role", fmt.Errorf("x: %w", worker.ErrRole), "InsufficientRolePermissions The role defined for the function cannot be assumed by Lambda."},
		{"key", api.ErrKMSDisabled.New("the key is disabled"), "DisabledKMSKey the key is disabled"},
		{"ours", errors.New("/secret/path"), "InternalError The snapshot of the execution environment could not be made. The server's log says why."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, s := newSnapWorld(t)
			s.err = tt.err
			w.create("f", snapStart)
			must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
			w.wait("f")
			if got := w.shown("f", "1"); got != "Failed "+tt.want+": PublishedVersions/Off" {
				t.Errorf("got %s", got)
			}
			if dirs := w.snapshotDirs(); len(dirs) != 0 {
				t.Errorf("%q is left", dirs)
			}
			if _, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}); err == nil || !strings.Contains(err.Error(), "Failed") {
				t.Errorf("Invoke: %v", err)
			}
		})
	}
	t.Run("a full host is tried again", func(t *testing.T) {
		w, s := newSnapWorld(t)
		s.err = worker.ErrFull
		w.create("f", snapStart)
		must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
		s.set(func(s *snaps) { s.err = nil })
		w.wait("f")
		if got := w.shown("f", "1"); got != "Active  : PublishedVersions/On" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a host that can no more", func(t *testing.T) {
		w, s := newSnapWorld(t)
		w.create("f", snapStart)
		s.set(func(s *snaps) { s.cannot = errors.New("no gVisor: see enfold doctor") })
		must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
		w.wait("f")
		const want = "Failed InvalidConfiguration SnapStart is not available on this host: no gVisor: see enfold doctor: PublishedVersions/Off"
		if got := w.shown("f", "1"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		s.set(func(s *snaps) { s.cannot = nil })
		w.restart()
		until(t, func() bool { return !strings.HasPrefix(w.shown("f", "1"), "Failed") })
		if got := w.shown("f", "1"); got != "Active  : PublishedVersions/On" {
			t.Errorf("after a restart: %s", got)
		}
	})
}

// TestSnapStartRefusals are what it does not go with.
func TestSnapStartRefusals(t *testing.T) {
	w, s := newSnapWorld(t)
	for name, tt := range map[string]struct {
		change func(in *api.CreateFunctionInput)
		want   string
	}{
		"old":  {func(in *api.CreateFunctionInput) { in.Runtime = new("python3.9") }, "python3.9 is not supported for SnapStart enabled functions."},
		"node": {func(in *api.CreateFunctionInput) { in.Runtime = new("nodejs22.x") }, "nodejs22.x is not supported for SnapStart enabled functions."},
		"own":  {func(in *api.CreateFunctionInput) { in.Runtime = new("provided.al2023") }, "provided.al2023 is not supported for SnapStart enabled functions."},
		"tmp":  {func(in *api.CreateFunctionInput) { in.EphemeralStorage = &api.EphemeralStorage{Size: new(513)} }, "SnapStart does not support ephemeral storage (/tmp) greater than 512 MB."},
	} {
		_, err := w.CreateFunction(w.ctx, w.simple(name, snapStart, tt.change))
		if got := coded(err); got != "400 InvalidParameterValueException: "+tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for i, name := range []string{"java11", "java21", "java25", "python3.12", "python3.14"} {
		must(w.CreateFunction(w.ctx, w.simple(fmt.Sprint("ok", i), snapStart, func(in *api.CreateFunctionInput) { in.Runtime = &name })))(t)
	}
	w.create("f", snapStart)
	_, err := w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), EphemeralStorage: &api.EphemeralStorage{Size: new(1024)},
	})
	if got := coded(err); got != "400 InvalidParameterValueException: SnapStart does not support ephemeral storage (/tmp) greater than 512 MB." {
		t.Errorf("update: %s", got)
	}
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	_, err = w.PutProvisionedConcurrencyConfig(w.ctx, &api.PutProvisionedConcurrencyConfigInput{
		FunctionName: new("f"), Qualifier: new("1"), ProvisionedConcurrentExecutions: new(1),
	})
	if got := coded(err); got != "400 InvalidParameterValueException: Provisioned Concurrency is not supported for function versions with SnapStart enabled." {
		t.Errorf("provisioned concurrency: %s", got)
	}
	const refused = "400 InvalidParameterValueException: Provisioned Concurrency is not supported for function versions with SnapStart enabled."
	must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), SnapStart: &api.SnapStart{ApplyOn: new("None")},
	}))(t)
	w.wait("f")
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("2")}))(t)
	must(w.PutProvisionedConcurrencyConfig(w.ctx, &api.PutProvisionedConcurrencyConfigInput{
		FunctionName: new("f"), Qualifier: new("live"), ProvisionedConcurrentExecutions: new(1),
	}))(t)
	_, err = w.UpdateAlias(w.ctx, &api.UpdateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")})
	if got := coded(err); got != refused {
		t.Errorf("an alias with provisioned concurrency: %s", got)
	}
	s.set(func(s *snaps) { s.cannot = errors.New("no gVisor") })
	_, err = w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{
		FunctionName: new("f"), SnapStart: &api.SnapStart{ApplyOn: new("PublishedVersions")},
	})
	if got := coded(err); got != "400 InvalidParameterValueException: SnapStart is not available on this host: no gVisor" {
		t.Errorf("on a host without: %s", got)
	}
}

// TestSnapStartInvoke is what callers hear.
func TestSnapStartInvoke(t *testing.T) {
	w, s := newSnapWorld(t)
	w.create("f", snapStart)
	s.set(func(s *snaps) { s.gate = make(chan struct{}) })
	must(w.PublishVersion(w.ctx, &api.PublishVersionInput{FunctionName: new("f")}))(t)
	in := &api.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}
	_, err := w.Invoke(w.ctx, in)
	if got := coded(err); !strings.HasPrefix(got, "409 SnapStartNotReadyException: Lambda is initializing your function.") {
		t.Errorf("while it is Pending: %s", got)
	}
	s.set(func(s *snaps) { close(s.gate); s.gate = nil })
	w.wait("f")
	for cause, want := range map[error]string{
		worker.ErrRestore:        "400 SnapStartException: The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
		worker.ErrRestoreTimeout: "408 SnapStartTimeoutException: Lambda couldn't restore the snapshot within the timeout limit.",
	} {
		w.pool.run = func(*worker.Function, *worker.Request) (*worker.Response, error) {
			return nil, fmt.Errorf("run: %w", cause)
		}
		if _, err := w.Invoke(w.ctx, in); coded(err) != want {
			t.Errorf("got  %s\nwant %s", coded(err), want)
		}
	}
}
