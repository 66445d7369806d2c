package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Pattern is a compiled pattern. It does not change and is safe for concurrent use.
type Pattern struct {
	root  *object
	stats Stats
}

// Stats is how complex a pattern is, for the limits that services have.
type Stats struct {
	Keys         int // different paths to leaves
	Combinations int // of a value for each key, with what is alternative added up; at most MaxCombinations
	Nested       bool
	// Weighted is Combinations where each value counts as often as its key is deep.
	Weighted int
}

// Bounds of every pattern.
const (
	MaxText         = 256 << 10 // bytes
	MaxDepth        = 64        // of objects in objects
	MaxCombinations = 1 << 30   // as far as Stats counts
)

// object is what an object of the document must satisfy: all fields, and of each group of alternatives one.
type object struct {
	fields []field
	groups [][]*object
}

// field is what a member must satisfy.
type field struct {
	name   string
	object *object // one of the two
	leaf   *leaf
	whole  bool // what has no object does not satisfy object, whatever that says of members that are not there
}

// Compile compiles a pattern for JSON documents. A dot in a name stands for an object: "a.b" is b in a, on both sides. The error is
// a *SyntaxError in AWS's words.
func Compile(text []byte) (*Pattern, error) { return compile(text, compiler{}) }

// CompileRecord compiles a pattern for records that carry what somebody else wrote: it is [Compile], but a member of the record that the
// pattern has an object for must be an object, or a list with one. A text is not an object that lacks all members.
func CompileRecord(text []byte) (*Pattern, error) { return compile(text, compiler{record: true}) }

// CompileAttributes compiles a pattern for the attributes of a message. Dots in names stand for themselves, and null for an
// attribute that is not there. The error is a *SyntaxError in AWS's words.
func CompileAttributes(text []byte) (*Pattern, error) { return compile(text, compiler{flat: true}) }

// compile compiles with a compiler that knows what the pattern is for.
func compile(text []byte, with compiler) (*Pattern, error) {
	if len(text) > MaxText {
		return nil, bare("Filter policy is longer than %d bytes", MaxText)
	}
	if err := CheckJSON(text); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, errors.New("filter: " + err.Error())
	}
	c := &with
	c.scanner, c.paths = scanner{text: b.String()}, map[string]bool{}
	if c.next() != tokenObject {
		return nil, c.wrong("Filter is not an object")
	}
	root, n, err := c.object(nil, 1)
	if err != nil {
		return nil, err
	}
	return &Pattern{root: root, stats: Stats{
		Keys: len(c.paths), Combinations: n.plain, Weighted: n.weighted, Nested: c.nested,
	}}, nil
}

// Stats is how complex the pattern is.
func (p *Pattern) Stats() Stats { return p.stats }

// compiler reads a pattern. It stands on the token that opened what it reads.
type compiler struct {
	scanner
	paths  map[string]bool
	nested bool
	flat   bool // for attributes
	record bool // for records
	open   int  // objects, those of $or included
}

// count is a number of combinations.
type count struct{ plain, weighted int }

func (c count) times(o count) count { return count{mul(c.plain, o.plain), mul(c.weighted, o.weighted)} }

func mul(a, b int) int {
	if a != 0 && b > MaxCombinations/a {
		return MaxCombinations
	}
	return a * b
}

// object reads the members of an object.
func (c *compiler) object(path []string, depth int) (*object, count, *SyntaxError) {
	o, n := &object{}, count{1, 1}
	if c.open++; c.open > MaxDepth {
		return nil, n, c.wrong("Filter is nested too deeply")
	}
	defer func() { c.open-- }()
	for c.next() != '}' {
		name := c.value()
		at := append(path[:len(path):len(path)], name)
		if name == "$or" {
			groups, sum, is, err := c.alternatives(path, depth)
			if err != nil {
				return nil, n, err
			}
			if is {
				o.groups, n = append(o.groups, groups), n.times(sum)
				continue
			}
		}
		f := field{name: name}
		var more count
		var err *SyntaxError
		switch c.next() {
		case tokenObject:
			c.nested = true
			f.object, more, err = c.object(at, depth+1)
		case tokenArray:
			f.leaf, err = c.leaf()
			c.paths[strings.Join(at, "\x00")] = true
			if err == nil {
				more = count{f.leaf.size, mul(f.leaf.size, depth)}
				f.leaf.absent = f.leaf.absent || c.flat && f.leaf.words["null"]
			}
		default:
			err = c.wrong("%q must be an object or an array", name)
		}
		if err != nil {
			return nil, n, err
		}
		if !c.flat {
			f = f.undotted()
		}
		f.whole = c.record && len(path) == 0
		o.fields, n = append(o.fields, f), n.times(more)
	}
	if len(o.fields)+len(o.groups) == 0 && c.open > 1 {
		return nil, n, c.wrong("Empty objects are not allowed")
	}
	return o, n, nil
}

