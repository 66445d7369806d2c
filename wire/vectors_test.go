package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// AWS's protocol test vectors are written for clients. A server reads what a client writes, so that the input vectors'
// requests must decode to their params, and writes what a client reads, so that the output vectors' results must encode
// to their responses.

func readSuites(t *testing.T, direction, protocol string) []vectorSuite {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "protocol", direction, protocol+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var suites []vectorSuite
	if err := json.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	return suites
}

var vectorProtocols = map[string]aws.Protocol{
	"ec2": aws.EC2Query, "json": aws.JSON11, "query": aws.Query, "rest-json": aws.RestJSON, "rest-xml": aws.RestXML,
}

func (s vectorSuite) service(p aws.Protocol) *aws.Service {
	return &aws.Service{
		Name: "vectors", ID: "Vectors", SigningName: "vectors", Version: s.Metadata.APIVersion, XMLNamespace: s.Metadata.XMLNamespace,
		TargetPrefix: s.Metadata.TargetPrefix, Protocols: []aws.Protocol{p},
	}
}

func TestInputVectors(t *testing.T) {
	total := 0
	for name, protocol := range vectorProtocols {
		for _, suite := range readSuites(t, "input", name) {
			if suite.Description == "Header whitespace" {
				continue // about what clients trim before they send; HTTP trims the rest
			}
			for i, c := range suite.Cases {
				total++
				t.Run(name+"/"+suite.Description+"/"+itoa(i), func(t *testing.T) { inputVector(t, suite, c, protocol) })
			}
		}
	}
	if total < 150 {
		t.Errorf("only %d vectors", total)
	}
}

