package server

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/wire"
)

// sampler makes inputs that satisfy their constraints, with every member that it has a value for.
type sampler struct {
	t *testing.T
	// fixed are values for members, by their Go name or by "service:name": names of what exists. nil leaves a member out.
	fixed   map[string]any
	service string // whose input is made
}

// fix is the fixed value of a member.
func (s *sampler) fix(name string) (value any, ok bool) {
	if value, ok = s.fixed[s.service+":"+name]; !ok {
		value, ok = s.fixed[name]
	}
	return value, ok
}

// input fills a pointer to an input struct of the service's.
func (s *sampler) input(service, op string, in any) any {
	s.service = service
	s.structure(reflect.ValueOf(in).Elem(), 0)
	if err := wire.Validate(in); err != nil {
		s.t.Fatalf("%s:%s: the sample input breaks its constraints: %v", service, op, err)
	}
	return in
}

const maxSampleDepth = 4 // of structures in structures

func (s *sampler) structure(v reflect.Value, depth int) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || depth > maxSampleDepth && !strings.Contains(f.Tag.Get("check"), "required") {
			continue
		}
		s.member(v.Field(i), f, depth)
	}
}

func (s *sampler) member(v reflect.Value, f reflect.StructField, depth int) {
	tag := f.Tag.Get("check")
	fixed, isFixed := s.fix(f.Name)
	switch {
	case isFixed && fixed == nil:
	case isFixed && reflect.TypeOf(fixed).AssignableTo(f.Type):
		v.Set(reflect.ValueOf(fixed))
	case f.Type == reflect.TypeFor[io.Reader]():
		v.Set(reflect.ValueOf(strings.NewReader("sample")))
	case f.Type == reflect.TypeFor[[]byte]():
		v.SetBytes([]byte(strings.Repeat("x", max(1, int(bound(tag, "min", 1))))))
	case f.Type == reflect.TypeFor[*time.Time]():
		v.Set(reflect.ValueOf(new(time.Unix(1_700_000_000, 0))))
	case f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct:
		v.Set(reflect.New(f.Type.Elem()))
		s.structure(v.Elem(), depth+1)
	case f.Type.Kind() == reflect.Pointer:
		v.Set(s.scalar(f.Name, f.Type, tag))
	case f.Type.Kind() == reflect.Slice:
		s.list(v, f, depth)
	case f.Type.Kind() == reflect.Map:
		s.mapping(v, f, depth)
	}
}

func (s *sampler) list(v reflect.Value, f reflect.StructField, depth int) {
	for range max(1, int(bound(f.Tag.Get("check"), "min", 1))) {
		e := reflect.New(f.Type.Elem()).Elem()
		s.element(e, f, f.Tag.Get("check.e"), depth)
		v.Set(reflect.Append(v, e))
	}
}

func (s *sampler) mapping(v reflect.Value, f reflect.StructField, depth int) {
	v.Set(reflect.MakeMap(f.Type))
	for n := range max(1, int(bound(f.Tag.Get("check"), "min", 1))) {
		key, value := reflect.New(f.Type.Key()).Elem(), reflect.New(f.Type.Elem()).Elem()
		s.element(key, f, f.Tag.Get("check.k"), depth)
		if n > 0 && key.Kind() == reflect.String {
			key.SetString(fmt.Sprint(key.String(), n))
		}
		s.element(value, f, f.Tag.Get("check.v"), depth)
		v.SetMapIndex(key, value)
	}
}

// element is a list's element, a map's key or value.
func (s *sampler) element(v reflect.Value, f reflect.StructField, tag string, depth int) {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		v.Set(reflect.New(t.Elem()))
		s.structure(v.Elem(), depth+1)
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		s.member(v, reflect.StructField{Name: f.Name, Type: t}, depth+1)
	default:
		if p := s.scalar(f.Name, reflect.PointerTo(t), tag); !p.IsNil() {
			v.Set(p.Elem())
		}
	}
}

