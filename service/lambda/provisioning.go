package lambda

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// keepAgain is how long a function waits whose provisioned sandboxes cannot be described to the worker: its variables cannot be
// decrypted, say.
const keepAgain = time.Minute

// provisioning is what the rows say about the provisioned concurrency of one function.
type provisioning struct {
	configs []provisionedConfig // by qualifier
	shares  [][]share           // of configs: which versions have them
	want    map[string]int      // by version
}

// share is a part of a config.
type share struct {
	version string
	n       int
}

// getProvisioning reads the rows of a function.
func getProvisioning(tx store.Tx, sc store.Scope, f *function) (*provisioning, error) {
	p := &provisioning{}
	if f.Provisioned == 0 {
		return p, nil
	}
	var err error
	if p.configs, err = collect(provisions.Scan(tx, sc, store.Range{Prefix: store.Prefix(f.Name)})); err != nil {
		return nil, err
	}
	p.want = map[string]int{}
	for _, c := range p.configs {
		var a *alias
		if !isNumber(c.Qualifier) {
			if a, err = getAlias(tx, sc, f.Name, c.Qualifier); err != nil {
				return nil, err
			}
		}
		shares := c.split(a)
		for _, s := range shares {
			p.want[s.version] += s.n
		}
		p.shares = append(p.shares, shares)
	}
	return p, nil
}

// split says which versions have a config's concurrency: its own, those of its alias, by weight. Each of two has some, if there is
// enough and it may be invoked.
func (c *provisionedConfig) split(a *alias) []share {
	switch {
	case a == nil:
		return []share{{c.Qualifier, c.Requested}}
	case a.Other == "":
		return []share{{a.Version, c.Requested}}
	}
	n := int(math.Round(float64(c.Requested) * a.Weight))
	if c.Requested > 1 && a.Weight > 0 && a.Weight < 1 {
		n = min(max(n, 1), c.Requested-1)
	}
	return []share{{a.Version, c.Requested - n}, {a.Other, n}}
}

// everyProvisioned is the functions of all accounts and regions that have provisioned concurrency.
func everyProvisioned(tx store.Tx) ([]functionKey, error) {
	scopes, err := provisions.Scopes(tx)
	if err != nil {
		return nil, err
	}
	var all []functionKey
	for _, sc := range scopes {
		for row, err := range provisions.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return nil, err
			}
			if k := (functionKey{sc, row.Value.Function}); len(all) == 0 || all[len(all)-1] != k {
				all = append(all, k)
			}
		}
	}
	return all, nil
}

// keeper has the worker keep what the rows say is provisioned. Nothing of it is stored.
type keeper struct {
	wake chan struct{}

	mu     sync.Mutex
	todo   map[functionKey]bool            // to be looked at
	active map[functionKey]bool            // being looked at
	later  map[functionKey]bool            // to be looked at after keepAgain
	kept   map[functionKey]map[string]kept // by version
}

// kept is what the worker was told of a version.
type kept struct {
	function *worker.Function // nil if it could not be told
	err      error            // why
}

func newKeeper() *keeper {
	return &keeper{
		wake: make(chan struct{}, 1), todo: map[functionKey]bool{}, active: map[functionKey]bool{}, later: map[functionKey]bool{},
		kept: map[functionKey]map[string]kept{},
	}
}

// look has functions looked at, soon.
func (q *keeper) look(all ...functionKey) {
	q.mu.Lock()
	for _, k := range all {
		q.todo[k] = true
	}
	q.mu.Unlock()
	q.again()
}

func (q *keeper) again() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take is what is to be looked at now: a function that is being looked at waits for that.
func (q *keeper) take() []functionKey {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []functionKey
	for k := range q.todo {
		if !q.active[k] {
			delete(q.todo, k)
			q.active[k] = true
			all = append(all, k)
		}
	}
	return all
}

// done ends what take began. It says whether the caller is to look again after keepAgain, which another one may do already.
func (q *keeper) done(k functionKey, err error) (later bool) {
	q.mu.Lock()
	delete(q.active, k)
	waiting := q.todo[k]
	if later = err != nil && !q.later[k]; later {
		q.later[k] = true
	}
	q.mu.Unlock()
	if waiting {
		q.again()
	}
	return later
}

// lookAgain has a function looked at for which done said later.
func (q *keeper) lookAgain(k functionKey) {
	q.mu.Lock()
	delete(q.later, k)
	q.mu.Unlock()
	q.look(k)
}

