package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// mustBeAWS fails the test for an error that a client could not be told.
func mustBeAWS(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*aws.Error](err); err != nil && !ok {
		t.Fatalf("%T: %v", err, err)
	}
}

func addSeeds(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `{"text":"a\u00e9\ud83d\ude00","number":1,"long":-5,"float":1e3,"flag":true,"time":1.5,"blob":"AAE=","list":["a"],"map":{"a":1}}`,
		`{"nested":{"nested":{"many":[{},null]}},"deep":{"x":[true]},"any":[1,{"a":null}],"other":[[[]]]}`, `[`, `{"a":`, `{"text":"\ud83d\u"}`,
	} {
		f.Add([]byte(s))
	}
}

// FuzzJSON checks that what decodes is JSON for the standard library too, and comes back the same.
func FuzzJSON(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var e everything
		v := reflect.ValueOf(&e).Elem()
		p := planOf(v.Type())
		err := decodeJSONBody(body, p, v)
		if err != nil {
			mustBeAWS(t, asDecodeError(err, &aws.Service{}))
			return
		}
		if len(bytes.TrimLeft(body, " \t\r\n")) > 0 && !json.Valid(body) {
			t.Fatalf("not JSON, but taken: %q", body)
		}
		text := appendJSONStruct(nil, p, v)
		var again everything
		if err := decodeJSONBody(text, p, reflect.ValueOf(&again).Elem()); err != nil {
			t.Fatalf("%v in our own %s", err, text)
		}
		if diff := cmp.Diff(e, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); e.Any == nil && diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzCBOR checks that what decodes comes back the same after encoding.
func FuzzCBOR(f *testing.F) {
	w := httptest.NewRecorder()
	if err := cborMatch().Encode(w, "id", full()); err != nil {
		f.Fatal(err)
	}
	f.Add(w.Body.Bytes())
	f.Add([]byte("\xbf\x64text\x7f\x61a\x61b\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var e everything
		v := reflect.ValueOf(&e).Elem()
		p := planOf(v.Type())
		if err := decodeCBORBody(body, p, v); err != nil {
			mustBeAWS(t, asDecodeError(err, &aws.Service{}))
			return
		}
		e.Any = nil
		text := appendCBORStruct(nil, p, v)
		if err := cbor.Wellformed(text); err != nil {
			t.Fatal(err)
		}
		var again everything
		if err := decodeCBORBody(text, p, reflect.ValueOf(&again).Elem()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// flat has what XML, query and EC2 query carry.
type flat struct {
	_      struct{}          `shape:"root=Flat,ns=urn:x"`
	Text   *string           `wire:"Text"`
	Number *int              `wire:"Number"`
	Blob   []byte            `wire:"Blob"`
	List   []string          `wire:"List" wire.e:"item"`
	Flat   []*flat           `wire:"Flat,flat"`
	Map    map[string]string `wire:"Map"`
	Pairs  map[string]int    `wire:"Pairs,flat" wire.k:"K" wire.v:"V"`
	Kind   *string           `wire:"xsi:type,attr"`
}

// FuzzXML checks that a document is refused, or decodes to what encodes again.
func FuzzXML(f *testing.F) {
	for _, s := range []string{
		`<Flat xsi:type="a"><Text>&lt;x&#65;</Text><Number> 3 </Number><List><item>a</item></List><Flat><Text/></Flat><Map><entry><key>k</key><value>v</value></entry></Map><Pairs><K>a</K><V>1</V></Pairs></Flat>`,
		`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, `<a><b></a></b>`, `<a/><b/>`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got flat
		v := reflect.ValueOf(&got).Elem()
		p := planOf(v.Type())
		if err := decodeXMLBody(body, p, v); err != nil {
			mustBeAWS(t, err)
			return
		}
		m := &Match{Op: &aws.Op{Name: "Op"}, Service: &aws.Service{}, Protocol: aws.RestXML}
		text := m.xmlDocument(p, v)
		var again flat
		if err := decodeXMLBody(text, p, reflect.ValueOf(&again).Elem()); err != nil {
			t.Fatalf("%v in our own %s", err, text)
		}
	})
}

// FuzzForm checks that no form does more than be refused.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"Action=A&Text=x&Number=1&List.item.1=a&List.item.2=b&Flat.1.Text=x&Map.entry.1.key=k&Map.entry.1.value=v&Pairs.1.K=a&Pairs.1.V=1",
		"List=&Flat.99999999999999999999.Text=x&Flat.-1.Text=y", "a.b.c.d.e.f=1&a=2", "List=x&Flat.Text=x&Flat.Flat.Number=1&Pairs.K=a&Pairs.V=1", "Flat.1.Flat.1.Flat.1.Number=x", "%zz=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		for _, ec2 := range []bool{false, true} {
			var got flat
			v := reflect.ValueOf(&got).Elem()
			mustBeAWS(t, decodeForm(form, planOf(v.Type()), v, ec2))
		}
	})
}

// FuzzRequest routes and decodes whole requests, and writes the error of those that fail.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "requests", "*.http"))
	if err != nil || len(files) == 0 {
		f.Fatal("no captured requests", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("POST /service/Logs_20140328/operation/GetLogEvents HTTP/1.1\r\nHost: a\r\nSmithy-Protocol: rpc-v2-cbor\r\n\r\n"))
	rt := NewRouter(lambda.Service, sts.Service, logs.Service)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		m, err := rt.Route(r, "", body)
		if err == nil {
			_, err = m.Decode(r, body)
		}
		mustBeAWS(t, err)
		if e, ok := errors.AsType[*aws.Error](err); ok {
			w := httptest.NewRecorder()
			if m != nil {
				m.EncodeError(w, "id", e)
			} else {
				WriteError(w, r, "id", "", e)
			}
			if w.Code < 400 || w.Body.Len() == 0 {
				t.Fatalf("%v became %d %q", e, w.Code, w.Body)
			}
		}
	})
}

// FuzzPattern checks the translation of Java's patterns: it never panics, and its look-around is cut cleanly.
func FuzzPattern(f *testing.F) {
	f.Add(`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`, "2024")
	f.Add(`[\u0009\u000A]+(?<!\.)`, "x")
	f.Add(`(?!(`, "x")
	f.Fuzz(func(t *testing.T, expr, value string) {
		if len(expr) > 200 {
			return
		}
		p := newPattern(expr)
		if first, second := p.matches(value), p.matches(value); first != second {
			t.Fatalf("%q on %q: %t, then %t", expr, value, first, second)
		}
	})
}
