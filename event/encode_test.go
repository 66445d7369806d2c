package event

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

// whole is a delivery in which nothing is left out.
func whole() *Delivery {
	return &Delivery{
		ID: "id", Kind: "k", Target: "arn:aws:lambda:us-east-1:000000000000:function:f", Scope: here, Group: "g", Source: "s", Role: "r",
		Trace: "Root=1", Headers: map[string]string{"a": "b", "": "", "\x00": "\xff"}, Payload: []byte("payload"),
		Emitted: time.Date(2026, 11, 22, 1, 2, 3, 456789, time.UTC), NotYet: time.Date(9999, 1, 1, 0, 0, 0, 1, time.UTC), Tries: 2, Waits: 3,
		Retry: Retry{Tries: 3, Age: 6 * time.Hour, Steps: []time.Duration{time.Minute, 2 * time.Minute}, Longest: time.Hour, Jitter: true},
	}
}

func TestEncode(t *testing.T) {
	for name, d := range map[string]*Delivery{"whole": whole(), "empty": {Payload: []byte{}}} {
		t.Run(name, func(t *testing.T) {
			b := d.encode()
			got, err := decode(b)
			if err != nil || !reflect.DeepEqual(got, d) {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, d)
			}
			for n := range len(b) - len(d.Payload) {
				if _, err := decode(b[:n]); !errors.Is(err, errMalformed) {
					t.Errorf("the first %d bytes of %d: %v", n, len(b), err)
				}
			}
		})
	}
	if _, err := decode([]byte{version + 1, 0}); !errors.Is(err, errMalformed) {
		t.Errorf("a version to come: %v", err)
	}
}

// encodeJSON is a delivery as it was encoded before there were versions.
func encodeJSON(t testing.TB, d *Delivery) []byte {
	head, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...), d.Payload...)
}

// What an earlier server left in the queue is delivered by this one.
func TestDecodeJSON(t *testing.T) {
	d := whole()
	delete(d.Headers, "\x00") // JSON has no such text
	got, err := decode(encodeJSON(t, d))
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, d)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(whole().encode())
	f.Add((&Delivery{}).encode())
	f.Add(encodeJSON(f, whole()))
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{0, 255, 255, 255})
	f.Add([]byte{version, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(d.encode())
		if err != nil || again.ID != d.ID || len(again.Headers) != len(d.Headers) || !bytes.Equal(again.Payload, d.Payload) || !again.Emitted.Equal(d.Emitted) {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
	})
}
