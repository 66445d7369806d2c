package lambda

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// Snapshots stores sandboxes whose Init phase is done, for functions with SnapStart.
type Snapshots interface {
	// CanSnapshot says why this host cannot, in words that say what to do; nil if it can.
	CanSnapshot() error
	// Snapshot is that of worker.Pool.
	Snapshot(ctx context.Context, f *worker.Function) error
}

// snapshotsDir is where snapshots are, a directory for each version.
const snapshotsDir = "snapshots"

// maxSnapTmp is how large /tmp may be with SnapStart, in MB.
const maxSnapTmp = 512

// remakePause is how long a snapshot that was given up once more after it was made anew is left alone.
const remakePause = 10 * time.Minute

// snapRuntimes are those that AWS has SnapStart for. Those of .NET do not run here.
// See https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-supported-regions.
var snapRuntimes = aws.Pattern(`^(java(1[1-9]|[2-9]\d)|python3\.(1[2-9]|[2-9]\d))$`)

// canSnapshot says why there is no SnapStart here.
func (s *Service) canSnapshot() error {
	if s.deps.Snapshots == nil {
		return errors.New("this server stores no sandboxes")
	}
	return s.deps.Snapshots.CanSnapshot()
}

// checkSnapStart refuses SnapStart where the host does not have it: to accept it, and then start functions cold, would be worse.
func (s *Service) checkSnapStart(given *api.SnapStart) error {
	if given == nil || str(given.ApplyOn) != api.SnapStartApplyOnPublishedVersions {
		return nil
	}
	if err := s.canSnapshot(); err != nil {
		return api.ErrInvalidParameterValue.New("SnapStart is not available on this host: " + err.Error()).Because(err)
	}
	return nil
}

// checkSnapStart refuses a configuration that SnapStart does not go with.
func (c *config) checkSnapStart() error {
	switch {
	case !c.SnapStart:
		return nil
	case !snapRuntimes().MatchString(c.Runtime):
		return invalid("%s is not supported for SnapStart enabled functions.", c.Runtime)
	case c.Tmp > maxSnapTmp:
		return invalid("SnapStart does not support ephemeral storage (/tmp) greater than %d MB.", maxSnapTmp)
	}
	return nil
}

// errSnapStartProvisioned is the answer to provisioned concurrency for a version with SnapStart.
var errSnapStartProvisioned = invalid("Provisioned Concurrency is not supported for function versions with SnapStart enabled.")

// checkUnsnapped refuses versions with SnapStart.
func (e *edit) checkUnsnapped(r ref, names []string) error {
	for _, name := range names {
		v, err := e.version(r.name, name)
		if err != nil {
			return err
		}
		if v != nil && v.Config.SnapStart {
			return errSnapStartProvisioned
		}
	}
	return nil
}

// snapStart is how the API shows it: on for a published version that has its snapshot.
func (v *version) snapStart() *api.SnapStartResponse {
	out := &api.SnapStartResponse{ApplyOn: new(api.SnapStartApplyOnNone), OptimizationStatus: new(api.SnapStartOptimizationStatusOff)}
	if v.Config.SnapStart {
		out.ApplyOn = new(api.SnapStartApplyOnPublishedVersions)
	}
	if v.snapped() && v.State.Is == api.StateActive {
		out.OptimizationStatus = new(api.SnapStartOptimizationStatusOn)
	}
	return out
}

// snapped says that a version starts from a snapshot.
func (v *version) snapped() bool { return v.Config.SnapStart && v.Version != latest }

// snapshotDir is the directory of a version's snapshot.
func (s *Service) snapshotDir(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.deps.DataDir, snapshotsDir, hex.EncodeToString(sum[:]))
}

// snapshot makes the snapshot of a version, if there is none yet. failure says why the function does not let itself be stored; its Is
// is empty if it does. An error is ours, and means that it is to be tried again.
func (s *Service) snapshot(ctx context.Context, r ref, v *version) (failure status, err error) {
	if err := s.canSnapshot(); err != nil {
		return status{api.StateFailed, "SnapStart is not available on this host: " + err.Error(), api.StateReasonCodeInvalidConfiguration}, nil
	}
	f, err := s.runnable(asLambda(ctx, r.scope), r, v)
	if err == nil {
		err = s.deps.Snapshots.Snapshot(ctx, f)
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, worker.ErrFull) || errors.Is(err, worker.ErrDraining) {
		return status{}, err
	}
	s.dropSnapshot(r.scope, v)
	failure = unstorable(err, &v.Config)
	if failure.Code == api.StateReasonCodeInternalError || errors.Is(err, worker.ErrSnapshotMemory) {
		s.deps.Log.Error("make a snapshot", "function", r.name, "version", v.Version, "error", err)
	}
	return failure, nil
}