func inputVector(t *testing.T, suite vectorSuite, c vectorCase, protocol aws.Protocol) {
	types := vectorTypes(suite.Shapes)
	shape := &vectorShape{Type: "structure"}
	if c.Given.Input != nil {
		shape = types.merged(c.Given.Input)
	}
	typ := types.structure(shape, 0)
	s := suite.service(protocol)
	op := &aws.Op{
		Service: s, Name: or(c.Given.Name, "OperationName"), Method: or(c.Given.HTTP.Method, "POST"), URI: or(c.Given.HTTP.RequestURI, "/"),
		NewInput: func() any { return reflect.New(typ).Interface() },
	}
	s.Ops = []*aws.Op{op}

	r := httptest.NewRequest(op.Method, or(c.Serialized.URI, "/"), strings.NewReader(c.Serialized.Body))
	for k, v := range c.Serialized.Headers {
		r.Header.Set(k, v)
	}
	if s.TargetPrefix == "" && protocol == aws.JSON11 { // some suites leave the target out
		s.TargetPrefix = "Vectors"
		r.Header.Set("X-Amz-Target", "Vectors."+op.Name)
	}
	if protocol == aws.Query || protocol == aws.EC2Query {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	m, err := NewRouter(s).Route(r, "vectors", []byte(c.Serialized.Body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Decode(r, []byte(c.Serialized.Body))
	if err != nil {
		t.Fatal(err)
	}
	want := reflect.New(typ)
	params := c.Params
	if suite.Description == "Idempotency token auto fill" && params == nil || isEmptyMap(params) && strings.Contains(suite.Description, "Idempotency") {
		params = map[string]any{"Token": "00000000-0000-4000-8000-000000000000"} // what the client fills in
	}
	types.fill(t, want.Elem(), shape, params)
	compareInputs(t, reflect.ValueOf(got).Elem(), want.Elem())
}

func isEmptyMap(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0
}

// compareInputs compares what was decoded with what was meant. A stream is read; what a protocol cannot carry (an empty
// list or map) may be absent.
func compareInputs(t *testing.T, got, want reflect.Value) {
	t.Helper()
	for i := range want.NumField() {
		f := want.Type().Field(i)
		if f.Name == "_" {
			continue
		}
		g, w := got.Field(i), want.Field(i)
		if f.Type == reflect.TypeFor[io.Reader]() {
			if a, b := readStream(t, g), readStream(t, w); a != b {
				t.Errorf("%s: got %q, want %q", f.Name, a, b)
			}
			continue
		}
		if diff := cmp.Diff(plain(w), plain(g)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
}

func readStream(t *testing.T, v reflect.Value) string {
	t.Helper()
	if v.IsNil() {
		return ""
	}
	b, err := io.ReadAll(v.Interface().(io.Reader))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// plain is a value without Go types that cmp would have to be told about: maps, slices and scalars; nil and empty are
// the same.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		if v.Type().String() == "time.Time" {
			return v.Interface()
		}
		m := map[string]any{}
		for i := range v.NumField() {
			if p := plain(v.Field(i)); v.Type().Field(i).Name != "_" && p != nil {
				m[v.Type().Field(i).Name] = p
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		if b, ok := v.Interface().([]byte); ok {
			return string(b)
		}
		var l []any
		for i := range v.Len() {
			l = append(l, plain(v.Index(i)))
		}
		return l
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(it.Value())
		}
		return m
	}
	return v.Interface()
}

// notOurs are output vectors about what a client does with an answer that a server of this model never writes.
var notOurs = map[string]string{
	"json/Ignores extra data":                  "members that the model does not have",
	"json/unmodeled non-json response payload": "a body that is no JSON",
	"rest-json/Ignores extra data":             "members that the model does not have",
	"rest-json/Ignores undefined output":       "a body where the model has none",
}

func TestOutputVectors(t *testing.T) {
	total := 0
	for name, protocol := range vectorProtocols {
		for _, suite := range readSuites(t, "output", name) {
			if notOurs[name+"/"+suite.Description] != "" {
				continue
			}
			for i, c := range suite.Cases {
				if name == "json" && suite.Description == "Lists" && i == 1 {
					continue // a null in a list of strings, which our types cannot hold and so never send
				}
				total++
				t.Run(name+"/"+suite.Description+"/"+itoa(i), func(t *testing.T) { outputVector(t, suite, c, protocol) })
			}
		}
	}
	if total < 65 {
		t.Errorf("only %d vectors", total)
	}
}

func outputVector(t *testing.T, suite vectorSuite, c vectorCase, protocol aws.Protocol) {
	types := vectorTypes(suite.Shapes)
	if c.Given.Output == nil { // the second case of a suite about both directions
		t.Skip("the vector has no output shape")
	}
	shape := types.merged(c.Given.Output)
	out := reflect.New(types.structure(shape, 0))
	types.fill(t, out.Elem(), shape, c.Result)
	s := suite.service(protocol)
	m := &Match{Op: &aws.Op{Service: s, Name: or(c.Given.Name, "OperationName"), Status: 200}, Service: s, Protocol: protocol}
	w := httptest.NewRecorder()
	if err := m.Encode(w, "request-id", out.Interface()); err != nil {
		t.Fatal(err)
	}
	if w.Code != c.Response.StatusCode {
		t.Errorf("status %d, want %d", w.Code, c.Response.StatusCode)
	}
	for k, want := range c.Response.Headers {
		if got := w.Header().Get(k); !sameText(got, want) && !modelledElsewhere(k) {
			t.Errorf("header %s: got %q, want %q", k, got, want)
		}
	}
	body := w.Body.String()
	if protocol == aws.Query && !strings.Contains(c.Response.Body, "<OperationNameResult") { // some suites leave out what every model has
		body = strings.NewReplacer("<OperationNameResult>", "", "</OperationNameResult>", "").Replace(body)
	}
	compareBodies(t, strings.Contains(suite.Description, "map"), body, c.Response.Body)
}

func modelledElsewhere(header string) bool {
	return slices.Contains([]string{"Content-Type", "Content-Length", "X-Amzn-Requestid"}, http.CanonicalHeaderKey(header))
}

// compareBodies compares XML or JSON; the entries of a map may come in any order.
func compareBodies(t *testing.T, unordered bool, got, want string) {
	t.Helper()
	if strings.HasPrefix(strings.TrimSpace(want), "<") {
		g, err := parseXML([]byte(got))
		if err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		w, err := parseXML([]byte(want))
		if err != nil {
			t.Fatal(err)
		}
		less := cmpopts.SortSlices(func(a, b any) bool { return unordered && fmt.Sprint(a) < fmt.Sprint(b) })
		if !unordered {
			less = cmp.Options{}
		}
		if diff := cmp.Diff(w.plain(true), g.plain(true), less); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s", diff, got)
		}
		return
	}
	var g, w any
	if json.Unmarshal([]byte(want), &w) != nil {
		if got != want && got != "{}" && !(got == "" || want == "") {
			t.Errorf("got %q, want %q", got, want)
		}
		return
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %q, want %q", err, got, want)
	}
	if diff := cmp.Diff(dropNulls(w), dropNulls(g), cmp.FilterValues(textAndTime, cmp.Comparer(alwaysEqual)), cmp.Comparer(sameText)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// dropNulls removes the members that are null: they are absent.
func dropNulls(v any) any {
	if m, ok := v.(map[string]any); ok {
		for k := range m {
			if m[k] == nil {
				delete(m, k)
			} else {
				m[k] = dropNulls(m[k])
			}
		}
	}
	return v
}

// plain is an element for comparing: request ids apart, children of the same name in their order.
func (x *xmlNode) plain(root bool) any {
	m := map[string]any{}
	for _, a := range x.attrs {
		if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
			m["@"+a.Name.Local] = a.Value
		}
	}
	for _, k := range x.kids {
		if n := strings.ToLower(k.name); root && (n == "requestid" || n == "responsemetadata") {
			continue
		}
		list, _ := m[k.name].([]any)
		m[k.name] = append(list, k.plain(false))
	}
	if len(x.kids) == 0 {
		m["text"] = normalTime(x.text)
	}
	return m
}

// textAndTime says whether one of two values is a text that spells the time that the other is in seconds: a vector has
// the former where servers write the latter.
func textAndTime(a, b any) bool {
	if _, ok := a.(float64); ok {
		a, b = b, a
	}
	text, isText := a.(string)
	seconds, isNumber := b.(float64)
	if !isText || !isNumber {
		return false
	}
	t, err := unixTime(seconds)
	return err == nil && sameText(text, formatTime(t, tsISO8601))
}

func alwaysEqual(any, any) bool { return true }

// sameText takes two spellings of one time for the same.
func sameText(a, b string) bool { return a == b || normalTime(a) == normalTime(b) }

func normalTime(s string) string {
	if len(s) < 10 || s[4] != '-' && s[3] != ',' {
		return strings.TrimSpace(s)
	}
	t, err := parseTime(strings.TrimSpace(s), tsRFC822)
	if err != nil {
		return s
	}
	return formatTime(t, tsISO8601)
}
