package sqs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on.
type Deps struct {
	Store store.Store
	// Messages is the same store for the operations on messages, without what Store adds to each transaction. Store if nil.
	Messages store.Store
	Seal     *seal.Root // keys for messages and receipt handles are derived from it
	KMS      kmsapi.API // nil: queues cannot have a KMS key
	// PrincipalsExist says whether those users and roles are there that a policy names; nil: all are.
	PrincipalsExist func(ctx context.Context, arns []string) (bool, error)
	Endpoint        string // "http://127.0.0.1:4566", for the QueueUrls of calls that have no BaseURL
	Log             *slog.Logger
	Now             func() time.Time // time.Now if nil
}

// Service implements [api.API].
type Service struct {
	db       store.Store
	messages store.Store
	sealed   *seal.Key
	receipts *seal.Key
	kms      kmsapi.API
	exist    func(ctx context.Context, arns []string) (bool, error)
	endpoint string
	log      *slog.Logger
	now      func() time.Time

	queues   queueCache
	rooms    rooms
	attempts attempts
	dataKeys dataKeys
	moving   chan struct{} // has a value when there is a new task
	movers   sync.WaitGroup
	running  sync.Map      // task keys that a goroutine works on
	closing  chan struct{} // closed when nobody shall wait any more
	close    sync.Once
	changes  atomic.Int64
}

var _ api.API = (*Service)(nil)

// New is a service that is ready; without Run nothing expires by itself and no messages are moved.
func New(d Deps) *Service {
	if d.Messages == nil {
		d.Messages = d.Store
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{
		db: d.Store, messages: d.Messages, sealed: d.Seal.Key("sqs message"), receipts: d.Seal.Key("sqs receipt"),
		kms: d.KMS, exist: d.PrincipalsExist, endpoint: d.Endpoint, log: d.Log, now: d.Now, moving: make(chan struct{}, 1), closing: make(chan struct{}),
	}
}

// Run removes what is too old and moves messages for tasks, those that an earlier process began included, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	defer s.movers.Wait()
	s.startTasks(ctx)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.moving:
			s.startTasks(ctx)
		case <-tick.C:
			if err := s.sweep(ctx); err != nil && !errors.Is(err, context.Canceled) {
				s.log.Error("queues: expired messages were not removed", "error", err)
			}
			s.startTasks(ctx)
		}
	}
}

// EndWaits answers all requests that wait for messages, with none, and lets no other wait: the server is about to end.
func (s *Service) EndWaits() { s.close.Do(func() { close(s.closing) }) }

func scopeOf(call *aws.Call) store.Scope {
	return store.Scope{Account: call.Account, Region: call.Region}
}

// baseURL is how the client reaches the server.
func (s *Service) baseURL(call *aws.Call) string {
	if call.BaseURL != "" {
		return call.BaseURL
	}
	return s.endpoint
}

func invalid(format string, args ...any) *aws.Error {
	return api.ErrInvalidParameterValue.Withf(format, args...)
}

// wrong is the usual sentence about a parameter.
func wrong(value any, parameter, reason string) *aws.Error {
	return invalid("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

func missing(parameter string) *aws.Error {
	return api.ErrMissingParameter.Withf("The request must contain the parameter %s.", parameter)
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
