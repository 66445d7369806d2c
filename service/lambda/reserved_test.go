package lambda

import "testing"

// Of a small account, as new ones are, nothing can be reserved.
func TestMinUnreserved(t *testing.T) {
	for limit, want := range map[int]int{1000: 100, 100: 100, 99: 99, 10: 10} {
		if got := (&edit{limit: limit}).minUnreserved(); got != want {
			t.Errorf("of %d: %d, want %d", limit, got, want)
		}
	}
}
