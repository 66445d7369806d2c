package wire

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/google/go-cmp/cmp"
)

func decodeEverything(body string) (*everything, error) {
	var e everything
	v := reflect.ValueOf(&e).Elem()
	err := decodeJSONBody([]byte(body), planOf(v.Type()), v)
	return &e, err
}

func TestJSONDecode(t *testing.T) {
	for _, tc := range []struct {
		body string
		want everything
	}{
		{``, everything{}},
		{` { } `, everything{}},
		{`null`, everything{}},
		{`{"text":null,"list":null,"nested":null,"unknown":{"a":[1,{"b":null}]}}`, everything{}},
		{`{"text":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, everything{Text: new("a\"\\/\b\f\n\r\té😀")}},
		{`{"text":"\ud83d"}`, everything{Text: new("\uFFFD")}},
		{"{\"text\":\"\xff\"}", everything{Text: new("\uFFFD")}},
		{`{"text":"a","text":"b"}`, everything{Text: new("b")}},
		{`{"number":3.0,"long":1e3,"float":2}`, everything{Number: new(3), Long: new(int64(1000)), Float: new(2.0)}},
		{`{"time":1700000000.123}`, everything{Time: new(time.UnixMilli(1700000000123).UTC())}},
		{`{"float":"Infinity"}`, everything{Float: new(math.Inf(1))}},
		{`{"blob":"AAH/","list":[],"map":{}}`, everything{Blob: []byte{0, 1, 255}, List: []string{}, Map: map[string]int{}}},
		{`{"blob":"AAE"}`, everything{Blob: []byte{0, 1}}},
		{`{"any":{"a":[1,2.5,"x",true,null]}}`, everything{Any: map[string]any{"a": []any{int64(1), 2.5, "x", true, nil}}}},
		{`{"many":[{},null,{"text":"x"}]}`, everything{Many: []*everything{{}, nil, {Text: new("x")}}}},
	} {
		got, err := decodeEverything(tc.body)
		if err != nil {
			t.Errorf("%s: %v", tc.body, err)
			continue
		}
		if diff := cmp.Diff(&tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.body, diff)
		}
	}
}

// A service that refuses what is no Unicode sees it: nothing that it takes for text stands in its place.
func TestRawText(t *testing.T) {
	for body, want := range map[string]string{
		`{"text":"a\ud83db"}`:             "a\xed\xa0\xbdb",
		`{"text":"\ude00\ud83d"}`:         "\xed\xb8\x80\xed\xa0\xbd",
		`{"text":"\udfff\u0041"}`:         "\xed\xbf\xbfA",
		"{\"text\":\"a\xff\"}":            "a\xff",
		`{"text":"\ud83d\ude00\ufffd é"}`: "😀\uFFFD é",
	} {
		var got everything
		v := reflect.ValueOf(&got).Elem()
		if err := (&jsonReader{b: []byte(body), raw: true}).whole(planOf(v.Type()), v); err != nil || *got.Text != want {
			t.Errorf("%s: %q, %v; want %q", body, *got.Text, err, want)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for _, tc := range []struct{ body, message string }{
		{`{"text":1}`, "NUMBER_VALUE can not be converted to a String"},
		{`{"text":true}`, "TRUE_VALUE can not be converted to a String"},
		{`{"text":{}}`, "Start of structure or map found where not expected."},
		{`{"text":[]}`, "Start of list found where not expected"},
		{`{"number":"1"}`, "STRING_VALUE can not be converted to an Integer"},
		{`{"number":2147483648}`, "NUMBER_VALUE can not be converted to an Integer"},
		{`{"number":1.5}`, "NUMBER_VALUE can not be converted to an Integer"},
		{`{"long":9223372036854775808}`, "NUMBER_VALUE can not be converted to a Long"},
		{`{"long":1e300}`, "NUMBER_VALUE can not be converted to a Long"},
		{`{"float":1e999}`, "NUMBER_VALUE can not be converted to a Double"},
		{`{"flag":"true"}`, "STRING_VALUE can not be converted to a Boolean"},
		{`{"time":"soon"}`, "STRING_VALUE can not be converted to a Timestamp"},
		{`{"time":1e30}`, "NUMBER_VALUE can not be converted to a Timestamp"},
		{`{"blob":"?"}`, "Invalid base64 data"},
		{`{"list":"a"}`, "STRING_VALUE can not be converted to a list"},
		{`{"map":[]}`, "Start of list found where not expected"},
		{`{"nested":1}`, "NUMBER_VALUE can not be converted to a structure"},
		{`[]`, "Start of list found where not expected"},
		{`{`, "Unexpected end-of-input"},
		{`{"text":"a"`, "Unexpected end-of-input"},
		{`{"text":"a"} x`, "Unexpected character ('x' (code 120)) at offset 13"},
		{`{"text":"a",}`, "Unexpected character ('}' (code 125)) at offset 12"},
		{`{"unknown":01}`, "Unexpected character ('1' (code 49)) at offset 12"},
		{`{"unknown":[1,]}`, "Unexpected character (']' (code 93)) at offset 14"},
		{`{"unknown":nul}`, "Unexpected character ('n' (code 110)) at offset 11"},
		{"{\"unknown\":\"\x01\"}", "Unexpected character (CTRL-CHAR (code 1)) at offset 12"},
		{`{"unknown":"\x"}`, "Unexpected character"},
		{strings.Repeat(`{"nested":`, 100) + `1`, "Nesting is deeper than 64 levels"},
		{`{"unknown":` + strings.Repeat("[", 1_000_000), "Nesting is deeper than 64 levels"},
		{`{"unknown":[0` + strings.Repeat(",0", maxItems) + `]}`, "The JSON has more than 1048576 members and elements"},
		{`{"any":` + strings.Repeat("[", 1_000_000), "Nesting is deeper than 64 levels"},
	} {
		_, err := decodeEverything(tc.body)
		e, ok := errors.AsType[*aws.Error](err)
		if !ok || e.Type != aws.ErrSerialization || !strings.HasPrefix(e.Message, tc.message) {
			t.Errorf("%.60s: got %v, want %s", tc.body, err, tc.message)
		}
	}
	for body, want := range map[string]string{
		`{"list":["a",null]}`: "1 validation error detected: Value null at 'list' failed to satisfy constraint: Member must not be null",
		`{"map":{"a":null}}`:  "1 validation error detected: Value null at 'map' failed to satisfy constraint: Map value must satisfy constraint: [Member must not be null]",
	} {
		if _, err := decodeEverything(body); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestJSONEncode(t *testing.T) {
	e := full()
	e.Float, e.Text = new(math.NaN()), new("<a>&\u2028\x01\"\\\xff")
	got := string(appendJSONStruct(nil, planOf(reflect.TypeOf(*e)), reflect.ValueOf(e).Elem()))
	want := `{"text":"<a>&` + "\u2028" + `\u0001\"\\` + "\uFFFD" + `","number":-7,"long":-9223372036854775808,"float":"NaN","flag":true,` +
		`"time":1700000000.123,"blob":"AAH/","list":["a",""],"map":{"a":1,"b":-2147483648},"nested":{"text":"inner","list":[]},` +
		`"many":[{"flag":false},null],"deep":{"x":[true,false]}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("encoding/json does not take it")
	}
}
