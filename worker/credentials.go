package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrRole is wrapped by the error of Deps.Credentials if the function's role is the reason: it is gone, or Lambda may not assume it
// any more. The Run that needed the credentials fails with it, the function has not seen its event.
var ErrRole = errors.New("worker: the function's role cannot be assumed")

// errMint is in every error of Deps.Credentials, which is about us and not about the function.
var errMint = errors.New("worker: no credentials")

// spare is for how long credentials are good at least when an invocation begins: none takes longer.
const spare = 15 * time.Minute

// Credentials are the execution role's, for one sandbox.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	// Expires is when they end to work; zero is never. A sandbox whose credentials have less than fifteen minutes left, or less
	// than half of their time if that is sooner, gets no more invocations; one that runs is not disturbed.
	Expires time.Time
}

// identity is what a sandbox acts as.
type identity struct {
	Credentials
	renew time.Time // when to use them no more, zero if they never expire
}

// mint makes an identity for a sandbox.
func (p *Pool) mint(ctx context.Context, f *Function) (identity, error) {
	c, err := p.deps.Credentials(ctx, f)
	if err != nil {
		return identity{}, fmt.Errorf("%w for %s: %w", errMint, f.Owner, err)
	}
	id := identity{Credentials: c}
	if !c.Expires.IsZero() {
		id.renew = c.Expires.Add(-min(spare, time.Until(c.Expires)/2))
	}
	return id, nil
}

// stale says that no invocation may begin with it.
func (i identity) stale(now time.Time) bool { return !i.renew.IsZero() && !now.Before(i.renew) }

// refusals are the functions that got no credentials when they were last wanted.
type refusals struct {
	mu  sync.Mutex
	all map[string]struct{} // by Function.Key
}

// maxRefusals is how many are remembered.
const maxRefusals = 4096

func (r *refusals) lately(f *Function) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.all[f.Key]
	return ok
}

// note takes down what became of the last try.
func (r *refusals) note(f *Function, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.all, f.Key)
		return
	}
	if r.all == nil || len(r.all) >= maxRefusals {
		r.all = map[string]struct{}{}
	}
	r.all[f.Key] = struct{}{}
}