// of is what the worker was told of a function's versions, and whether that may be about to change.
func (q *keeper) of(k functionKey) (told map[string]kept, changing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.kept[k]), q.todo[k] || q.active[k]
}

// all is what the worker was told of every function.
func (q *keeper) all() map[functionKey]map[string]kept {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.kept) // what it holds is replaced and never changed
}

func (q *keeper) set(k functionKey, told map[string]kept) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kept[k] = told; len(told) == 0 {
		delete(q.kept, k)
	}
}

// run looks at functions, a few at once, until ctx ends. One that fails is looked at again after keepAgain.
func (q *keeper) run(ctx context.Context, keep func(context.Context, functionKey) error) {
	backlog[functionKey]{wake: q.wake, take: q.take, pause: keepAgain}.run(ctx, func(k functionKey) (again func()) {
		if q.done(k, keep(ctx, k)) {
			return func() { q.lookAgain(k) }
		}
		return nil
	})
}

// keep tells the worker what the rows say now about one function.
func (s *Service) keep(ctx context.Context, k functionKey) error {
	told, _ := s.keeper.of(k)
	var f *function
	p := &provisioning{}
	versions := map[string]*version{}
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		clear(versions)
		if f, err = getFunction(tx, k.scope, k.name); f == nil {
			return err
		}
		if p, err = getProvisioning(tx, k.scope, f); err != nil {
			return err
		}
		for v := range p.want {
			if versions[v], err = getVersion(tx, k.scope, k.name, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	next := map[string]kept{}
	for v, n := range p.want {
		have, now := told[v], versions[v]
		if now == nil || n == 0 || now.State.Is == api.StatePending {
			continue // whoever deletes it, or settles it, has it looked at again
		}
		r := ref{scope: k.scope, name: k.name}
		if have.function == nil || have.function.Key != workerKey(k.scope, now, now.serving()) {
			have = s.describe(ctx, r, f, now)
			err = errors.Join(err, have.err)
		}
		next[v] = have
		if have.function != nil {
			s.deps.Runner.Provision(have.function, n)
		}
	}
	for v, have := range told {
		if have.function != nil && (next[v].function == nil || next[v].function.Key != have.function.Key) {
			s.deps.Runner.Provision(have.function, 0)
		}
	}
	s.keeper.set(k, next)
	return err
}

// describe makes what the worker needs to provision a version.
func (s *Service) describe(ctx context.Context, r ref, f *function, v *version) kept {
	if v.State.Is != api.StateActive {
		return kept{err: unusable(v.State)}
	}
	t, err := s.target(asLambda(ctx, r.scope), r, f, v)
	if err != nil {
		if ctx.Err() == nil {
			s.deps.Log.Warn("provision concurrency", "function", r.name, "version", v.Version, "error", err)
		}
		return kept{err: err}
	}
	return kept{function: t.Function}
}

// allocation is how far the allocation of one config has come.
type allocation struct {
	allocated      int
	status, reason string
}

// allocations are those of a function's configs. Of a version that several have, the first ones get theirs first.
func (s *Service) allocations(k functionKey, p *provisioning) []allocation {
	told, changing := s.keeper.of(k)
	left, failed := map[string]int{}, map[string]error{}
	for v, have := range told {
		if failed[v] = have.err; have.function != nil {
			left[v], failed[v] = s.deps.Runner.Provisioned(have.function.Key)
		}
	}
	all := make([]allocation, len(p.configs))
	for i, c := range p.configs {
		a := &all[i]
		var why error
		for _, sh := range p.shares[i] {
			n := min(sh.n, left[sh.version])
			left[sh.version] -= n
			if a.allocated += n; n < sh.n && why == nil {
				why = failed[sh.version]
			}
		}
		switch {
		case a.allocated >= c.Requested:
			a.status = api.ProvisionedConcurrencyStatusEnumReady
		case why != nil && !changing:
			a.status, a.reason = api.ProvisionedConcurrencyStatusEnumFailed, unallocated(why)
		default:
			a.status = api.ProvisionedConcurrencyStatusEnumInProgress
		}
	}
	return all
}

// unallocated is the StatusReason of an allocation that failed.
func unallocated(err error) string {
	var refused *aws.Error
	switch {
	case errors.Is(err, worker.ErrInit):
		return "FUNCTION_ERROR_INIT_FAILURE"
	case errors.Is(err, worker.ErrFull):
		return "As many execution environments exist on this host as there may be."
	case errors.As(err, &refused):
		return refused.Message
	}
	if errors.As(platformError(err), &refused) {
		return refused.Message
	}
	return ""
}
