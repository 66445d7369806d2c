package lambda

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// retryAfter is how long an activation waits after our own store or disk failed it.
const retryAfter = time.Second

const creating = "The function is being created."

var (
	statePending     = status{api.StatePending, creating, api.StateReasonCodeCreating}
	stateActive      = status{Is: api.StateActive}
	updateInProgress = status{api.LastUpdateStatusInProgress, creating, "Creating"}
	updateSuccessful = status{Is: api.LastUpdateStatusSuccessful}
)

// unsettled says that an activation is still to come.
func (v *version) unsettled() bool {
	return v.State.Is == api.StatePending || v.LastUpdate.Is == api.LastUpdateStatusInProgress
}

// busy is why an op that changes a function has to wait; nil if it has not.
func (v *version) busy(arn string) error {
	switch {
	case v.State.Is == api.StatePending:
		return wrongState(api.StatePending)
	case v.LastUpdate.Is == api.LastUpdateStatusInProgress:
		return api.ErrResourceConflict.Withf("The operation cannot be performed at this time. An update is in progress for resource: %s", arn)
	}
	return nil
}

func wrongState(state string) *aws.Error {
	return api.ErrResourceConflict.Withf(
		"The operation cannot be performed at this time. The function is currently in the following state: %s", state)
}

// job is a version to be taken to its final state.
type job struct {
	scope             store.Scope
	function, version string
	snapshot          bool // it may take as long as an Init phase
	pull              bool // it may take as long as a registry likes
}

// jobs is the queue of activations. It is in memory: what is in it can be told from the rows.
type jobs struct {
	mu    sync.Mutex
	todo  []job
	wake  chan struct{}
	slots int // how many at once, see backlog
}

func newJobs() *jobs { return &jobs{wake: make(chan struct{}, 1)} }

func (q *jobs) add(j job) {
	q.mu.Lock()
	q.todo = append(q.todo, j)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *jobs) take() []job {
	q.mu.Lock()
	defer q.mu.Unlock()
	todo := q.todo
	q.todo = nil
	return todo
}

// run does the jobs, a few at once, until ctx ends. One that fails is done again after retryAfter.
func (q *jobs) run(ctx context.Context, do func(context.Context, job) error) {
	backlog[job]{wake: q.wake, take: q.take, pause: retryAfter, slots: q.slots}.run(ctx, func(j job) (again func()) {
		if err := do(ctx, j); err != nil && ctx.Err() == nil {
			return func() { q.add(j) }
		}
		return nil
	})
}

// activate takes a version that is Pending or whose update is InProgress to its final state: its code is unpacked and its
// runtime found. An error is ours, not the function's, and means that it is to be tried again.
func (s *Service) activate(ctx context.Context, j job) error {
	err := s.tryActivate(ctx, j)
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Error("activate function", "function", j.function, "version", j.version, "error", err)
	}
	return err
}

func (s *Service) tryActivate(ctx context.Context, j job) error {
	var v *version
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = getVersion(tx, j.scope, j.function, j.version)
		return err
	})
	if err != nil || v == nil {
		return err
	}
	if i := v.Config.Image; i != nil && !i.Pulled && !j.pull {
		j.pull = true
		s.pulls.add(j) // how many go on at a time is left to Images, which knows whose they are
		return nil
	}
	if v.snapped() && !j.snapshot {
		j.snapshot = true
		s.snapshots.add(j) // others do not wait for it
		return nil
	}
	failure, err := s.prepare(ctx, ref{scope: j.scope, name: j.function}, &v.Config)
	if err == nil && failure.Is == "" && v.snapped() {
		failure, err = s.snapshot(ctx, ref{scope: j.scope, name: j.function}, v)
	}
	if err != nil {
		return err
	}
	var retired string
	var next version
	var gone bool
	err = s.updateFunction(ctx, ref{scope: j.scope, name: j.function}, func(e *edit) error {
		retired = ""
		now, err := e.version(j.function, j.version)
		if gone = err == nil && (now == nil || now.Config.ID != v.Config.ID); err != nil || gone {
			return err // deleted, or another function by now
		}
		next = *now
		if !next.finish(failure) {
			return nil
		}
		if next.Config.Image != nil && failure.Is == "" {
			here := *next.Config.Image
			here.Pulled = true
			next.Config.Image = &here
		}
		if now.Serving != nil && failure.Is == "" {
			retired = workerKey(j.scope, now, now.Serving)
		}
		return e.putVersion(&next, now)
	})
	if err != nil {
		return err
	}
	if gone {
		s.dropSnapshot(j.scope, v)
		s.deps.Runner.Retire(workerKey(j.scope, v, &v.Config)) // the worker may have restored one ahead
		s.leaving.add(time.Now(), v.images()...)
	}
	s.settle()
	if retired != "" {
		s.deps.Runner.Retire(retired)
	}
	if next.State.Is == api.StateActive && !next.snapped() {
		s.expect(ctx, ref{scope: j.scope, name: j.function}, &next)
	}
	if j.version != latest {
		s.keeper.look(functionKey{j.scope, j.function}) // it may have been provisioned while it was Pending
	}
	return nil
}

// hostsFault says that a version failed for want of something on the host.
func (v *version) hostsFault() bool {
	return v.State.Code == api.StateReasonCodeInvalidRuntime || v.snapped() && v.State.Code == api.StateReasonCodeInvalidConfiguration
}

// finish takes a version to its final state and says whether that changed anything.
func (v *version) finish(failure status) bool {
	retry := v.State.Is == api.StateFailed && v.LastUpdate.Is != api.LastUpdateStatusInProgress
	if !v.unsettled() && !(retry && failure.Is == "") {
		return false
	}
	v.Revision = uuid.NewString()
	if v.State.Is != api.StateActive {
		v.State, v.LastUpdate = stateActive, updateSuccessful
		if failure.Is != "" {
			v.State, v.LastUpdate = failure, failure
		}
		return true
	}
	if failure.Is != "" {
		v.LastUpdate = failure // Serving stays: invocations go on with what worked
		if v.Config.Image != nil && v.Serving != nil {
			v.Config, v.Serving = *v.Serving, nil // and it is what a function of an image shows, publishes and is changed from
		}
		return true
	}
	v.LastUpdate, v.Serving = updateSuccessful, nil
	return true
}

// prepare makes sure that a configuration can run here. failure says why it cannot; its Is is empty if it can.
func (s *Service) prepare(ctx context.Context, r ref, c *config) (failure status, err error) {
	if c.Image != nil {
		return s.prepareImage(ctx, r, c)
	}
	if reason := s.deps.Runtimes.Check(ctx, c.Runtime); ctx.Err() != nil {
		return status{}, ctx.Err()
	} else if reason != nil {
		return status{api.StateFailed, reason.Error(), api.StateReasonCodeInvalidRuntime}, nil
	}
	_, err = s.code.ensure(ctx, c.Code)
	if err == nil {
		_, err = s.code.ensureLayers(ctx, c.Layers)
	}
	var refused *aws.Error
	switch {
	case errors.As(err, &refused):
		return status{api.StateFailed, refused.Message, api.StateReasonCodeInvalidZipFileException}, nil
	case errors.Is(err, store.ErrNotFound):
		return status{api.StateFailed, "The deployment package is missing from the store.", api.StateReasonCodeInternalError}, nil
	case err != nil:
		return status{}, fmt.Errorf("prepare code: %w", err)
	}
	return status{}, nil
}