// unstorable is the state of a version whose snapshot could not be made.
func unstorable(err error, c *config) status {
	var fail *worker.InitFailure
	var refused *aws.Error
	switch {
	case errors.As(err, &fail):
		return status{api.StateFailed, fmt.Sprintf("The function's initialization failed: %s. See the log group %s.",
			initWords(fail), c.Logging.Group), initReason(fail)}
	case errors.Is(err, worker.ErrSnapshotMemory):
		return status{api.StateFailed, fmt.Sprintf("The execution environment ran out of memory while its snapshot was stored: give the function "+
			"more than %d MB, and keep the server's data directory on a disk.", c.Memory), api.StateReasonCodeFunctionErrorInitResourceExhausted}
	case errors.Is(err, worker.ErrSnapshotImage):
		return status{
			api.StateFailed, "SnapStart is not available for a runtime that is served by a container image (--runtime-images).",
			api.StateReasonCodeInvalidConfiguration,
		}
	case errors.Is(err, worker.ErrRole):
		return status{
			api.StateFailed, "The role defined for the function cannot be assumed by Lambda.", api.StateReasonCodeInsufficientRolePermissions,
		}
	case errors.As(err, &refused) && kmsReasons[refused.Type.Code] != "":
		return status{api.StateFailed, refused.Message, kmsReasons[refused.Type.Code]}
	}
	return status{
		api.StateFailed, "The snapshot of the execution environment could not be made. The server's log says why.",
		api.StateReasonCodeInternalError,
	}
}

// kmsReasons are the reasons of a version whose variables cannot be decrypted.
var kmsReasons = map[string]string{
	api.ErrKMSAccessDenied.Code: api.StateReasonCodeKMSKeyAccessDenied, api.ErrKMSDisabled.Code: api.StateReasonCodeDisabledKMSKey,
	api.ErrKMSNotFound.Code: api.StateReasonCodeKMSKeyNotFound, api.ErrKMSInvalidState.Code: api.StateReasonCodeInvalidStateKMSKey,
}

// initWords says what went wrong in an Init phase, with the runtime's own words if it had any. Its type tells what failed, but for
// Runtime.Unknown, which stands for all that are the function's.
func initWords(fail *worker.InitFailure) string {
	text := cmp.Or(fail.Says, fail.Type)
	if fail.Type != "Runtime.Unknown" && !strings.HasPrefix(text, fail.Type) {
		text = fail.Type + ": " + text
	}
	return strings.TrimSuffix(text, ".")
}

// initReason is the StateReasonCode of an Init phase that failed.
func initReason(fail *worker.InitFailure) string {
	switch {
	case fail.Timeout:
		return api.StateReasonCodeFunctionErrorInitTimeout
	case fail.Type == "Runtime.InvalidEntrypoint":
		return api.StateReasonCodeFunctionErrorInvalidEntryPoint
	case fail.Type == "Runtime.OutOfMemory":
		return api.StateReasonCodeFunctionErrorInitResourceExhausted
	}
	return api.StateReasonCodeFunctionErrorRuntimeInitError
}

// dropSnapshot removes the snapshot of a version that is gone. What is being restored from it is not disturbed.
func (s *Service) dropSnapshot(sc store.Scope, v *version) {
	if !v.snapped() {
		return
	}
	if err := os.RemoveAll(s.snapshotDir(workerKey(sc, v, &v.Config))); err != nil {
		s.deps.Log.Warn("remove a snapshot", "function", v.Function, "version", v.Version, "error", err)
	}
}

// snapshotAgain has a snapshot made that was given up, unless that has happened lately: what does not help is not repeated, before the
// server's next start.
func (s *Service) snapshotAgain(j job) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, at := range s.remade {
		if now.Sub(at) > remakePause {
			delete(s.remade, old)
		}
	}
	if _, lately := s.remade[j]; !lately {
		s.remade[j] = now
		s.snapshots.add(j)
	}
}

// sweepSnapshots removes those that no version needs. It is for start-up, before any is made.
func (s *Service) sweepSnapshots(named map[string]bool) error {
	dir := filepath.Join(s.deps.DataDir, snapshotsDir)
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sweep snapshots: %w", err)
	}
	for _, n := range names {
		if path := filepath.Join(dir, n.Name()); !named[path] {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("sweep snapshots: %w", err)
			}
		}
	}
	return nil
}
