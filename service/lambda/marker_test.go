package lambda

import "testing"

func TestMarker(t *testing.T) {
	m := newMarker("functions", "f\x00$LATEST")
	tests := []struct {
		name, list string
		marker     *string
		want       string
		ok         bool
	}{
		{"its own list", "functions", m, "f\x00$LATEST", true},
		{"no marker", "functions", nil, "", true},
		{"an empty marker", "functions", new(""), "", true},
		{"another list", "aliases", m, "", false},
		{"not base64", "functions", new("%%%"), "", false},
		{"too short", "functions", new("AAAA"), "", false},
		{"made up", "functions", new("bm90IGEgbWFya2VyIGF0IGFsbA"), "", false},
		{"cut off", "functions", new((*m)[:len(*m)-4]), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := openMarker(tt.list, tt.marker)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %q %v", got, err)
			}
			if err != nil && errText(err) != "InvalidParameterValueException: The specified Marker is invalid." {
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzMarker(f *testing.F) {
	f.Add("list", "key", "marker")
	f.Add("functions", "a\x00b", *newMarker("functions", "a\x00b"))
	f.Fuzz(func(t *testing.T, list, key, marker string) {
		if key != "" {
			if got, err := openMarker(list, newMarker(list, key)); err != nil || got != key {
				t.Fatalf("round trip of %q: %q %v", key, got, err)
			}
		}
		if got, err := openMarker(list, &marker); err == nil && marker != "" && *newMarker(list, got) != marker {
			// Base64 has spare bits in its last character: the same bytes, spelled differently.
			if again, err := openMarker(list, newMarker(list, got)); err != nil || again != got {
				t.Fatalf("%q opened to %q", marker, got)
			}
		}
	})
}

func TestPageSize(t *testing.T) {
	for _, tt := range []struct {
		in   *int
		want int
	}{{nil, 50}, {new(1), 1}, {new(50), 50}, {new(10000), 50}, {new(0), 50}} {
		if got := pageSize(tt.in); got != tt.want {
			t.Errorf("pageSize(%v) = %d, want %d", tt.in, got, tt.want)
		}
	}
}
