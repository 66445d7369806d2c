package lambda

import (
	"sync"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// AccountConcurrency is how many invocations an account may run at once in a region.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html.
const AccountConcurrency = 1000

// Why an invocation was throttled, as AWS names it (the model's ThrottleReason).
const (
	throttledAccount  = "ConcurrentInvocationLimitExceeded"
	throttledReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
)

// limiter counts running invocations. A function with reserved concurrency counts against its own number, all others
// against what the account has left.
type limiter struct {
	mu     sync.Mutex
	scopes map[store.Scope]*usage
}

// usage is what runs in one account and region.
type usage struct {
	unreserved int
	reserved   map[string]int // by function name
}

func newLimiter() *limiter { return &limiter{scopes: map[store.Scope]*usage{}} }

// allowance is what an invocation may use.
type allowance struct {
	scope    store.Scope
	function string
	reserved *int // the function's own, if it has
	pool     int  // what the account leaves to functions without
}

// acquire takes a place. The caller gives it back with release.
func (l *limiter) acquire(a allowance) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.scopes[a.scope]
	if u == nil {
		u = &usage{reserved: map[string]int{}}
		l.scopes[a.scope] = u
	}
	if a.reserved != nil {
		if u.reserved[a.function] >= *a.reserved {
			return throttled(throttledReserved)
		}
		u.reserved[a.function]++
		return nil
	}
	if u.unreserved >= a.pool {
		return throttled(throttledAccount)
	}
	u.unreserved++
	return nil
}

// release gives back what acquire took with the same allowance.
func (l *limiter) release(a allowance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.scopes[a.scope]
	if a.reserved == nil {
		u.unreserved--
		return
	}
	if u.reserved[a.function]--; u.reserved[a.function] == 0 {
		delete(u.reserved, a.function)
	}
}

func throttled(reason string) *aws.Error {
	return api.ErrTooManyRequests.New("Rate Exceeded.").With("Reason", reason)
}
