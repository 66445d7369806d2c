package hostid

import "testing"

func TestIDs(t *testing.T) {
	a, err := Open(3_000_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Open(3_000_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	seen := map[int]bool{}
	for _, s := range []*IDs{a, b} {
		for range 100 {
			id, err := s.Take()
			if err != nil {
				t.Fatal(err)
			}
			if seen[id] || seen[id+1] {
				t.Fatalf("id %d was given twice", id)
			}
			seen[id], seen[id+1] = true, true
		}
	}
	a.Put(3_000_004)
	if id, err := a.Take(); id != 3_000_004 || err != nil {
		t.Errorf("got %d %v, want the one that was put back", id, err)
	}
	a.next = a.end
	if _, err := a.Take(); err == nil {
		t.Error("took an id beyond the block")
	}
}
