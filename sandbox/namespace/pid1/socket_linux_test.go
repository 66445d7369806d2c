package pid1

import "testing"

func TestHeader(t *testing.T) {
	k, n, err := ParseHeader(AppendHeader(nil, KindMount, 70000))
	if k != KindMount || n != 70000 || err != nil {
		t.Errorf("header came back as %d %d %v", k, n, err)
	}
	for name, b := range map[string][]byte{
		"short": {1, 0}, "long": make([]byte, 6), "beyond the limit": AppendHeader(nil, KindBase, MaxMessage+1),
	} {
		if _, _, err := ParseHeader(b); err == nil {
			t.Errorf("a header that is %s was taken", name)
		}
	}
}
