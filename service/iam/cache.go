package iam

import (
	"sync"
	"sync/atomic"

	"github.com/enfold-run/enfold/policy"
)

// Bounds of what is kept in memory. Policies are bounded by the bytes of their text, of which a compiled one takes some five
// times as many, at worst twelve: ten thousand of the usual size fit.
const (
	maxCachedKeys     = 16384
	maxCachedNoKeys   = 1024
	maxCachedIssuers  = 16384
	maxCachedPolicies = 8 << 20
	maxCachedGrants   = 16 << 20 // policies that several have count for each
	maxCachedRoles    = 4 << 20
)

// minText is what a policy counts at least: there is more to an entry than its text.
const minText = 256

// anyAccount is the account whose version counts the changes of all.
const anyAccount = ""

// caches are what answers without reading the store. What is in them carries the version of its account as it was before
// the store was read, and is void once the account has another.
type caches struct {
	versions sync.Map // account -> *atomic.Uint64
	keys     *cache[string, *knownKey]
	noKeys   *cache[string, *knownKey] // apart, for guesses not to push out what there is
	issuers  *cache[grantsKey, knownIssuer]
	grants   *cache[grantsKey, *knownGrants]
	roles    *cache[string, *knownRole]
	managed  *cache[string, *knownPolicy]
	compiled *cache[text, *policy.Policy]
}

// text is a policy before it is compiled.
type text struct {
	kind     policy.Kind
	document string
}

func newCaches() *caches {
	return &caches{
		keys:     newCache[string, *knownKey](maxCachedKeys),
		noKeys:   newCache[string, *knownKey](maxCachedNoKeys),
		issuers:  newCache[grantsKey, knownIssuer](maxCachedIssuers),
		grants:   newCache[grantsKey, *knownGrants](maxCachedGrants),
		roles:    newCache[string, *knownRole](maxCachedRoles),
		managed:  newCache[string, *knownPolicy](maxCachedPolicies),
		compiled: newCache[text, *policy.Policy](maxCachedPolicies),
	}
}

func (c *caches) counter(account string) *atomic.Uint64 {
	if v, ok := c.versions.Load(account); ok {
		return v.(*atomic.Uint64)
	}
	v, _ := c.versions.LoadOrStore(account, new(atomic.Uint64))
	return v.(*atomic.Uint64)
}

func (c *caches) version(account string) uint64 { return c.counter(account).Load() }

// changed makes everything of the account void, and every answer that there is no such key.
func (c *caches) changed(account string) {
	c.counter(account).Add(1)
	c.counter(anyAccount).Add(1)
}

// compile is parse, remembered. Documents that are refused are not.
func (c *caches) compile(document string, k policy.Kind) (*policy.Policy, error) {
	if p, ok := c.compiled.get(text{k, document}); ok {
		return p, nil
	}
	p, err := parse(document, k)
	if err == nil {
		c.compiled.put(text{k, document}, p, minText+len(document))
	}
	return p, err
}

// cache is a map whose entries weigh max at most. It is safe for concurrent use. A full one loses any entries for a new one.
type cache[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]weighed[V]
	weight  int
	max     int
}

type weighed[V any] struct {
	value  V
	weight int
}

func newCache[K comparable, V any](max int) *cache[K, V] {
	return &cache[K, V]{entries: map[K]weighed[V]{}, max: max}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[k]
	return e.value, ok
}

// put keeps v, unless it alone weighs more than all may.
func (c *cache[K, V]) put(k K, v V, weight int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
	if weight > c.max {
		return
	}
	for old := range c.entries {
		if c.weight+weight <= c.max {
			break
		}
		c.remove(old)
	}
	c.entries[k] = weighed[V]{v, weight}
	c.weight += weight
}

// drop forgets an entry, if there is one.
func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
}

func (c *cache[K, V]) remove(k K) {
	c.weight -= c.entries[k].weight
	delete(c.entries, k)
}
