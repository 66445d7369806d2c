package kms

import (
	"context"
	"log/slog"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on.
type Deps struct {
	Store store.Store
	// Seal seals key material and grant tokens. Without the key that sealed them keys cannot be used.
	Seal *seal.Key
	// PrincipalsExist says whether those users and roles are there that policies and grants name; nil: all are.
	PrincipalsExist func(ctx context.Context, arns []string) (bool, error)
	Log             *slog.Logger     // slog.Default() if nil
	Now             func() time.Time // time.Now if nil
}

// Service implements [api.API] and [api.Finder].
type Service struct {
	db       store.Store
	seal     *seal.Key
	exist    func(ctx context.Context, arns []string) (bool, error)
	log      *slog.Logger
	now      func() time.Time
	policies *policyCache
	// slow lets few RSA keys be generated at the same time: each takes a processor for up to seconds.
	slow chan struct{}
}

var (
	_ api.API    = (*Service)(nil)
	_ api.Finder = (*Service)(nil)
)

// slowAtOnce is how many RSA keys are generated at the same time.
const slowAtOnce = 2

// New is a service that is ready; without Run nothing rotates by itself and deleted keys stay on the disk.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Service{
		db: d.Store, seal: d.Seal, exist: d.PrincipalsExist, log: d.Log, now: d.Now,
		policies: newPolicyCache(), slow: make(chan struct{}, slowAtOnce),
	}
}

// clock is now in the precision that KMS answers with.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

func scopeOf(call *aws.Call) store.Scope {
	return store.Scope{Account: call.Account, Region: call.Region}
}

func invalid(format string, args ...any) *aws.Error {
	return aws.ErrValidation.Withf(format, args...)
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// dryRun is what an operation answers in place of doing what it could.
func dryRun(wanted *bool) error {
	if value(wanted) {
		return api.ErrDryRunOperation.New("The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}