// scalar is a pointer of type t to a value that satisfies tag, nil if none of those that it knows does.
func (s *sampler) scalar(name string, t reflect.Type, tag string) reflect.Value {
	v := reflect.New(t.Elem())
	switch t.Elem().Kind() {
	case reflect.Bool:
		return v // false: true asks for what the sample is not, such as a dry run
	case reflect.Int, reflect.Int64:
		v.Elem().SetInt(int64(bound(tag, "min", 1)))
		return v
	case reflect.Float64:
		v.Elem().SetFloat(bound(tag, "min", 1))
		return v
	case reflect.String:
		for _, text := range s.texts(name, tag) {
			v.Elem().SetString(text)
			if satisfies(v, tag) {
				return v
			}
		}
	}
	return reflect.Zero(t)
}

// texts are what a string may be, the likeliest first.
func (s *sampler) texts(name, tag string) []string {
	var all []string
	if fixed, ok := s.fix(name); ok {
		if text, ok := fixed.(string); ok {
			all = append(all, text)
		}
	}
	if _, enum, ok := strings.Cut(tag, "enum="); ok {
		first, _, _ := strings.Cut(enum, ",")
		all = append(all, strings.Split(first, "|")...)
	}
	arn := func(service, resource string) string { return "arn:aws:" + service + ":" + resource }
	arns := []string{
		arn("iam", ":000000000000:role/sample"), arn("iam", ":000000000000:policy/sample"),
		arn("lambda", "us-east-1:000000000000:function:sample"), arn("lambda", "us-east-1:000000000000:layer:sample:1"),
		arn("lambda", "us-east-1:000000000000:layer:sample"), arn("lambda", "us-east-1::runtime:"+strings.Repeat("a", 64)),
		arn("lambda", "us-east-1:000000000000:code-signing-config:csc-"+strings.Repeat("a", 17)),
		arn("lambda", "us-east-1:000000000000:event-source-mapping:11111111-1111-1111-1111-111111111111"),
		arn("lambda", "us-east-1:000000000000:capacity-provider:sample"),
		arn("elasticfilesystem", "us-east-1:000000000000:access-point/fsap-"+strings.Repeat("a", 17)),
		arn("lambda", "us-east-1:000000000000:function:sample:1/durable-execution/sample/sample"),
	}
	plain := []string{
		"sample", "1", "v1", "123456", "/", "/sample/", "000000000000", "subnet-1", "sg-1", "lambda:GetLayerVersion", "lambda:GetFunction", "/mnt/sample",
		"us-east-1", "https://example.com", "SampleException", "elasticmapreduce.amazonaws.com", strings.Repeat("a", 16), strings.Repeat("a", 32),
		strings.Repeat("a", 40), strings.Repeat("a", 64), strings.Repeat("A", 20), "o-" + strings.Repeat("a", 10), "2020-01-01T00:00:00Z",
		"cluster-" + strings.Repeat("a", 11), strings.Repeat("a", 128), strings.Repeat("a", int(bound(tag, "min", 0))),
	}
	if strings.HasSuffix(name, "Arn") || strings.HasSuffix(name, "ARN") || strings.HasSuffix(name, "Arns") {
		return append(append(all, arns...), plain...)
	}
	return append(append(all, plain...), arns...)
}

// bound is min or max in a check tag.
func bound(tag, name string, otherwise float64) float64 {
	head, _, _ := strings.Cut(tag, "pattern=")
	for option := range strings.SplitSeq(head, ",") {
		var f float64
		if text, ok := strings.CutPrefix(option, name+"="); ok {
			if _, err := fmt.Sscan(text, &f); err == nil {
				return f
			}
		}
	}
	return otherwise
}

// satisfies asks wire about one value.
func satisfies(v reflect.Value, tag string) bool {
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Member", Type: v.Type(), Tag: reflect.StructTag(fmt.Sprintf("wire:%q check:%q", "Member", tag)),
	}}))
	one.Elem().Field(0).Set(v)
	return wire.Validate(one.Interface()) == nil
}
