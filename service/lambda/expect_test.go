package lambda

import (
	"fmt"
	"testing"
)

// What is known of functions that nobody invokes is bounded.
func TestForeseen(t *testing.T) {
	var f foreseen
	for i := range foreseenAtMost {
		if old, ok := f.add(functionKey{name: fmt.Sprint(i)}); ok {
			t.Fatalf("%v had to go for the %dth", old, i)
		}
	}
	if _, ok := f.add(functionKey{name: "7"}); ok {
		t.Error("one that was there took another's place")
	}
	for i := range 2 * foreseenAtMost {
		if old, ok := f.add(functionKey{name: fmt.Sprint("new", i)}); !ok || i < foreseenAtMost && old.name != fmt.Sprint(i) {
			t.Errorf("the place of %v was taken, %v", old, ok)
		}
	}
	if len(f.ring) != foreseenAtMost {
		t.Errorf("%d are kept", len(f.ring))
	}
}
