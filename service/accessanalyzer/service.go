package accessanalyzer

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/store"
)

// Trail is the audit trail.
type Trail interface {
	// Events yields what a role's sessions, or a user, did. The error, if any, comes last.
	Events(ctx context.Context, q Query) iter.Seq2[Event, error]
}

// Query is which events are meant.
type Query struct {
	Account   string
	Principal string    // ARN of a role or a user
	From, To  time.Time // inclusive
}

// Deps is what the service stands on.
type Deps struct {
	Store store.Store
	Trail Trail
	Now   func() time.Time // time.Now if nil
	Log   *slog.Logger     // slog.Default() if nil
}

// Service implements [api.API].
type Service struct {
	deps Deps
	ctx  context.Context // of all jobs
	stop context.CancelFunc

	mu      sync.Mutex
	running map[jobID]context.CancelFunc
	jobs    sync.WaitGroup
}

// jobID is a job of any account.
type jobID struct {
	scope store.Scope
	id    string
}

var _ api.API = (*Service)(nil)

// New is a service without jobs. Those that an earlier process left unfinished have failed.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	s := &Service{deps: d, running: map[jobID]context.CancelFunc{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends the jobs that run, which have failed then, and waits for them. The store must be open until it returns. No job
// starts after it.
func (s *Service) Close() error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.jobs.Wait()
	return nil
}
