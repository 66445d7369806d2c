package wire

import (
	"fmt"
	"io"
	"net/textproto"
	"reflect"
	"strings"
	"sync"
	"time"
)

// location is where in a message a member travels.
type location uint8

const (
	inBody location = iota
	inLabel
	inQuery
	inHeader
	inHeaders
	inStatus
	inPayload
	inEventPayload
	inEventHeader
)

// kind is what a value is to the codecs.
type kind uint8

const (
	kindString kind = iota
	kindInt
	kindFloat
	kindBool
	kindTime
	kindBlob
	kindList
	kindMap
	kindStruct
	kindAny
	kindReader
	kindEvents
)

// node is one value in a type: a member, an element, a key.
type node struct {
	kind   kind
	typ    reflect.Type // without the pointer that makes a member optional
	ptr    bool
	name   string // wire name; of elements, keys and values empty if they have none of their own
	at     string // how messages spell a member; empty for elements, keys and values
	ts     string // timestamp format, if not the place's own
	ns     string
	prefix string
	flat   bool
	json   bool // a string that holds JSON
	elem   *node
	key    *node
	st     *structPlan
	check  *check
}

// field is a node that is a member of a structure.
type field struct {
	*node
	index  int
	loc    location
	attr   bool
	token  bool
	ec2    string            // its name in EC2 query requests
	form   string            // its name in query requests and their answers, if not its own
	header string            // its canonical header key
	events map[string]string // Go type to event name, of an event stream
}

// structPlan is all that the codecs know about a structure.
type structPlan struct {
	typ     reflect.Type
	fields  []field
	body    map[string]*field // members that travel in the body, by wire name
	payload *field
	root    string
	ns      string
	prefix  string
	none    bool // the op has no output at all
	union   bool
}

// plans remembers what was learned about a type, as encoding/json does: it depends on nothing but the type.
var plans struct {
	sync.Map // reflect.Type -> *structPlan
	building sync.Mutex
}

// planOf is the plan of a structure type.
func planOf(t reflect.Type) *structPlan {
	if p, ok := plans.Load(t); ok {
		return p.(*structPlan)
	}
	plans.building.Lock()
	defer plans.building.Unlock()
	b := builder{}
	p := b.structure(t)
	for t, p := range b {
		plans.LoadOrStore(t, p)
	}
	return p
}

// builder holds the plans of one build, so that a type may hold itself; they are published when all are complete.
type builder map[reflect.Type]*structPlan

func (b builder) structure(t reflect.Type) *structPlan {
	if p, ok := b[t]; ok {
		return p
	}
	if p, ok := plans.Load(t); ok {
		return p.(*structPlan)
	}
	p := &structPlan{typ: t, body: map[string]*field{}}
	b[t] = p
	p.fields = make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			p.shape(f.Tag.Get("shape"))
			continue
		}
		if tag, ok := f.Tag.Lookup("wire"); ok {
			p.fields = append(p.fields, b.field(f, tag))
		}
	}
	for i := range p.fields {
		f := &p.fields[i]
		switch f.loc {
		case inBody:
			p.body[f.name] = f
		case inPayload, inEventPayload:
			p.payload = f
		}
	}
	return p
}

// shape reads the tag that speaks of the whole structure.
func (p *structPlan) shape(tag string) {
	for opt := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(opt, "=")
		switch key {
		case "none":
			p.none = true
		case "union":
			p.union = true
		case "root":
			p.root = value
		case "ns":
			p.ns = value
		case "prefix":
			p.prefix = value
		}
	}
}

func (b builder) field(sf reflect.StructField, tag string) field {
	f := field{index: sf.Index[0]}
	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	f.node = b.node(t, sf.Tag, "")
	f.ptr = sf.Type.Kind() == reflect.Pointer
	name, opts, _ := strings.Cut(tag, ",")
	f.node.at = lowerFirst(name)
	for opt := range strings.SplitSeq(opts, ",") {
		f.option(opt)
	}
	if f.loc == inHeader || f.loc == inHeaders {
		f.header = textproto.CanonicalMIMEHeaderKey(f.name)
	}
	if events := sf.Tag.Get("events"); events != "" {
		f.events = map[string]string{}
		for e := range strings.SplitSeq(events, ",") {
			name, typ, _ := strings.Cut(e, "=")
			f.events[typ] = name
		}
	}
	return f
}

// places are the options that say where a member travels.
var places = map[string]location{
	"label": inLabel, "query": inQuery, "header": inHeader, "headers": inHeaders, "status": inStatus,
	"payload": inPayload, "eventpayload": inEventPayload, "eventheader": inEventHeader,
}

func (f *field) option(opt string) {
	if place, ok := places[opt]; ok {
		f.loc = place
		return
	}
	key, value, _ := strings.Cut(opt, "=")
	switch key {
	case "at":
		f.node.at = value
	case "attr":
		f.attr = true
	case "token":
		f.token = true
	case "ec2":
		f.ec2 = value
	case "form":
		f.form = value
	}
}

// node learns a value's type; path is the suffix of its tags' keys.
func (b builder) node(t reflect.Type, tags reflect.StructTag, path string) *node {
	n := &node{typ: t, kind: kindOf(t)}
	name, opts, _ := strings.Cut(tags.Get("wire"+path), ",")
	n.name = name
	for opt := range strings.SplitSeq(opts, ",") {
		n.option(opt)
	}
	switch n.kind {
	case kindList:
		n.elem = b.inner(t.Elem(), tags, path+".e")
	case kindMap:
		n.key = b.node(t.Key(), tags, path+".k")
		n.elem = b.inner(t.Elem(), tags, path+".v")
	case kindStruct:
		n.st = b.structure(t)
	}
	n.check = parseCheck(tags.Get("check" + path))
	return n
}

func (b builder) inner(t reflect.Type, tags reflect.StructTag, path string) *node {
	ptr := t.Kind() == reflect.Pointer
	if ptr {
		t = t.Elem()
	}
	n := b.node(t, tags, path)
	n.ptr = ptr
	return n
}

func (n *node) option(opt string) {
	key, value, _ := strings.Cut(opt, "=")
	switch key {
	case "flat":
		n.flat = true
	case "json":
		n.json = true
	case "ts":
		n.ts = value
	case "ns":
		n.ns = value
	case "prefix":
		n.prefix = value
	}
}

func kindOf(t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return kindTime
	case t == reflect.TypeFor[[]byte]():
		return kindBlob
	case t == reflect.TypeFor[io.Reader]():
		return kindReader
	}
	switch t.Kind() {
	case reflect.String:
		return kindString
	case reflect.Int, reflect.Int64, reflect.Int32:
		return kindInt
	case reflect.Float64, reflect.Float32:
		return kindFloat
	case reflect.Bool:
		return kindBool
	case reflect.Slice:
		return kindList
	case reflect.Map:
		return kindMap
	case reflect.Struct:
		return kindStruct
	case reflect.Interface:
		return kindAny
	case reflect.Func:
		return kindEvents
	}
	panic(fmt.Sprintf("wire: no protocol carries a %v", t))
}

// slot is the place in v that a value of n goes to: what a pointer points to, made if it is nil.
func (n *node) slot(v reflect.Value) reflect.Value {
	if !n.ptr {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(n.typ))
	}
	return v.Elem()
}

// present is the value in v, or false if it is absent: a nil pointer, slice, map or interface.
func (n *node) present(v reflect.Value) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	case reflect.Slice, reflect.Map, reflect.Interface, reflect.Func:
		return v, !v.IsNil()
	}
	return v, true
}

func lowerFirst(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}
