package iam

import (
	"sync"
	"sync/atomic"

	"github.com/enfold-run/enfold/policy"
)

// Bounds of what is kept in memory.
const (
	maxCachedKeys     = 16384
	maxCachedGrants   = 16384
	maxCachedPolicies = 32768
)

// anyAccount is the account whose version counts the changes of all.
const anyAccount = ""

// caches are what answers without reading the store. What is in them carries the version of its account as it was before
// the store was read, and is void once the account has another.
type caches struct {
	versions sync.Map // account -> *atomic.Uint64
	keys     *cache[string, *knownKey]
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
		grants:   newCache[grantsKey, *knownGrants](maxCachedGrants),
		roles:    newCache[string, *knownRole](maxCachedGrants),
		managed:  newCache[string, *knownPolicy](maxCachedGrants),
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
		c.compiled.put(text{k, document}, p)
	}
	return p, err
}

// cache is a map of at most max entries that is safe for concurrent use. A full one loses any entry for a new one.
type cache[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]V
	max     int
}

func newCache[K comparable, V any](max int) *cache[K, V] {
	return &cache[K, V]{entries: map[K]V{}, max: max}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.entries[k]
	return v, ok
}

func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[k]; !ok && len(c.entries) >= c.max {
		for old := range c.entries {
			delete(c.entries, old)
			break
		}
	}
	c.entries[k] = v
}
