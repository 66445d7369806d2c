package row

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestReader(t *testing.T) {
	b := AppendText(AppendText(nil, "text"), []byte{})
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendUvarint(append(b, 7), 2)
	b = append(b, "rest"...)
	r := Reader{Rest: b}
	if a, empty, n, u, c, two := r.Text(), r.Text(), r.Number(), r.Unsigned(), r.Octet(), r.Count(2); a != "text" || empty != "" ||
		n != math.MinInt64 || u != math.MaxUint64 || c != 7 || two != 2 || string(r.Rest) != "rest" || r.Bad {
		t.Errorf("read %q, %q, %d, %d, %d, %d, then %+v", a, empty, n, u, c, two, r)
	}
}

// What is not there is bad, and from then on everything is.
func TestNotThere(t *testing.T) {
	long := bytes.Repeat([]byte{0xff}, 11)
	for name, read := range map[string]func(r *Reader) bool{
		"text":             func(r *Reader) bool { return r.Text() == "" },
		"count":            func(r *Reader) bool { return r.Count(1) == 0 },
		"number":           func(r *Reader) bool { return r.Number() == 0 },
		"unsigned":         func(r *Reader) bool { return r.Unsigned() == 0 },
		"octet":            func(r *Reader) bool { r.Unsigned(); return r.Octet() == 0 },
		"text after that":  func(r *Reader) bool { r.Number(); return r.Text() == "" },
		"octet after that": func(r *Reader) bool { r.Number(); return r.Octet() == 0 },
	} {
		for _, b := range [][]byte{nil, long} {
			if r := (Reader{Rest: b}); !read(&r) || !r.Bad || len(r.Rest) > 0 {
				t.Errorf("%s of %d bytes: %+v", name, len(b), r)
			}
		}
	}
	if r := (Reader{Rest: []byte{3, 'a', 'b'}}); r.Text() != "" || !r.Bad {
		t.Errorf("a text longer than the row: %+v", r)
	}
	if r := (Reader{Rest: []byte{2, 'a', 'b', 'c'}}); r.Count(2) != 0 || !r.Bad {
		t.Errorf("more things than there is room for: %+v", r)
	}
}
