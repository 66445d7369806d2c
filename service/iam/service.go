package iam

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on.
type Deps struct {
	Store store.Store
	Seal  *seal.Key        // of access keys' secrets
	Log   *slog.Logger     // slog.Default() if nil
	Now   func() time.Time // time.Now if nil
}

// Service implements [api.API] and [api.Finder], and tells the rest of the server who may do what. One Service at a time
// may own a store's IAM.
type Service struct {
	db      store.Store
	seal    *seal.Key
	log     *slog.Logger
	now     func() time.Time
	managed func() *awsPolicies
	cache   *caches
	used    *usage
	jobs    *jobs
}

var (
	_ api.API    = (*Service)(nil)
	_ api.Finder = (*Service)(nil)
)

// New is a service that is ready; without Run, when keys and roles were last used is not kept.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Service{
		db: d.Store, seal: d.Seal, log: d.Log, now: d.Now,
		managed: sync.OnceValue(newAWSPolicies), cache: newCaches(), used: newUsage(), jobs: newJobs(),
	}
}

// clock is now as IAM keeps it: in UTC, to the second.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Second) }

// moment is now as exactly as names are dated.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

func scope(account string) store.Scope { return store.Scope{Account: account} }

// everywhere is the scope of what must be found without knowing whose it is.
var everywhere = store.Scope{}

// change runs a transaction on an account and makes everything cached of it void.
func (s *Service) change(ctx context.Context, account string, fn func(tx store.Tx) error) error {
	err := s.db.Update(ctx, fn)
	s.cache.changed(account) // after a failure too: it may have come after the commit
	return err
}

// kind is of whom a policy can be.
type kind string

const (
	user  kind = "user"
	group kind = "group"
	role  kind = "role"
)

// title is the kind at the begin of a sentence.
func (k kind) title() string { return strings.ToUpper(string(k[:1])) + string(k[1:]) }

func errNoEntity(k kind, name string) error {
	return api.ErrNoSuchEntity.Withf("The %s with name %s cannot be found.", k, name)
}

// find answers NoSuchEntity if there is none of that name.
func find(tx store.Tx, account string, k kind, name string) (*entity, error) {
	row, err := entities.Get(tx, scope(account), entityKey(k, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoEntity(k, name)
	}
	if err != nil {
		return nil, err
	}
	return &row.Value, nil
}

func put(tx store.Tx, account string, e *entity) error {
	_, err := entities.Put(tx, scope(account), entityKey(e.Kind, e.Name), *e)
	return err
}

// read gives one user, group or role of the caller's account.
func (s *Service) read(ctx context.Context, k kind, name string) (e *entity, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		e, err = find(tx, account(ctx), k, name)
		return err
	})
	return e, err
}

// edit changes one user, group or role of the caller's account. fn may run more than once, each time on a fresh copy.
func (s *Service) edit(ctx context.Context, k kind, name string, fn func(tx store.Tx, e *entity) error) error {
	in := account(ctx)
	return s.change(ctx, in, func(tx store.Tx) error {
		e, err := find(tx, in, k, name)
		if err != nil {
			return err
		}
		if err := fn(tx, e); err != nil {
			return err
		}
		return put(tx, in, e)
	})
}

// account is whose IAM the call is about.
func account(ctx context.Context) string { return aws.CallFrom(ctx).Account }

// callerName is the user's name that a call without one means; empty for the root user.
func callerName(ctx context.Context, given *string) (string, error) {
	if given != nil {
		return *given, nil
	}
	p := aws.CallFrom(ctx).Principal
	switch {
	case p == nil:
	case p.Type == aws.Root:
		return "", nil
	case p.Type == aws.User:
		return lastSegment(p.Arn), nil
	}
	return "", aws.ErrValidation.New("Must specify userName when calling with non-User credentials")
}

func lastSegment(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func val[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// orNil is the pointer to a string that is left out where it is empty.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// named is a compiled policy under its name.
func named(name string, p *policy.Policy) policy.Named { return policy.Named{Name: name, Policy: p} }
