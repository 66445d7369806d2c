package lambda

import (
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// AccountConcurrency is how many invocations an account may run at once in a region, unless Deps says otherwise.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html.
const AccountConcurrency = 1000

// ratePerPlace is how many synchronous invocations may begin in a second for each one that may run at once.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html#concurrency-vs-requests-per-second.
const ratePerPlace = 10

// Why an invocation was throttled, as AWS names it (the model's ThrottleReason).
const (
	throttledAccount      = "ConcurrentInvocationLimitExceeded"
	throttledRate         = "FunctionInvocationRateLimitExceeded"
	throttledReserved     = "ReservedFunctionConcurrentInvocationLimitExceeded"
	throttledReservedRate = "ReservedFunctionInvocationRateLimitExceeded"
)

// limiter counts running invocations, and those that begin in a second. A function with reserved concurrency counts against its own
// number, all others against what the account has left. What runs on provisioned concurrency has its places already: they were
// taken off one of the two when it was configured.
type limiter struct {
	account int // of an account, at once

	mu     sync.Mutex
	scopes map[store.Scope]*usage
}

// usage is what runs in one account and region.
type usage struct {
	unreserved int
	rate       rate                    // of the functions without reserved concurrency
	functions  map[string]*functionUse // those with concurrency of their own, by name
}

// functionUse is what runs of one function.
type functionUse struct {
	reserved    int // places in use that are reserved, and not provisioned
	rate        rate
	provisioned map[string]int // places in use, by version
	busy        int            // of all versions together
}

// rate is how many invocations may begin now. It fills evenly, up to what may begin in a second.
type rate struct {
	room float64
	at   time.Time
}

// take says whether one more may begin, at that many a second, and counts it if so.
func (r *rate) take(perSecond int, now time.Time) bool {
	full := float64(perSecond)
	if r.at.IsZero() {
		r.room = full
	} else {
		r.room = min(full, r.room+full*now.Sub(r.at).Seconds())
	}
	if r.at = now; r.room < 1 {
		return false
	}
	r.room--
	return true
}

func newLimiter(account int) *limiter {
	return &limiter{account: account, scopes: map[store.Scope]*usage{}}
}

// allowance is what an invocation may use.
type allowance struct {
	scope             store.Scope
	function, version string
	reserved          *int // the function's own, if it has
	provisioned       int  // the version's
	allProvisioned    int  // of all of the function's versions together
	pool              int  // what the account leaves to functions without
	paced             bool // it waits for its answer: the limit of the rate holds
}

// A place is what an invocation takes while it runs.
type place int

const (
	unreservedPlace place = iota
	reservedPlace
	provisionedPlace
)

// acquire takes a place. The caller gives it back with release.
func (l *limiter) acquire(a allowance) (place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.scopes[a.scope]
	if u == nil {
		u = &usage{functions: map[string]*functionUse{}}
		l.scopes[a.scope] = u
	}
	var f *functionUse
	if a.reserved != nil || a.provisioned > 0 {
		if f = u.functions[a.function]; f == nil {
			f = &functionUse{provisioned: map[string]int{}}
			u.functions[a.function] = f
		}
	}
	p := unreservedPlace
	switch {
	case a.provisioned > 0 && f.provisioned[a.version] < a.provisioned:
		p = provisionedPlace
	case a.reserved != nil:
		if p = reservedPlace; f.reserved >= *a.reserved-a.allProvisioned {
			return p, throttled(throttledReserved)
		}
	case u.unreserved >= a.pool:
		return p, throttled(throttledAccount)
	}
	if err := l.pace(a, u, f); err != nil {
		return p, err
	}
	switch p {
	case provisionedPlace:
		f.provisioned[a.version]++
		f.busy++
	case reservedPlace:
		f.reserved++
	default:
		u.unreserved++
	}
	return p, nil
}

// pace refuses an invocation that comes too fast after others.
func (l *limiter) pace(a allowance, u *usage, f *functionUse) error {
	switch now := time.Now(); {
	case !a.paced:
	case a.reserved != nil:
		if !f.rate.take(ratePerPlace**a.reserved, now) {
			return throttled(throttledReservedRate)
		}
	case !u.rate.take(ratePerPlace*l.account, now):
		return throttled(throttledRate)
	}
	return nil
}

// release gives back a place that acquire gave for the same allowance.
func (l *limiter) release(a allowance, p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.scopes[a.scope]
	f := u.functions[a.function]
	switch p {
	case provisionedPlace:
		f.busy--
		if f.provisioned[a.version]--; f.provisioned[a.version] == 0 {
			delete(f.provisioned, a.version)
		}
	case reservedPlace:
		f.reserved--
	default:
		u.unreserved--
	}
}

// busy is how many invocations of a function run on provisioned concurrency.
func (l *limiter) busy(sc store.Scope, function string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.scopes[sc]; u != nil && u.functions[function] != nil {
		return u.functions[function].busy
	}
	return 0
}

// forget drops a function that was deleted, unless something of it still runs.
func (l *limiter) forget(sc store.Scope, function string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.scopes[sc]
	if u == nil {
		return
	}
	if f := u.functions[function]; f != nil && f.busy == 0 && f.reserved == 0 {
		delete(u.functions, function)
	}
}

func throttled(reason string) *aws.Error {
	return api.ErrTooManyRequests.New("Rate Exceeded.").With("Reason", reason)
}
