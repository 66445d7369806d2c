package lambda

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// settleTime is how long an invocation waits for a function that is still Pending.
const settleTime = 5 * time.Second

// target is what an invocation means. It is shared and does not change.
type target struct {
	Function    *worker.Function
	InvokedArn  string // as the caller named it: qualified if the caller qualified
	FunctionArn string // unqualified
	Version     string // that runs: "$LATEST" or a number
	Reserved    *int   // the function's reserved concurrency; nil for none
	// The provisioned concurrency of this version, and of all of the function's versions together.
	provisioned, allProvisioned int
	state                       status
	lineage                     string // stands for the function in trace headers
	loops                       bool   // it may run in a circle
	snapped                     bool   // it starts from a snapshot
	deadLetter                  string // ARN of the version's dead-letter queue or topic; empty for none
}

// resolved is what a function's name with a qualifier means: one target, or two by chance.
type resolved struct {
	main, other *target
	weight      float64 // probability of other
}

func (r *resolved) pick() *target {
	if r.other != nil && rand.Float64() < r.weight {
		return r.other
	}
	return r.main
}

// targets remembers what names mean. While a commit may change a function nothing is remembered of it, so whoever has seen
// the commit gets what it made. What is filled in beside it is not reachable afterwards.
type targets struct {
	mu        sync.RWMutex
	functions map[functionKey]*meanings
	changing  map[functionKey]int           // commits under way
	scopes    map[store.Scope]*atomic.Int64 // what functions without reserved concurrency share, plus one; 0 for not known
}

type functionKey struct {
	scope store.Scope
	name  string
}

// meanings is what the qualifiers of one function mean, and who may use it.
type meanings struct {
	mu     sync.RWMutex
	of     map[string]*resolved
	access atomic.Pointer[access]
}

func newTargets() *targets {
	return &targets{functions: map[functionKey]*meanings{}, changing: map[functionKey]int{}, scopes: map[store.Scope]*atomic.Int64{}}
}

func (t *targets) of(k functionKey) *meanings {
	t.mu.RLock()
	m := t.functions[k]
	t.mu.RUnlock()
	if m != nil {
		return m
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if m = t.functions[k]; m == nil {
		m = &meanings{of: map[string]*resolved{}}
		if t.changing[k] == 0 {
			t.functions[k] = m
		}
	}
	return m
}

// change forgets a function and remembers nothing of it until done is called.
func (t *targets) change(k functionKey) (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changing[k]++
	delete(t.functions, k)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.changing[k]--; t.changing[k] == 0 {
			delete(t.changing, k)
		}
	}
}

func (t *targets) forget(s store.Scope, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.functions, functionKey{s, name})
}

// forgetScope forgets what an account shares, and with it the reserved concurrency of its functions.
func (t *targets) forgetScope(s store.Scope) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.scopes, s)
}

// knows says that a target is still what its ref means: that no change was committed, or is about to be, since it was resolved.
func (t *targets) knows(r ref, found *target) bool {
	t.mu.RLock()
	m := t.functions[functionKey{r.scope, r.name}]
	t.mu.RUnlock()
	if m == nil {
		return false
	}
	is := m.get(r.qualifier)
	return is != nil && (is.main == found || is.other == found)
}

func (t *targets) scope(s store.Scope) *atomic.Int64 {
	t.mu.RLock()
	p := t.scopes[s]
	t.mu.RUnlock()
	if p != nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p = t.scopes[s]; p == nil {
		p = new(atomic.Int64)
		t.scopes[s] = p
	}
	return p
}

func (m *meanings) get(qualifier string) *resolved {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.of[qualifier]
}

func (m *meanings) put(qualifier string, r *resolved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[qualifier] = r
}

