package wire

import (
	"errors"
	"math"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/enfold-run/enfold/aws"
	"github.com/google/go-cmp/cmp"
)

// everything has a member of every kind that RPC v2 CBOR and JSON carry.
type everything struct {
	Text   *string           `wire:"text"`
	Number *int              `wire:"number"`
	Long   *int64            `wire:"long"`
	Float  *float64          `wire:"float"`
	Flag   *bool             `wire:"flag"`
	Time   *time.Time        `wire:"time"`
	Blob   []byte            `wire:"blob"`
	List   []string          `wire:"list"`
	Map    map[string]int    `wire:"map"`
	Nested *everything       `wire:"nested"`
	Many   []*everything     `wire:"many"`
	Deep   map[string][]bool `wire:"deep"`
	Any    any               `wire:"any"`
}

func full() *everything {
	return &everything{
		Text: new("é😀"), Number: new(-7), Long: new(int64(math.MinInt64)), Float: new(1.5), Flag: new(true),
		Time: new(time.UnixMilli(1700000000123).UTC()), Blob: []byte{0, 1, 255}, List: []string{"a", ""}, Map: map[string]int{"a": 1, "b": -2147483648},
		Nested: &everything{Text: new("inner"), List: []string{}}, Many: []*everything{{Flag: new(false)}, nil}, Deep: map[string][]bool{"x": {true, false}},
	}
}

func cborMatch() *Match {
	s := &aws.Service{Name: "t", TargetPrefix: "T", Protocols: []aws.Protocol{aws.RPCv2CBOR}}
	op := &aws.Op{Service: s, Name: "Op", NewInput: func() any { return new(everything) }}
	return &Match{Op: op, Service: s, Protocol: aws.RPCv2CBOR}
}

func TestCBORRoundTrip(t *testing.T) {
	m := cborMatch()
	w := httptest.NewRecorder()
	if err := m.Encode(w, "id", full()); err != nil {
		t.Fatal(err)
	}
	if h := w.Header(); h.Get("Smithy-Protocol") != "rpc-v2-cbor" || h.Get("Content-Type") != "application/cbor" {
		t.Errorf("headers %v", h)
	}
	got, err := m.Decode(httptest.NewRequest("POST", "/", nil), w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Error(diff)
	}
}

// TestCBORForClients reads what we write with the decoder of AWS's Go SDK.
func TestCBORForClients(t *testing.T) {
	w := httptest.NewRecorder()
	if err := cborMatch().Encode(w, "id", full()); err != nil {
		t.Fatal(err)
	}
	v, err := cbor.Decode(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	m := v.(cbor.Map)
	if m["text"] != cbor.String("é😀") || m["number"] != cbor.NegInt(7) || m["float"] != cbor.Float64(1.5) || m["flag"] != cbor.Bool(true) {
		t.Errorf("got %v", m)
	}
	if tag := m["time"].(*cbor.Tag); tag.ID != 1 || tag.Value != cbor.Float64(1700000000.123) {
		t.Errorf("time %v", tag)
	}
	if list := m["list"].(cbor.List); len(list) != 2 || list[1] != cbor.String("") {
		t.Errorf("list %v", list)
	}
	if many := m["many"].(cbor.List); len(many) != 2 || many[1] != (*cbor.Nil)(nil) && reflect.TypeOf(many[1]) != reflect.TypeFor[*cbor.Nil]() {
		t.Errorf("many %v", many)
	}
}

// TestCBORFromClients reads what the encoder of AWS's Go SDK writes.
func TestCBORFromClients(t *testing.T) {
	body := cbor.Encode(cbor.Map{
		"text": cbor.String("x"), "number": cbor.Uint(3), "long": cbor.NegInt(1), "float": cbor.Float32(0.5), "flag": cbor.Bool(false),
		"time": &cbor.Tag{ID: 1, Value: cbor.Uint(1700000000)}, "blob": cbor.Slice("abc"), "list": cbor.List{cbor.String("a")},
		"map": cbor.Map{"k": cbor.Uint(1)}, "nested": cbor.Map{"text": &cbor.Nil{}}, "unknown": cbor.List{cbor.Map{}},
	})
	got, err := cborMatch().Decode(httptest.NewRequest("POST", "/", nil), body)
	if err != nil {
		t.Fatal(err)
	}
	want := &everything{
		Text: new("x"), Number: new(3), Long: new(int64(-1)), Float: new(0.5), Flag: new(false), Time: new(time.Unix(1700000000, 0).UTC()),
		Blob: []byte("abc"), List: []string{"a"}, Map: map[string]int{"k": 1}, Nested: &everything{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCBORRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"not a map":         "\x01",
		"cut":               "\xa1\x64text",
		"trailing":          "\xa0\xa0",
		"wrong type":        "\xa1\x64text\x01",
		"integer too large": "\xa1\x66number\x1b\x00\x00\x00\x01\x00\x00\x00\x00",
		"deep":              strings.Repeat("\x81", 1000) + "\x01",
		"huge length":       "\xa1\x64list\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
		"number as a key":   "\xa1\x01\x01",
		"invalid UTF-8":     "\xa1\x64text\x61\xff",
		"bignum":            "\xa1\x64long\xc2\x41\x01",
	} {
		if _, err := cborMatch().Decode(httptest.NewRequest("POST", "/", nil), []byte(body)); !errors.Is(err, aws.ErrSerialization) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := cborMatch().Decode(httptest.NewRequest("POST", "/", nil), []byte("\xa1\x64list\x81\xf6"))
	if !errors.Is(err, aws.ErrValidation) || !strings.Contains(err.Error(), "Value null at 'list'") {
		t.Errorf("null in a list: got %v", err)
	}
}
