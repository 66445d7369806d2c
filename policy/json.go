package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds of what Parse reads. AWS's own are narrower and depend on where the policy goes, so the services check those.
const (
	maxText       = 1 << 20 // bytes
	maxDepth      = 8       // a condition's values are 6 deep
	maxNodes      = 100_000
	maxStatements = 1_000
)

// node is a JSON value: nil, bool, json.Number, string, []node or *object.
type node any

// object is a JSON object in the order of its text.
type object struct {
	names  []string
	values map[string]node
}

// get is a member; nil for an absent one too.
func (o *object) get(name string) (node, bool) {
	v, ok := o.values[name]
	return v, ok
}

var (
	errNotUTF8 = errors.New("not UTF-8")
	errTrailer = errors.New("text after the end")
	errTooDeep = errors.New("nested too deeply")
	errTooMany = errors.New("too many values")
	errTooLong = fmt.Errorf("longer than %d bytes", maxText)
)

// reader reads JSON and refuses what encoding/json lets through: names that come twice, deep nesting, a second value.
type reader struct {
	dec   *json.Decoder
	nodes int
}

func readJSON(text []byte) (node, error) {
	if len(text) > maxText {
		return nil, errTooLong
	}
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	r := &reader{dec: json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailer
	}
	return n, nil
}

func (r *reader) value(depth int) (node, error) {
	if r.nodes++; r.nodes > maxNodes {
		return nil, errTooMany
	}
	t, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxDepth {
		return nil, errTooDeep
	}
	if d == '{' {
		return r.object(depth)
	}
	return r.array(depth)
}

func (r *reader) object(depth int) (node, error) {
	o := &object{values: map[string]node{}}
	for r.dec.More() {
		t, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", t)
		}
		if _, twice := o.values[name]; twice {
			return nil, fmt.Errorf("%q comes twice", name)
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.names = append(o.names, name)
		o.values[name] = v
	}
	_, err := r.dec.Token()
	return o, err
}

func (r *reader) array(depth int) (node, error) {
	list := []node{}
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.dec.Token()
	return list, err
}

// texts is a string or a list of strings; ok is false for anything else.
func texts(n node) (list []string, ok bool) {
	switch v := n.(type) {
	case string:
		return []string{v}, true
	case []node:
		list = make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	return nil, false
}

// scalars is like texts, and takes numbers and booleans as their text.
func scalars(n node) (list []string, ok bool) {
	items, isList := n.([]node)
	if !isList {
		items = []node{n}
	}
	list = make([]string, 0, len(items))
	for _, item := range items {
		switch v := item.(type) {
		case string:
			list = append(list, v)
		case json.Number:
			list = append(list, v.String())
		case bool:
			list = append(list, fmt.Sprint(v))
		default:
			return nil, false
		}
	}
	return list, true
}