// resolve finds what an invocation of name (a name, a partial or a full ARN) with qualifier means. Warm it is memory only.
// A function that is still being created is waited for; one that failed is refused.
func (s *Service) resolve(ctx context.Context, name, qualifier *string) (*target, error) {
	r, err := parseRef(ctx, name, qualifier)
	if err != nil {
		return nil, err
	}
	m := s.cache.of(functionKey{r.scope, r.name})
	if found := m.get(r.qualifier); found != nil {
		return found.pick(), nil
	}
	return s.resolveCold(ctx, r)
}

// resolveCold reads the store, and waits until the function is what it will be.
func (s *Service) resolveCold(ctx context.Context, r ref) (*target, error) {
	deadline := time.NewTimer(settleTime)
	defer deadline.Stop()
	for {
		changes := s.changes()
		m := s.cache.of(functionKey{r.scope, r.name})
		found, err := s.load(ctx, r)
		if err != nil {
			// A name that means nothing is not remembered: there is no end of such names.
			s.cache.forget(r.scope, r.name)
			return nil, err
		}
		t := found.pick()
		switch t.state.Is {
		case api.StateActive:
			if found.other == nil || found.other.state.Is == api.StateActive {
				m.put(r.qualifier, found)
			}
			return t, nil
		case api.StatePending:
		default:
			return nil, unusable(t.state)
		}
		select {
		case <-changes:
		case <-deadline.C:
			return nil, t.pending()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pending is the answer to an invocation of a function that is still being created.
func (t *target) pending() error {
	if t.snapped {
		return api.ErrSnapStartNotReady.New("Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.")
	}
	return wrongState(api.StatePending)
}

// unusable is the answer to an invocation of a function that will not run as it is. Unlike AWS it says why.
func unusable(state status) error {
	e := wrongState(state.Is)
	if state.Reason != "" {
		e.Message += ". " + state.Reason
	}
	return e
}

// load reads what a ref means from the store.
func (s *Service) load(ctx context.Context, r ref) (*resolved, error) {
	n, err := s.named(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.mean(ctx, r, n)
}

// named are the rows that a ref names.
type named struct {
	function    *function
	alias       *alias // nil if the ref is of a version
	main, other *version
	provisioned *provisioning
}

// named reads the rows that a ref names.
func (s *Service) named(ctx context.Context, r ref) (n *named, err error) {
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		n = &named{}
		if n.function, err = getFunction(tx, r.scope, r.name); n.function == nil {
			return err
		}
		if n.provisioned, err = getProvisioning(tx, r.scope, n.function); err != nil {
			return err
		}
		if q := r.orLatest(); q == latest || isNumber(q) {
			n.main, err = getVersion(tx, r.scope, r.name, q)
			return err
		}
		if n.alias, err = getAlias(tx, r.scope, r.name, r.qualifier); n.alias == nil {
			return err
		}
		if n.main, err = getVersion(tx, r.scope, r.name, n.alias.Version); err != nil || n.alias.Other == "" {
			return err
		}
		n.other, err = getVersion(tx, r.scope, r.name, n.alias.Other)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resolve function %s: %w", r.name, err)
	}
	if n.main == nil {
		return nil, notFound(qualify(r.arn(), r.orLatest()))
	}
	return n, nil
}

// mean is what a ref that names n means.
func (s *Service) mean(ctx context.Context, r ref, n *named) (found *resolved, err error) {
	found = &resolved{}
	if found.main, err = s.target(ctx, r, n.function, n.main); err != nil {
		return nil, err
	}
	found.main.provisioned = n.provisioned.want[n.main.Version]
	if n.other != nil {
		found.weight = n.alias.Weight
		if found.other, err = s.target(ctx, r, n.function, n.other); err != nil {
			return nil, err
		}
		found.other.provisioned = n.provisioned.want[n.other.Version]
	}
	return found, nil
}

// target makes what the worker needs to run a version, its code unpacked.
func (s *Service) target(ctx context.Context, r ref, f *function, v *version) (*target, error) {
	t := &target{
		InvokedArn: r.qualifiedArn(), FunctionArn: r.arn(), Version: v.Version, Reserved: f.Reserved, allProvisioned: f.Provisioned, state: v.State,
		lineage: lineageOf(r.arn()), loops: f.Recursion == api.RecursiveLoopAllow, snapped: v.snapped(),
	}
	if v.State.Is != api.StateActive {
		return t, nil
	}
	var err error
	t.Function, err = s.runnable(ctx, r, v)
	if err != nil {
		return nil, err
	}
	t.Function.Isolation, t.deadLetter = f.Tags[isolationTag], v.serving().DeadLetter
	return t, nil
}

// runnable is what the worker needs to run a version, its code unpacked.
func (s *Service) runnable(ctx context.Context, r ref, v *version) (*worker.Function, error) {
	c := v.serving()
	w := bareFunction(r, v)
	if w.SnapStart = v.snapped(); w.SnapStart {
		w.Snapshot = s.snapshotDir(w.Key)
		w.Spoilt = func() { s.snapshotAgain(job{scope: r.scope, function: r.name, version: v.Version, snapshot: true}) }
	}
	var err error
	if w.Env, err = s.openEnvironment(ctx, r, c, c.Role); err != nil {
		return nil, undecryptable(err)
	}
	if c.Image != nil {
		w.Image, err = s.runImage(ctx, r, c)
		return w, err
	}
	if w.Task, err = s.code.ensure(ctx, c.Code); err != nil {
		return nil, ours(err)
	}
	opt, err := s.code.ensureLayers(ctx, c.Layers)
	if err != nil {
		return nil, ours(err)
	}
	if opt != "" {
		w.Layers = []string{opt}
	}
	return w, nil
}

// bareFunction is what the worker needs to run a version, without its code and variables.
func bareFunction(r ref, v *version) *worker.Function {
	c := v.serving()
	w := &worker.Function{
		Key: workerKey(r.scope, v, c), Owner: r.scope.Account + "/" + r.scope.Region + "/" + r.name + "/" + v.Version,
		Account: r.scope.Account, Region: r.scope.Region, Name: r.name, Version: v.Version, Role: c.Role,
		Runtime: c.Runtime, Handler: c.Handler, MemoryMB: c.Memory, TmpMB: c.Tmp,
		Timeout:  time.Duration(c.Timeout) * time.Second,
		LogGroup: c.Logging.Group, LogFormat: c.Logging.Format, LogLevel: c.Logging.App, SystemLog: c.Logging.System,
	}
	if w.RuntimeVersion = runtimeVersion(c.Runtime); w.RuntimeVersion != "" {
		w.RuntimeVersionArn = runtimeVersionArn(r.scope.Region, c.Runtime)
	}
	return w
}

// ours hides what unpacking would tell an uploader from somebody who invokes.
func ours(err error) error {
	return api.ErrService.New("The function's code could not be unpacked. The server's log says why.").Because(errors.New(err.Error()))
}

// workerKey names the sandboxes of one configuration of one version.
func workerKey(s store.Scope, v *version, c *config) string {
	return strings.Join([]string{s.Account, s.Region, v.Function, v.Version, c.ID}, "/")
}

// unreservedPool is how many invocations the functions without reserved concurrency of t's account may run together.
func (s *Service) unreservedPool(t *target) int {
	sc := store.Scope{Account: t.Function.Account, Region: t.Function.Region}
	known := s.cache.scope(sc)
	if n := known.Load(); n > 0 {
		return int(n - 1)
	}
	pool := s.deps.AccountConcurrency
	err := s.deps.Store.View(context.Background(), func(tx store.Tx) error {
		u, err := orNil(usages.Get(tx, sc, usageKey))
		if u != nil {
			pool = max(0, s.deps.AccountConcurrency-u.Reserved)
		}
		return err
	})
	if err != nil {
		s.deps.Log.Error("read account usage", "account", sc.Account, "region", sc.Region, "error", err)
		return pool
	}
	known.Store(int64(pool) + 1)
	return pool
}
