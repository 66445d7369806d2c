package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// Deps is what the service needs. Every field but PrincipalsExist, Images, KMS, CanIsolate, Metrics, AccountConcurrency and Now is required.
type Deps struct {
	Store store.Store
	// DataDir is where unpacked code is kept, in "code" and "layers". All of it can be made again from the store.
	DataDir  string
	Runtimes Runtimes
	Runner   worker.Runner
	// Snapshots is for SnapStart, which is refused without.
	Snapshots Snapshots
	// Seal is the key of what lies on the disk and KMS has no key for: deployment packages, as SealBlobs does it.
	Seal   *seal.Key
	Outbox *event.Outbox // of events that are invoked later: see Async
	// Sources are where event source mappings poll, by the service in the ARN, in the name of roles that Sessions makes.
	Sources  map[string]event.Source
	Sessions Sessions
	Roles    Roles
	// PrincipalsExist says whether those users and roles are there that AddPermission names; nil: all are.
	PrincipalsExist func(ctx context.Context, arns []string) (bool, error)
	// CanIsolate says why this host cannot isolate functions in a way that the tag enfold:isolation names, in words that say what to do;
	// nil if it can. Nil: it can all.
	CanIsolate func(tier string) error
	Images     Images // nil: functions of PackageType Image are refused
	KMS        KMS    // nil: KMSKeyArn is refused, and Seal seals environment variables
	// CodeURL is a link from which the blob can be downloaded for ten minutes, at the address that the caller reached us by.
	CodeURL func(ctx context.Context, blob string) string
	Metrics prometheus.Registerer
	// AccountConcurrency is how many invocations an account may run at once in a region. AccountConcurrency if zero.
	AccountConcurrency int
	Log                *slog.Logger
	Now                func() time.Time // of LastModified and its like; time.Now by default
}

// Runtimes knows what this host can run.
type Runtimes interface {
	// Check answers why functions of this runtime cannot run here, in words that say what to do; nil if they can.
	Check(ctx context.Context, runtime string) error
}

// Service is AWS Lambda. Its methods are the ops of api.API.
type Service struct {
	deps     Deps
	blobs    store.Blobs // sealed
	code     *codeCache
	cache    *targets
	foreseen foreseen
	limiter  *limiter
	metrics  *metrics
	jobs     *jobs
	// snapshots are activations that make one, and pulls those that pull an image. Others do not wait for them.
	snapshots *jobs
	pulls     *jobs
	leaving   leaving
	keeper    *keeper
	feeders   *feeders

	dataKeys dataKeys

	mu      sync.Mutex
	remade  map[job]time.Time // when a snapshot was made anew
	settled chan struct{}     // closed, and replaced, when a version's state changed
}

var _ api.API = (*Service)(nil)

// New makes the service. Nothing becomes Active before Run runs.
func New(d Deps) (*Service, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.AccountConcurrency == 0 {
		d.AccountConcurrency = AccountConcurrency
	}
	if d.Seal == nil || d.Roles == nil || d.Outbox == nil {
		return nil, errors.New("lambda: Deps.Seal, Deps.Outbox and Deps.Roles are required")
	}
	blobs := SealBlobs(d.Store.Blobs(), d.Seal)
	c, err := openCodeCache(d.DataDir, blobs)
	if err != nil {
		return nil, err
	}
	s := &Service{
		deps: d, blobs: blobs, code: c, cache: newTargets(), limiter: newLimiter(d.AccountConcurrency), metrics: newMetrics(d.Metrics), jobs: newJobs(), snapshots: newJobs(), pulls: newPulls(),
		keeper:  newKeeper(),
		feeders: newFeeders(), settled: make(chan struct{}), remade: map[job]time.Time{},
	}
	if d.Metrics != nil {
		d.Metrics.MustRegister(provisionedUse{s})
	}
	return s, nil
}

// Run does the work behind the ops until ctx ends: it takes new and updated functions to their final state, first those that
// an earlier process left behind, and sweeps unpacked code that nothing needs any more.
func (s *Service) Run(ctx context.Context) error {
	if err := s.recover(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("recover functions: %w", err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.jobs.run(ctx, s.activate) })
	running.Go(func() { s.snapshots.run(ctx, s.activate) })
	running.Go(func() { s.pulls.run(ctx, s.activate) })
	running.Go(func() { s.keeper.run(ctx, s.keep) })
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				s.deps.Log.Warn("sweep unpacked code", "error", err)
			}
		}
	}
}

// Close lets go of the data directory. No op may run any more.
func (s *Service) Close() error { return s.code.close() }

// recover finishes what an earlier process began, has the provisioned concurrency made again, and says which functions are
// likely to be invoked soon: those that were changed last. Functions that failed only
// because this host had no runtime for them, or no SnapStart, get another chance: it may have been installed since. Snapshots that
// are not whole are made again.
func (s *Service) recover(ctx context.Context) error {
	var todo []job
	var recent recentVersions
	var provisioned []functionKey
	named := map[string]bool{}
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		todo, recent = nil, nil
		clear(named)
		if provisioned, err = everyProvisioned(tx); err != nil {
			return err
		}
		return everyVersion(tx, func(sc store.Scope, v *version) {
			snapped := v.snapped() && v.State.Is == api.StateActive // its snapshot may be gone
			if snapped {
				named[s.snapshotDir(workerKey(sc, v, &v.Config))] = true
			}
			if v.unsettled() || v.hostsFault() || snapped {
				todo = append(todo, job{scope: sc, function: v.Function, version: v.Version})
			} else if v.Version == latest && v.State.Is == api.StateActive {
				recent.add(sc, v)
			}
		})
	})
	if err != nil {
		return err
	}
	if err := s.sweepSnapshots(named); err != nil {
		return err
	}
	for _, j := range todo {
		s.jobs.add(j)
	}
	s.keeper.look(provisioned...)
	for _, f := range recent {
		s.deps.Runner.Expect(bareFunction(ref{scope: f.scope, name: f.version.Function}, f.version))
	}
	return nil
}

// sweep removes unpacked code that no row has named for a while.
func (s *Service) sweep(ctx context.Context, now time.Time) error {
	if s.leaving.due(now) {
		if err := s.sweepImages(ctx); err != nil {
			return err
		}
	}
	due := s.code.due(now)
	if len(due) == 0 {
		return nil
	}
	named, err := s.namedDirs(ctx)
	if err != nil {
		return err
	}
	return s.code.sweep(due, named, now)
}

// SweepAll removes all unpacked code and all images that no row names. It is for start-up, before anything is served.
func (s *Service) SweepAll(ctx context.Context) error {
	named, err := s.namedDirs(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.code.sweepAll(named), s.sweepImages(ctx))
}

// settle wakes whoever waits for a version's state.
func (s *Service) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.settled)
	s.settled = make(chan struct{})
}

// changes is closed when a version's state changes next.
func (s *Service) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}
