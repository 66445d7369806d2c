package sns

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on. Mail, KMS, Status, Log and Now may be left out.
type Deps struct {
	Store  store.Store
	Outbox *event.Outbox
	// Seal seals the signing key and makes the tokens of links.
	Seal *seal.Key
	// Places sends to queues and functions, by ARN.
	Places target.Sender
	// Endpoints sends to HTTP endpoints.
	Endpoints Endpoints
	// Mail sends mail; nil: subscriptions by mail are refused.
	Mail target.Sender
	// KMS uses the keys of topics that have one; nil: KmsMasterKeyId is refused.
	KMS KMS
	// Status logs how messages were delivered, for topics that want it; nil: nothing is logged.
	Status StatusLog
	// PrincipalsExist says whether those users and roles are there that a policy names; nil: all are.
	PrincipalsExist func(ctx context.Context, arns []string) (bool, error)
	// URL is where clients reach the server, for links in messages of topics that nobody subscribed to over HTTP.
	URL func() string
	Log *slog.Logger     // slog.Default() if nil
	Now func() time.Time // time.Now if nil
}

// Endpoints are what HTTP subscriptions need.
type Endpoints interface {
	target.Sender
	// Check refuses a URL that is certainly not reachable, in words for who subscribes it.
	Check(url string) error
}

// Service implements [api.API].
type Service struct {
	deps     Deps
	db       store.Store
	policies *policyCache
	filters  *filterCache
	throttle *throttles
	dataKeys dataKeys
	signing  singleflight.Group

	mu     sync.Mutex
	signer *signer // nil until it is needed
}

var _ api.API = (*Service)(nil)

// New is a service that is ready; without Run what was never confirmed stays.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Service{deps: d, db: d.Store, policies: newPolicyCache(), filters: newFilterCache(), throttle: newThrottles()}
}

// servicePrincipal is SNS acting by itself.
var servicePrincipal = aws.ServicePrincipal("sns.amazonaws.com")

// sweepTime is between looks for what has become too old.
const sweepTime = 10 * time.Minute

// Run removes subscriptions that nobody confirmed until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("sweep subscriptions", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func invalid(format string, args ...any) *aws.Error {
	return api.ErrInvalidParameter.Withf("Invalid parameter: "+format, args...)
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// caller is the account that a call comes from, which need not be the one that it acts in.
func caller(call *aws.Call) string {
	switch {
	case call.Principal != nil && call.Principal.Account != "":
		return call.Principal.Account
	case call.SourceAccount != "":
		return call.SourceAccount
	}
	return call.Account
}
