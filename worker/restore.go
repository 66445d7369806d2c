package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/enfold-run/enfold/runtimeapi"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
)

// restoreLimit is how long a restored sandbox may take, hooks included.
// See https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html.
const restoreLimit = 10 * time.Second

// heldExpiry is for how long the credentials of a sandbox that is to be stored say that they are good. What was restored from it finds
// them expired, and asks for its own.
const heldExpiry = time.Minute

// Errors of Run for a function with SnapStart. It has not seen its event.
var (
	// ErrRestore is that a hook after the restore failed, or the runtime died in it.
	ErrRestore = errors.New("worker: the function could not be restored")
	// ErrRestoreTimeout is that the hooks took too long.
	ErrRestoreTimeout = errors.New("worker: the function was not restored in time")
)

// moveSnap gets a sandbox for a function with SnapStart: restored, if there is something to restore it from.
func (e *environment) moveSnap(ctx context.Context, spec sandbox.Spec, launch runtimes.Launch) error {
	spec.Mounts = append(spec.Mounts, mounts(launch)...)
	if e.snap.standby {
		if err := e.restoreStandby(ctx, spec); err != nil {
			return err
		}
		e.settle(launch)
		return nil
	}
	dir := e.function.Snapshot
	if d, _ := e.driver.(sandbox.Snapshotter); !e.snap.hold && d != nil && dir != "" {
		err := e.restored(ctx, d, withSignal(spec, dir))
		switch {
		case err == nil:
			e.settle(launch)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		e.spoilt(err)
	}
	if e.snap.hold && len(launch.Root) > 0 {
		return ErrSnapshotImage
	}
	if e.snap.hold {
		spec = withSignal(spec, dir)
		e.snap.signal = filepath.Join(signalDir, restoredFile)
	}
	var err error
	if e.snap.spec, err = digestOf(spec); err != nil {
		return err
	}
	if e.box, err = e.driver.Create(ctx, spec); err != nil {
		return err
	}
	e.settle(launch)
	return nil
}

// errNoSnapshot says that one is yet to be made, or made anew.
var errNoSnapshot = errors.New("there is none yet")

// spoilt gives up a snapshot that cannot be restored from: the host's gVisor, or its interpreter, may have been updated since.
func (e *environment) spoilt(err error) {
	f := e.function
	e.pool.deps.Log.Warn("a function with SnapStart has a cold start, as its snapshot cannot be restored", "owner", f.Owner, "error", err)
	if errors.Is(err, errNoSnapshot) {
		return
	}
	if os.Remove(filepath.Join(f.Snapshot, snapshotManifest)) == nil && f.Spoilt != nil { // for one of many at once
		f.Spoilt()
	}
}

// withSignal adds what tells the runtime that it was restored.
func withSignal(spec sandbox.Spec, dir string) sandbox.Spec {
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: filepath.Join(dir, snapshotSignal), Target: signalDir})
	return spec
}

// restored makes the sandbox out of the function's snapshot. Its process goes on at once: start finds it under way.
func (e *environment) restored(ctx context.Context, d sandbox.Snapshotter, spec sandbox.Spec) error {
	dir := e.function.Snapshot
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSnapshot
	}
	if err != nil {
		return err
	}
	digest, err := digestOf(spec)
	if err != nil {
		return err
	}
	if m.Driver != d.Name() || m.Spec != digest {
		return errors.New("it was made of another kind of sandbox, or with another runtime")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make log pipe: %w", err)
	}
	box, process, err := d.Restore(ctx, spec, filepath.Join(dir, snapshotImage), w, w)
	if err != nil {
		r.Close()
		return err
	}
	e.box, e.claimed, e.claimedLog = box, process, r
	e.snap.token, e.snap.restored = m.Token, true
	return nil
}

// settle notes where the sandbox has things.
func (e *environment) settle(launch runtimes.Launch) {
	e.launch = launch.In(e.box.Path)
	e.at.endpoint, e.at.api, e.at.path = e.box.Endpoint(), e.pool.apiURL(e.box.APIListener(), e.box.APIEndpoint()), e.box.Path
	if len(launch.Args) > 0 {
		e.entry = launch.Args[0]
	}
}

// newSession serves the Runtime API in the sandbox.
func (e *environment) newSession() *runtimeapi.Session {
	if e.snap == nil {
		return runtimeapi.NewSession(e.box.Listener(), runtimeapi.Within(e.pool.conns))
	}
	document := e.identity.document(e.snap.hold)
	return runtimeapi.NewSnapSession(e.box.Listener(), runtimeapi.Snap{
		Hold: e.snap.hold || e.snap.standby, LogStream: e.at.stream, Token: e.snap.token, Credentials: document,
	}, runtimeapi.Within(e.pool.conns))
}

// document makes the answer to who asks for the credentials. Those of a held sandbox seem to expire soon.
func (i identity) document(held bool) func() []byte {
	return func() []byte {
		expires := i.Expires
		if soon := time.Now().Add(heldExpiry); held && (expires.IsZero() || expires.After(soon)) {
			expires = soon
		} else if expires.IsZero() {
			expires = time.Now().Add(6 * time.Hour)
		}
		b, err := json.Marshal(struct {
			ID      string `json:"AccessKeyId"`
			Secret  string `json:"SecretAccessKey"`
			Token   string
			Expires string `json:"Expiration"`
		}{i.AccessKeyID, i.SecretAccessKey, i.SessionToken, expires.UTC().Format(time.RFC3339)})
		if err != nil {
			return nil // strings always marshal
		}
		return b
	}
}

// restorePhase takes a restored sandbox to where it waits for an event. The function is told of nothing if that fails.
func (e *environment) restorePhase(caller context.Context) error {
	e.log.restoreStart()
	e.session.Release() // of a standby
	ctx, cancel := context.WithTimeout(caller, e.pool.restoreLimit)
	defer cancel()
	err := e.start(ctx)
	took := time.Since(e.created)
	if err == nil {
		e.snap.took = took
		e.log.restoreReport(initOutcome{took: took, status: statusSuccess})
		return nil
	}
	if caller.Err() != nil {
		return caller.Err()
	}
	if ours(err) {
		return err
	}
	how := initOutcome{took: took, status: statusTimeout, errorType: "Runtime.RestoreHookUserTimeout"}
	cause := ErrRestoreTimeout
	if !errors.Is(err, context.DeadlineExceeded) {
		how.status, how.errorType = statusError, e.startFailure(err, &Request{}).errorType
		cause = ErrRestore
	}
	e.halt()
	e.log.restoreReport(how)
	return fmt.Errorf("%w: %s", cause, how.errorType)
}
