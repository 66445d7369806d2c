package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vectorSuite is one description of AWS's protocol tests: shapes, and cases that use them.
type vectorSuite struct {
	Description string
	Metadata    struct {
		Protocol, APIVersion, TargetPrefix, JSONVersion string
		XMLNamespace                                    string
	}
	Shapes map[string]*vectorShape
	Cases  []vectorCase
}

type vectorCase struct {
	Given struct {
		Name string
		HTTP struct {
			Method, RequestURI string
			ResponseCode       int
		}
		Input, Output *vectorShape
	}
	Params, Result any
	Serialized     struct {
		URI, Body, Method string
		Headers           map[string]string
	}
	Response struct {
		StatusCode int `json:"status_code"`
		Headers    map[string]string
		Body       string
	}
}

// vectorShape is a shape or a use of one; the vectors put traits at either.
type vectorShape struct {
	Shape, Type, Location, LocationName, QueryName, TimestampFormat, Payload string
	Members                                                                  map[string]*vectorShape
	Member, Key, Value                                                       *vectorShape
	Flattened, XMLAttribute, JSONValue, IdempotencyToken, Streaming          bool
	XMLNamespace                                                             any
}

// vectorTypes builds Go types with wire's tags out of a suite's shapes. A shape that holds itself is unrolled to the
// depth that the vectors use.
type vectorTypes map[string]*vectorShape

const unrolled = 6

func (s vectorTypes) merged(r *vectorShape) *vectorShape {
	m := *r
	if base := s[r.Shape]; base != nil {
		m = *base
		m.Shape = r.Shape
		m.Location, m.LocationName = or(r.Location, base.Location), or(r.LocationName, base.LocationName)
		m.QueryName, m.TimestampFormat = r.QueryName, or(r.TimestampFormat, base.TimestampFormat)
		m.Payload = or(r.Payload, base.Payload)
		m.Flattened, m.JSONValue = r.Flattened || base.Flattened, r.JSONValue || base.JSONValue
		m.XMLAttribute, m.IdempotencyToken = r.XMLAttribute || base.XMLAttribute, r.IdempotencyToken
		if r.XMLNamespace != nil {
			m.XMLNamespace = r.XMLNamespace
		}
	}
	return &m
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s vectorTypes) structure(r *vectorShape, depth int) reflect.Type {
	m := s.merged(r)
	fields := []reflect.StructField{{Name: "_", PkgPath: "wire", Type: reflect.TypeFor[struct{}](), Tag: s.shapeTag(m)}}
	for _, name := range sortedMembers(m.Members) {
		ref := s.merged(m.Members[name])
		if depth > unrolled && (ref.Type == "structure" || ref.Type == "list" || ref.Type == "map") {
			continue
		}
		t := s.typ(ref, depth)
		switch {
		case ref.Type == "blob" && m.Payload == name && ref.Streaming:
			t = reflect.TypeFor[io.Reader]()
		case ref.Type != "blob" && ref.Type != "list" && ref.Type != "map":
			t = reflect.PointerTo(t)
		}
		fields = append(fields, reflect.StructField{Name: strings.ToUpper(name[:1]) + name[1:], Type: t, Tag: s.tag(name, m, ref)})
	}
	return reflect.StructOf(fields)
}

func sortedMembers(m map[string]*vectorShape) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (s vectorTypes) shapeTag(m *vectorShape) reflect.StructTag {
	var opts []string
	if m.LocationName != "" {
		opts = append(opts, "root="+m.LocationName)
	}
	return reflect.StructTag("shape:" + strconv.Quote(strings.Join(opts, ",")))
}

func (s vectorTypes) typ(m *vectorShape, depth int) reflect.Type {
	switch m.Type {
	case "string", "character":
		return reflect.TypeFor[string]()
	case "integer":
		return reflect.TypeFor[int]()
	case "long":
		return reflect.TypeFor[int64]()
	case "float", "double":
		return reflect.TypeFor[float64]()
	case "boolean":
		return reflect.TypeFor[bool]()
	case "timestamp":
		return reflect.TypeFor[time.Time]()
	case "blob":
		return reflect.TypeFor[[]byte]()
	case "list":
		return reflect.SliceOf(s.element(m.Member, depth))
	case "map":
		return reflect.MapOf(reflect.TypeFor[string](), s.element(m.Value, depth))
	case "structure":
		return s.structure(m, depth+1)
	}
	panic("no type " + m.Type)
}

