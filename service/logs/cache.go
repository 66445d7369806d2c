package logs

import (
	"context"
	"sync"
	"time"

	"github.com/enfold-run/enfold/store"
)

// maxCached bounds the streams whose totals are kept in memory, at about 300 bytes each.
const maxCached = 1 << 16

// stream is a stream's bookkeeping in memory, read from its log when first needed and ahead of it by nothing.
type stream struct {
	scope     store.Scope
	id        uint64
	created   int64
	retention int // days

	mu    sync.Mutex
	gone  bool   // no longer in the cache: look it up again
	sum   totals // after everything appended
	first int64  // oldest event still stored, if sum.events > 0
}

type groupKey struct {
	scope store.Scope
	name  string
}

// streamCache holds the streams in use by group and name. There is at most one *stream for a stream that is not gone.
type streamCache struct {
	mu     sync.RWMutex
	groups map[groupKey]map[string]*stream
	size   int
	// epoch changes whenever something leaves the cache. What was read from the store in an older epoch may be stale and is
	// not put in.
	epoch uint64
}

func newStreamCache() *streamCache {
	return &streamCache{groups: map[groupKey]map[string]*stream{}}
}

func (c *streamCache) get(k groupKey, name string) (*stream, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.groups[k][name], c.epoch
}

// put adds st, read in the epoch, and answers the stream that is in the cache now; nil if the epoch is over.
func (c *streamCache) put(k groupKey, name string, st *stream, epoch uint64) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != epoch {
		return nil
	}
	if other := c.groups[k][name]; other != nil {
		return other
	}
	if c.size >= maxCached {
		c.shrink(maxCached - maxCached/8)
	}
	if c.groups[k] == nil {
		c.groups[k] = map[string]*stream{}
	}
	c.groups[k][name] = st
	c.size++
	return st
}

// shrink drops streams, any, until there are at most size.
func (c *streamCache) shrink(size int) {
	c.epoch++
	for k, g := range c.groups {
		for name := range g {
			if c.size <= size {
				return
			}
			c.drop(k, name)
		}
	}
}

// drop takes one stream out; c is locked.
func (c *streamCache) drop(k groupKey, name string) {
	g := c.groups[k]
	st := g[name]
	if st == nil {
		return
	}
	st.mu.Lock()
	st.gone = true
	st.mu.Unlock()
	c.size--
	if delete(g, name); len(g) == 0 {
		delete(c.groups, k)
	}
}

// forget takes a group's streams out, or the named ones. After it no append through what was in the cache succeeds.
func (c *streamCache) forget(k groupKey, names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	if len(names) == 0 {
		for name := range c.groups[k] {
			c.drop(k, name)
		}
	}
	for _, name := range names {
		c.drop(k, name)
	}
}

// find is the stream of that name, locked. The caller unlocks it.
func (s *Service) find(ctx context.Context, k groupKey, name string) (*stream, error) {
	for {
		st, epoch := s.streams.get(k, name)
		if st == nil {
			var err error
			if st, err = s.load(ctx, k, name); err != nil {
				return nil, err
			}
			if st = s.streams.put(k, name, st, epoch); st == nil {
				continue
			}
		}
		st.mu.Lock()
		if !st.gone {
			return st, nil
		}
		st.mu.Unlock()
	}
}

// load reads a stream and its totals from the store.
func (s *Service) load(ctx context.Context, k groupKey, name string) (*stream, error) {
	var group store.Row[groupRow]
	var row store.Row[streamRow]
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		if group, err = getGroup(tx, k.scope, k.name); err != nil {
			return err
		}
		row, err = getStream(tx, k.scope, group.Value, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.loadTotals(ctx, k.scope, group.Value, row.Value)
}

// loadTotals is the bookkeeping of a stream as its log has it.
func (s *Service) loadTotals(ctx context.Context, sc store.Scope, group groupRow, row streamRow) (*stream, error) {
	st := &stream{scope: sc, id: row.ID, created: row.Created, retention: group.Retention}
	last, ok, err := s.edge(ctx, sc, row.ID, true)
	if err != nil || !ok {
		return st, err
	}
	st.sum = last.after()
	if st.first = st.sum.min; st.sum.late == 0 {
		head, ok, err := s.edge(ctx, sc, row.ID, false)
		if err != nil {
			return nil, err
		}
		if ok && len(head.events) > 0 {
			st.first = head.events[0].at
		}
	} else if group.Retention > 0 {
		st.first = max(st.first, s.expiry(group.Retention))
	}
	return st, nil
}

// edge is the first chunk of a stream's log, or the last.
func (s *Service) edge(ctx context.Context, sc store.Scope, id uint64, last bool) (chunk, bool, error) {
	for c, err := range s.db.Logs().Read(ctx, logName(id), sc, store.LogRange{Limit: 1, Reverse: last}) {
		if err != nil {
			return chunk{}, false, err
		}
		d, err := decodeChunk(c.Data)
		return d, err == nil, err
	}
	return chunk{}, false, nil
}

// expiry is the time before which events of a group with that retention are gone.
func (s *Service) expiry(days int) int64 {
	return s.now().Add(-time.Duration(days) * 24 * time.Hour).UnixMilli()
}