// undotted is a field whose name stands for a path.
func (f field) undotted() field {
	for {
		i := strings.LastIndexByte(f.name, '.')
		if i < 0 {
			return f
		}
		inner := f
		inner.name = f.name[i+1:]
		f = field{name: f.name[:i], object: &object{fields: []field{inner}}}
	}
}

// operators are the names that make an alternative of $or none.
var operators = map[string]bool{
	"exists": true, "equals-ignore-case": true, "prefix": true, "suffix": true, "anything-but": true, "numeric": true, "cidr": true, "wildcard": true,
}

// alternatives reads the value of $or, if it is a list of at least two objects that are no operators; otherwise $or is the name of
// a member like another, and nothing was read.
func (c *compiler) alternatives(path []string, depth int) (all []*object, sum count, is bool, err *SyntaxError) {
	before, paths, nested := c.scanner, len(c.paths), c.nested
	if c.next() != tokenArray {
		c.scanner = before
		return nil, sum, false, nil
	}
	for c.next() != ']' {
		if c.kind != tokenObject {
			break
		}
		peek := c.scanner
		if peek.next() == tokenName && operators[peek.value()] {
			break
		}
		o, n, e := c.object(path, depth)
		if e != nil {
			return nil, sum, false, e
		}
		all = append(all, o)
		sum.plain, sum.weighted = min(sum.plain+n.plain, MaxCombinations), min(sum.weighted+n.weighted, MaxCombinations)
	}
	if c.kind != ']' || len(all) < 2 {
		if paths == len(c.paths) && len(all) == 0 {
			c.scanner, c.nested = before, nested
			return nil, sum, false, nil
		}
		return nil, sum, false, c.wrong("\"$or\" must be an array of at least two objects")
	}
	return all, sum, true, nil
}

// Match says whether a document satisfies the pattern. What is no JSON satisfies none.
func (p *Pattern) Match(document []byte) bool {
	d, err := Parse(document)
	return err == nil && p.MatchDocument(d)
}

// Document is a parsed document, for matching it against many patterns. It does not change.
type Document struct{ root any }

// Parse reads a document.
func Parse(text []byte) (*Document, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, errors.New("filter: the document is no JSON")
	}
	if dec.More() {
		return nil, errors.New("filter: the document is more than one")
	}
	return &Document{undot(v)}, nil
}

// undot makes names that stand for a path objects in objects. What is in the way of that stays as it is.
func undot(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = undot(v[i])
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member := undot(v[name])
			v[name] = member
			if first, rest, dotted := strings.Cut(name, "."); dotted {
				delete(v, name)
				place(v, first, rest, member)
			}
		}
	}
	return v
}

// place puts a value at a path.
func place(m map[string]any, name, rest string, v any) {
	for {
		inner, ok := m[name].(map[string]any)
		if _, taken := m[name]; taken && !ok {
			return
		}
		if !ok {
			inner = map[string]any{}
			m[name] = inner
		}
		m = inner
		next, more, dotted := strings.Cut(rest, ".")
		if !dotted {
			if _, taken := m[rest]; !taken {
				m[rest] = v
			}
			return
		}
		name, rest = next, more
	}
}

// NewDocument is a document of these members. Values are nil, bool, string, json.Number, []any and map[string]any.
func NewDocument(members map[string]any) *Document { return &Document{members} }

// MatchDocument says whether a document satisfies the pattern.
func (p *Pattern) MatchDocument(d *Document) bool { return p.root.match(d.root) }

// match is about a value in the place of the object: of an array one element must satisfy it all.
func (o *object) match(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return o.matchMembers(v)
	case []any:
		for _, e := range v {
			switch e.(type) {
			case map[string]any, []any:
				if o.match(e) {
					return true
				}
			}
		}
		return !hasObject(v) && o.matchMembers(nil)
	}
	return o.matchMembers(nil)
}

// hasObject says that there is something to match in an array.
func hasObject(list []any) bool {
	for _, e := range list {
		switch e.(type) {
		case map[string]any, []any:
			return true
		}
	}
	return false
}

func (o *object) matchMembers(m map[string]any) bool {
	for i := range o.fields {
		if !o.fields[i].match(m) {
			return false
		}
	}
	for _, group := range o.groups {
		if !anyOf(group, m) {
			return false
		}
	}
	return true
}

func anyOf(group []*object, m map[string]any) bool {
	for _, o := range group {
		if o.matchMembers(m) {
			return true
		}
	}
	return false
}

func (f *field) match(m map[string]any) bool {
	v, ok := m[f.name]
	if f.leaf != nil {
		return f.leaf.match(v, ok)
	}
	if f.whole && !holdsObject(v) {
		return false
	}
	return f.object.match(v)
}

// holdsObject says that v is an object, or a list with one in it: patterns look into lists.
func holdsObject(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		return slices.ContainsFunc(v, holdsObject)
	}
	return false
}
