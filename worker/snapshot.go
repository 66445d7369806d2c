package worker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

const (
	snapStartInit = "snap-start"
	// What is in Function.Snapshot. The manifest comes last, when all else is on the disk: without it there is no snapshot.
	snapshotImage    = "image"
	snapshotSignal   = "signal"
	snapshotManifest = "snapshot.json"
	// signalDir is where the sandbox sees what is in snapshotSignal: nothing before the snapshot, restoredFile in everything that
	// was restored from it. So a runtime can wait for that without a connection, which would not survive.
	signalDir    = "/var/enfold"
	restoredFile = "restored"
	// maxSays is how many characters of a runtime's error are passed on, and maxErrorBody of how many bytes they are looked for.
	maxSays      = 1000
	maxErrorBody = 1 << 20
	// maxManifest is how many bytes of a manifest are read.
	maxManifest = 1 << 16
)

// ErrSnapshot is wrapped by the error of Snapshot if this host cannot store sandboxes. The text of what wraps it is for callers: it is the
// reason alone, and says what to do.
var ErrSnapshot = errors.New("worker: sandboxes cannot be stored here")

// ErrSnapshotImage is an ErrSnapshot: the runtime is a container image's, and its own client cannot wait for a snapshot as ours do.
var ErrSnapshotImage = fmt.Errorf("%w: the runtime is served by a container image (--runtime-images)", ErrSnapshot)

// ErrSnapshotMemory is wrapped by the error of Snapshot if the function's memory did not suffice to store it.
var ErrSnapshotMemory = sandbox.ErrSnapshotMemory

// unstorable is an ErrSnapshot that says why.
type unstorable string

func (u unstorable) Error() string { return string(u) }

// Unwrap is ErrSnapshot.
func (u unstorable) Unwrap() error { return ErrSnapshot }

// InitFailure is why a function could not be taken through the Init phase of SnapStart: it is to blame.
type InitFailure struct {
	// Type is what failed, such as "Runtime.ExitError", or "Sandbox.Timedout".
	Type string
	// Says is what the runtime said of it, or who watched it, such as "ValueError: no luck". It is one line of at most maxSays characters,
	// and the function's own: for those who may see the function, not for our log. Empty if nobody said anything.
	Says string
	// Timeout says that it took too long.
	Timeout bool
}

func (e *InitFailure) Error() string { return "worker: the Init phase failed: " + e.Type }

// Unwrap is ErrInit.
func (e *InitFailure) Unwrap() error { return ErrInit }

// snap is what an environment of a function with SnapStart has besides.
type snap struct {
	token    string // that credentials are had for
	hold     bool   // it is to be stored
	standby  bool   // it is restored, and waits to be wanted
	spec     string // digest
	signal   string // where the sandbox finds restoredFile; empty if there is nothing to wait for
	restored bool   // it comes out of a snapshot
	// took is how long it took to restore it, until its first invocation has told.
	took time.Duration
}

// manifest is what must be known to restore a snapshot.
type manifest struct {
	Driver string
	Spec   string // digest of the sandbox: it must be the same, down to the interpreter that is mounted
	Token  string // in the environment of what was stored
}

// CanSnapshot says why Snapshot cannot work here; nil if it can. The error wraps ErrSnapshot.
func (p *Pool) CanSnapshot() error {
	if p.snapshotter(&Function{SnapStart: true}) != nil {
		return nil
	}
	if p.deps.CanStore != nil {
		if err := p.deps.CanStore(); err != nil {
			return unstorable(err.Error())
		}
	}
	return unstorable("sandboxes of the " + p.deps.Driver.Name() + " driver cannot be stored (`enfold doctor` says what is missing)")
}

// Snapshot takes a sandbox of f through its Init phase and stores it in f.Snapshot, a directory that it makes anew, durably. A whole
// snapshot that is there is left alone. Run restores the function's sandboxes from it. The error wraps ErrSnapshot, *InitFailure,
// ErrSnapshotMemory, ErrRole, ErrFull or ErrDraining, or is about us.
func (p *Pool) Snapshot(ctx context.Context, f *Function) error {
	d := p.snapshotter(f)
	if d == nil {
		return p.CanSnapshot()
	}
	defer p.storeAlone(f.Snapshot)()
	if m, err := readManifest(f.Snapshot); err == nil && m.Driver == d.Name() {
		return nil
	}
	if err := p.reserveMaking(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	e, err := p.hold(ctx, f)
	if err == nil {
		err = e.store(ctx, d)
	}
	if err == nil {
		defer p.wantStandby(f, false)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
	p.changed.Broadcast() // Drain waits for those that are being made
	if e == nil {
		p.total--
	} else {
		p.destroy(e)
	}
	switch {
	case err != nil && p.draining:
		return ErrDraining
	case err != nil:
		return fmt.Errorf("snapshot of %s: %w", f.Owner, err)
	}
	return nil
}

// storeAlone waits until nobody else makes the snapshot in a directory. What it answers ends that for the caller.
func (p *Pool) storeAlone(dir string) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.storing[dir] {
		p.changed.Wait()
	}
	p.storing[dir] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.storing, dir)
		p.changed.Broadcast()
	}
}

