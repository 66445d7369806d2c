package ecr

import (
	"context"
	"log/slog"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on. Log and Now may be left out.
type Deps struct {
	Store store.Store
	// Blobs keep layers. They are the store's own, or seal what is in them.
	Blobs store.Blobs
	// Seal makes logins and the links to layers.
	Seal *seal.Key
	// PrincipalsExist says whether those users and roles are there that a policy names; nil: all are.
	PrincipalsExist func(ctx context.Context, arns []string) (bool, error)
	// Endpoint is "http://127.0.0.1:4566", for the addresses of repositories in calls that have no BaseURL.
	Endpoint string
	Log      *slog.Logger     // slog.Default() if nil
	Now      func() time.Time // time.Now if nil
}

// Service implements [api.API].
type Service struct {
	deps     Deps
	db       store.Store
	blobs    store.Blobs
	policies *policyCache
}

var _ api.API = (*Service)(nil)

// New is a service that is ready; without Run what was never finished stays.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Service{deps: d, db: &named{d.Store, d.Log}, blobs: d.Blobs, policies: newPolicyCache()}
}

// Run removes uploads that nobody finished, and layers that no image needs, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("sweep the registry", "error", err)
		}
	}
}

// clock is now in the precision that ECR answers with.
func (s *Service) clock() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

func scopeOf(ctx context.Context) store.Scope {
	call := aws.CallFrom(ctx)
	return store.Scope{Account: call.Account, Region: call.Region}
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// invalid is AWS's InvalidParameterException about a parameter.
func invalid(parameter, constraint string) *aws.Error {
	return api.ErrInvalidParameter.Withf("Invalid parameter at '%s' failed to satisfy constraint: '%s'", parameter, constraint)
}
