package logs

import (
	"fmt"
	"testing"
)

// What was read from the store before something left the cache may be stale, and does not get in.
func TestCacheRefusesWhatMayBeStale(t *testing.T) {
	c, k := newStreamCache(), groupKey{name: "g"}
	_, epoch := c.get(k, "s")
	old := &stream{}
	if c.put(k, "s", old, epoch) != old || c.put(k, "s", &stream{}, epoch) != old {
		t.Fatal("the first does not stay")
	}
	c.forget(k, "s")
	if !old.gone {
		t.Error("who holds a forgotten stream does not see it")
	}
	if c.put(k, "s", &stream{}, epoch) != nil {
		t.Error("a stale stream is in the cache")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newStreamCache()
	for i := range maxCached + 10 {
		_, epoch := c.get(groupKey{}, "")
		if c.put(groupKey{name: fmt.Sprint("g", i%10)}, fmt.Sprint(i), &stream{}, epoch) == nil {
			t.Fatal("not put")
		}
	}
	n := 0
	for _, g := range c.groups {
		n += len(g)
	}
	if n != c.size || n > maxCached {
		t.Errorf("%d streams cached, counted %d, at most %d", n, c.size, maxCached)
	}
}
