package seal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func newRoot(t testing.TB, b byte) *Root {
	t.Helper()
	r, err := NewRoot(bytes.Repeat([]byte{b}, RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealAndOpen(t *testing.T) {
	k := newRoot(t, 1).Key("test")
	for _, size := range []int{0, 1, 1 << 20} {
		plaintext := bytes.Repeat([]byte("x"), size)
		sealed := k.Seal(plaintext, []byte("place"))
		if len(sealed) != size+Overhead {
			t.Errorf("%d bytes sealed are %d", size, len(sealed))
		}
		got, err := k.Open(sealed, []byte("place"))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes do not come back: %v", size, err)
		}
	}
	if bytes.Equal(k.Seal([]byte("a"), nil), k.Seal([]byte("a"), nil)) {
		t.Error("the same text is sealed to the same bytes twice")
	}
}

func TestWhatDoesNotOpen(t *testing.T) {
	root := newRoot(t, 1)
	k := root.Key("test")
	sealed := k.Seal([]byte("the secret"), []byte("place"))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := k.Open(changed, []byte("place")); !errors.Is(err, ErrSealed) {
			t.Errorf("opens with byte %d changed: %v", i, err)
		}
		if _, err := k.Open(sealed[:i], []byte("place")); !errors.Is(err, ErrSealed) {
			t.Errorf("opens when cut off at %d: %v", i, err)
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"another place":   func() ([]byte, error) { return k.Open(sealed, []byte("elsewhere")) },
		"another purpose": func() ([]byte, error) { return root.Key("other").Open(sealed, []byte("place")) },
		"another root":    func() ([]byte, error) { return newRoot(t, 2).Key("test").Open(sealed, []byte("place")) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again, err := newRoot(t, 1).Key("test").Open(sealed, []byte("place")); err != nil || string(again) != "the secret" {
		t.Errorf("the same root after a restart: %q, %v", again, err)
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	r := newRoot(t, 'S')
	if s := fmt.Sprintf("%v %+v %#v %s %v %#v", r, r, r, r, r.Key("x"), r.Key("x")); bytes.Contains([]byte(s), []byte("SSS")) {
		t.Errorf("printed: %s", s)
	}
	if _, err := NewRoot([]byte("short")); err == nil {
		t.Error("a short root key is taken")
	}
}

func FuzzOpen(f *testing.F) {
	k := newRoot(f, 1).Key("test")
	f.Add(k.Seal([]byte("x"), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := k.Open(b, nil); err == nil && string(plain) != "x" {
			t.Errorf("%x opens to %q", b, plain)
		}
	})
}