func (s vectorTypes) element(r *vectorShape, depth int) reflect.Type {
	m := s.merged(r)
	t := s.typ(m, depth)
	if m.Type == "structure" {
		t = reflect.PointerTo(t)
	}
	return t
}

func (s vectorTypes) tag(name string, owner, m *vectorShape) reflect.StructTag {
	opts := []string{or(m.LocationName, name)}
	place := map[string]string{"uri": "label", "querystring": "query", "header": "header", "headers": "headers", "statusCode": "status"}
	if p := place[m.Location]; p != "" {
		opts = append(opts, p)
	}
	if owner.Payload == name {
		opts = append(opts, "payload")
	}
	if m.XMLAttribute {
		opts = append(opts, "attr")
	}
	if m.QueryName != "" {
		opts = append(opts, "ec2="+m.QueryName)
	}
	tag := "wire:" + strconv.Quote(strings.Join(append(opts, s.traits(m)...), ","))
	return reflect.StructTag(tag + s.inner("", m, 0))
}

func (s vectorTypes) traits(m *vectorShape) []string {
	var opts []string
	if m.Flattened {
		opts = append(opts, "flat")
	}
	if m.JSONValue {
		opts = append(opts, "json")
	}
	if m.TimestampFormat != "" {
		opts = append(opts, "ts="+m.TimestampFormat)
	}
	switch ns := m.XMLNamespace.(type) {
	case string:
		opts = append(opts, "ns="+ns)
	case map[string]any:
		opts = append(opts, fmt.Sprintf("ns=%v", ns["uri"]))
		if p, ok := ns["prefix"]; ok {
			opts = append(opts, fmt.Sprintf("prefix=%v", p))
		}
	}
	return opts
}

func (s vectorTypes) inner(path string, m *vectorShape, depth int) string {
	if depth > 4 {
		return ""
	}
	var b strings.Builder
	for suffix, r := range map[string]*vectorShape{".e": m.Member, ".k": m.Key, ".v": m.Value} {
		if r == nil {
			continue
		}
		e := s.merged(r)
		fmt.Fprintf(&b, " wire%s:%q", path+suffix, strings.Join(append([]string{r.LocationName}, s.traits(e)...), ","))
		b.WriteString(s.inner(path+suffix, e, depth+1))
	}
	return b.String()
}

// fill sets v to what a vector's params or result say.
func (s vectorTypes) fill(t *testing.T, v reflect.Value, m *vectorShape, value any) {
	t.Helper()
	if value == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch m.Type {
	case "structure":
		for name, value := range value.(map[string]any) {
			ref := m.Members[name]
			if ref == nil {
				t.Fatalf("no member %s", name)
			}
			s.fill(t, v.FieldByName(strings.ToUpper(name[:1])+name[1:]), s.merged(ref), value)
		}
	case "list":
		items := value.([]any)
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			s.fill(t, v.Index(i), s.merged(m.Member), item)
		}
	case "map":
		v.Set(reflect.MakeMap(v.Type()))
		for k, item := range value.(map[string]any) {
			e := reflect.New(v.Type().Elem()).Elem()
			s.fill(t, e, s.merged(m.Value), item)
			v.SetMapIndex(reflect.ValueOf(k), e)
		}
	default:
		s.scalar(t, v, m, value)
	}
}

func (s vectorTypes) scalar(t *testing.T, v reflect.Value, m *vectorShape, value any) {
	t.Helper()
	switch m.Type {
	case "timestamp":
		v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(value.(float64) * 1000))).UTC()))
	case "blob":
		if v.Kind() == reflect.Interface {
			v.Set(reflect.ValueOf(io.Reader(strings.NewReader(value.(string)))))
			return
		}
		v.SetBytes([]byte(value.(string)))
	case "integer", "long":
		v.SetInt(int64(value.(float64)))
	case "float", "double":
		if text, ok := value.(string); ok {
			f, err := parseFloat(text)
			if err != nil {
				t.Fatal(err)
			}
			v.SetFloat(f)
			return
		}
		v.SetFloat(value.(float64))
	case "boolean":
		v.SetBool(value.(bool))
	default:
		if m.JSONValue {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			v.SetString(string(text))
			return
		}
		v.SetString(value.(string))
	}
}