// reserveMaking makes room for a sandbox that is made for no invocation.
func (p *Pool) reserveMaking() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.draining:
		return ErrDraining
	case p.total >= p.deps.MaxSandboxes && !p.evict():
		return ErrFull
	}
	p.total++
	p.making++
	return nil
}

// hold makes a sandbox and takes it to where it is to be stored. It answers one with an error if its Init phase failed.
func (p *Pool) hold(ctx context.Context, f *Function) (*environment, error) {
	if err := emptySnapshot(f.Snapshot); err != nil {
		return nil, err
	}
	e, err := p.furnish(ctx, &environment{pool: p, function: f, snap: &snap{token: newToken(), hold: true}})
	if err != nil {
		return nil, err
	}
	p.born(e)
	e.begun = true
	e.log.initStart("init")
	limited, cancel := context.WithTimeout(ctx, max(provisionedLimit, f.Timeout))
	defer cancel()
	err = e.start(limited)
	how := initOutcome{took: time.Since(e.created), phase: "init", status: statusSuccess}
	switch {
	case err == nil:
		e.log.initReport(how)
		return e, nil
	case ctx.Err() != nil || ours(err):
		return e, err
	}
	fail := &InitFailure{Type: "Sandbox.Timedout", Timeout: true}
	if how.status = statusTimeout; !errors.Is(err, context.DeadlineExceeded) {
		why := e.startFailure(err, &Request{})
		fail = &InitFailure{Type: why.errorType, Says: saidIn(why.payload)}
		how.status, how.errorType = statusError, fail.Type
	}
	e.halt()
	e.log.initReport(how)
	return e, fail
}

// saidIn is the type and message of the error that a runtime has posted, or that we made up in its place.
func saidIn(payload []byte) string {
	var said struct{ ErrorType, ErrorMessage string }
	if len(payload) > maxErrorBody || json.Unmarshal(payload, &said) != nil {
		return ""
	}
	said.ErrorMessage = strings.TrimPrefix(said.ErrorMessage, "RequestId:  Error: ") // there is no request
	words := strings.Fields(said.ErrorMessage)
	if said.ErrorType != "" && len(words) > 0 {
		said.ErrorType += ":"
	}
	line := []rune(strings.Join(append(strings.Fields(said.ErrorType), words...), " "))
	if len(line) > maxSays {
		line = append(line[:maxSays-1], '…')
	}
	return string(line)
}

// store stores a sandbox whose runtime waits to be.
func (e *environment) store(ctx context.Context, d sandbox.Snapshotter) error {
	dir := e.function.Snapshot
	e.session.Quiet()
	e.stopAPI()
	e.stopAPI = func() {}
	if err := d.Snapshot(ctx, e.box, filepath.Join(dir, snapshotImage)); err != nil {
		return err
	}
	e.log.finish()
	if err := os.WriteFile(filepath.Join(dir, snapshotSignal, restoredFile), nil, 0o444); err != nil {
		return err
	}
	if err := syncTree(dir); err != nil {
		return err
	}
	return writeManifest(dir, manifest{Driver: d.Name(), Spec: e.snap.spec, Token: e.snap.token})
}

// emptySnapshot makes the directories of a snapshot that is to be made. Only this process may read the image: it has the function's
// memory, secrets and all.
func emptySnapshot(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove an unfinished snapshot: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, snapshotImage), 0o700); err != nil {
		return fmt.Errorf("make room for a snapshot: %w", err)
	}
	if err := os.Mkdir(filepath.Join(dir, snapshotSignal), 0o755); err != nil {
		return fmt.Errorf("make room for a snapshot: %w", err)
	}
	return os.Chmod(filepath.Join(dir, snapshotSignal), 0o755) // whatever the umask
}

// syncTree makes a snapshot's files durable, and this process's alone but for the signal.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() && !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if filepath.Dir(name) == filepath.Join(dir, snapshotImage) {
			err = f.Chmod(0o600)
		}
		return errors.Join(err, f.Sync(), f.Close())
	})
}

func writeManifest(dir string, m manifest) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, snapshotManifest)
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("finish a snapshot: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		return fmt.Errorf("finish a snapshot: %w", err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readManifest is that of a whole snapshot.
func readManifest(dir string) (m manifest, err error) {
	if dir == "" {
		return m, fs.ErrNotExist
	}
	f, err := os.Open(filepath.Join(dir, snapshotManifest))
	if err != nil {
		return m, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("read snapshot: %w", err)
	}
	return m, nil
}

// digestOf is the same for a sandbox that can be restored from what was stored of another one.
func digestOf(s sandbox.Spec) (string, error) {
	s.ID = ""
	data, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func newToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
