package lambda

import (
	"context"
	"slices"
	"sync"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// expectAtStart is of how many functions the worker is told, when the server starts, that they are likely to be invoked.
const expectAtStart = 100

// expect is told of a version that is likely to be invoked soon: it was just made or changed. What its invocation will ask for is then
// known, and a runtime waits for it.
func (s *Service) expect(ctx context.Context, r ref, v *version) {
	s.deps.Runner.Expect(bareFunction(r, v))
	if v.Version == latest {
		s.foresee(asLambda(ctx, r.scope), r)
	}
}

// foresee reads what an invocation of a function will ask for. If that is to be had only then, nothing is remembered of the function,
// and the invocation will say why.
func (s *Service) foresee(ctx context.Context, r ref) {
	key := functionKey{r.scope, r.name}
	m := s.cache.of(key)
	found, err := s.foreseeable(ctx, r)
	if err != nil || found == nil {
		s.cache.forget(r.scope, r.name)
		return
	}
	m.put(r.qualifier, found)
	_, _ = s.access(ctx, r) // forgets it too
	if old, ok := s.foreseen.add(key); ok {
		s.cache.forget(old.scope, old.name)
	}
}

// foreseeable answers nil for a function that is not Active, and for one with a customer's key as it is now: that is used when there
// is an invocation, and may not be by then.
func (s *Service) foreseeable(ctx context.Context, r ref) (*resolved, error) {
	n, err := s.named(ctx, r)
	if err != nil || n.main.State.Is != api.StateActive || n.main.serving().KMSKey != "" {
		return nil, err
	}
	return s.mean(ctx, r, n)
}

// foreseenAtMost is how many functions are known before they are invoked: most are made and rest.
const foreseenAtMost = 256

// foreseen are the functions that expect has read last.
type foreseen struct {
	mu   sync.Mutex
	ring []functionKey
	next int
}

// add answers the one that it takes the place of.
func (f *foreseen) add(k functionKey) (old functionKey, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.ring, k) {
		return functionKey{}, false
	}
	if len(f.ring) < foreseenAtMost {
		f.ring = append(f.ring, k)
		return functionKey{}, false
	}
	old, f.ring[f.next] = f.ring[f.next], k
	f.next = (f.next + 1) % foreseenAtMost
	return old, true
}

// recentVersions are the versions that were modified last, the latest first, and no more than expectAtStart.
type recentVersions []recentVersion

type recentVersion struct {
	scope   store.Scope
	version *version
}

// add takes v in if it is recent enough. It keeps v.
func (all *recentVersions) add(sc store.Scope, v *version) {
	i, _ := slices.BinarySearchFunc(*all, v, func(have recentVersion, v *version) int {
		return v.Modified.Compare(have.version.Modified)
	})
	if i == expectAtStart {
		return
	}
	*all = slices.Insert(*all, i, recentVersion{sc, v})
	if len(*all) > expectAtStart {
		*all = (*all)[:expectAtStart]
	}
}
