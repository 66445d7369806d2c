package server

import (
	"runtime/debug"
	"testing"
)

// What a burst has left goes back to the system once the server is calm, and then is left alone.
func TestMemoryGoesBack(t *testing.T) {
	var h heap
	given := 0
	look := func() {
		h.look(func() {
			given++
			debug.FreeOSMemory()
		})
	}
	look()
	start := given
	if start != 1 {
		t.Fatalf("%d collections of what the start has left, want 1", start)
	}
	if look(); given != start {
		t.Fatalf("%d collections, nothing was left over", given-start)
	}
	for range 64 {
		sink = append(sink, make([]byte, 1<<20))
	}
	sink = nil
	if look(); given != start {
		t.Fatalf("a busy server collects")
	}
	if look(); given != start+1 {
		t.Fatalf("%d collections, want one of what 64 MB have left", given-start)
	}
	if look(); given != start+1 {
		t.Fatalf("%d collections, want no other", given-start)
	}
}

var sink [][]byte
