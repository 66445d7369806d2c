package guest

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

func TestFrames(t *testing.T) {
	frames := []Frame{
		{Kind: KindHello, Body: Number(Version)},
		{Kind: KindOutput, Process: 7, Body: []byte("a line\n")},
		{Kind: KindInput, Process: 1 << 31, Body: []byte{}},
	}
	var wire []byte
	for _, f := range frames {
		wire = f.Append(wire)
	}
	r := bytes.NewReader(wire)
	for _, want := range frames {
		if got, err := Read(r); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := Read(r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := Read(bytes.NewReader(wire[:len(wire)-3])); err != nil {
		t.Errorf("the first of a torn stream: %v", err)
	}
	if _, err := Read(bytes.NewReader(frames[1].Append(nil)[:12])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a torn frame: %v", err)
	}
	if _, err := Read(bytes.NewReader([]byte{1, 0, 0, 0, 0, 1, 0, 16, 0})); !errors.Is(err, ErrFrame) {
		t.Errorf("a frame that is too long: %v", err)
	}
}

func TestStart(t *testing.T) {
	for _, want := range []Start{
		{Args: []string{"/bin/true"}, Env: []string{}, Dir: "/", Files: 1024},
		{Args: []string{"a", "", "ü"}, Env: []string{"A=1", "B="}, Files: 64, Input: true, One: true, Share: true},
	} {
		var got Start
		if err := got.Unmarshal(want.Marshal()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		body := want.Marshal()
		for n := range body {
			if err := got.Unmarshal(body[:n]); !errors.Is(err, ErrFrame) {
				t.Errorf("the first %d bytes of %d were read: %v", n, len(body), err)
			}
		}
		if err := got.Unmarshal(append(body, 0)); !errors.Is(err, ErrFrame) {
			t.Errorf("with a byte too many: %v", err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(Frame{Kind: KindStart, Process: 1, Body: Start{Args: []string{"a"}, Env: []string{"A=1"}, Dir: "/"}.Marshal()}.Append(nil))
	f.Add([]byte{1, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, wire []byte) {
		fr, err := Read(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if again := fr.Append(nil); !bytes.Equal(again, wire[:len(again)]) {
			t.Errorf("%v became %v", wire, again)
		}
		var s Start
		if s.Unmarshal(fr.Body) == nil && s.Files >= 0 {
			var again Start
			if err := again.Unmarshal(s.Marshal()); err != nil || !reflect.DeepEqual(s, again) {
				t.Errorf("%+v became %+v, %v", s, again, err)
			}
		}
		_, _ = fr.Number()
	})
}
