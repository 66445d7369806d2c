package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/enfold-run/enfold/aws"
)

// maxViolations is how many violations a message names at most.
const maxViolations = 20

// maxShown is how many bytes of a value a message shows at most.
const maxShown = 4096

// Validate checks the model's constraints of an input, a pointer to a generated struct. The error is an
// aws.ErrValidation with AWS's wording: "1 validation error detected: Value 'x' at 'functionName' failed to satisfy
// constraint: …". Match.Decode has done it for what came off the wire.
func Validate(input any) error {
	v := reflect.ValueOf(input).Elem()
	if message := violations(planOf(v.Type()), v); message != "" {
		return aws.ErrValidation.New(message)
	}
	return nil
}

// violations is the message for all that is wrong with a structure, or "".
func violations(p *structPlan, v reflect.Value) string {
	c := checker{}
	c.structure(p, v, "")
	switch len(c.found) {
	case 0:
		return ""
	case 1:
		return "1 validation error detected: " + c.found[0]
	}
	return fmt.Sprintf("%d validation errors detected: %s", len(c.found), strings.Join(c.found, "; "))
}

// checker collects violations.
type checker struct {
	found []string
}

func (c *checker) add(shown, path, constraint string) {
	if len(c.found) < maxViolations {
		c.found = append(c.found, "Value "+shown+"at '"+path+"' failed to satisfy constraint: "+constraint)
	}
}

func (c *checker) structure(p *structPlan, v reflect.Value, path string) {
	for i := range p.fields {
		f := &p.fields[i]
		fv, ok := f.present(v.Field(f.index))
		if !ok {
			if f.check != nil && f.check.required {
				c.add("null ", path+f.at, "Member must not be null")
			}
			continue
		}
		c.value(f.node, fv, path, f.at)
	}
}

// value checks a present value. prefix and name make its path: the name is not joined before there is something to say.
func (c *checker) value(n *node, v reflect.Value, prefix, name string) {
	switch n.kind {
	case kindStruct:
		if hasChecks(n.st) {
			c.structure(n.st, v, prefix+name+".")
		}
		return
	case kindList:
		c.list(n, v, prefix+name)
		return
	case kindMap:
		c.mapping(n, v, prefix+name)
		return
	case kindAny, kindReader, kindEvents:
		return
	}
	if n.check == nil || !n.check.any {
		return
	}
	n.check.each(n.kind, v, func(constraint string) {
		c.add(n.shown(v), prefix+name, constraint)
	})
}

// hasChecks spares the walk through structures that nothing is asked of. A structure may hold itself, so only its
// emptiness is told here.
func hasChecks(p *structPlan) bool { return len(p.fields) > 0 }

// each calls report for every constraint that v does not satisfy, in AWS's order.
func (c *check) each(k kind, v reflect.Value, report func(string)) {
	if k == kindString {
		s := v.String()
		if c.enum != nil && !slices.Contains(c.enum, s) {
			report(c.notInEnum())
		}
		if c.pattern != nil && !c.pattern.matches(s) {
			report(c.noMatch())
		}
	}
	if c.min == nil && c.max == nil {
		return
	}
	size := measure(k, v)
	if c.max != nil && size > c.max.value {
		report(c.tooMuch(k))
	}
	if c.min != nil && size < c.min.value {
		report(c.tooLittle(k))
	}
}

// measure is what min and max speak of: a number's value, a string's characters as Java counts them, a size.
func measure(k kind, v reflect.Value) float64 {
	switch k {
	case kindInt:
		return float64(v.Int())
	case kindFloat:
		return v.Float()
	case kindString:
		return float64(javaLength(v.String()))
	case kindBlob, kindList, kindMap:
		return float64(v.Len())
	}
	return 0
}

func javaLength(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

func (c *checker) list(n *node, v reflect.Value, path string) {
	if n.check != nil && n.check.any {
		n.check.each(kindList, v, func(constraint string) { c.add(n.shown(v), path, constraint) })
	}
	if isScalarKind(n.elem.kind) || n.elem.kind == kindBlob {
		if bad(n.elem, v.Len(), v.Index) {
			c.add(n.shown(v), path, n.elementConstraint())
		}
		return
	}
	for i := range v.Len() {
		if e, ok := n.elem.present(v.Index(i)); ok {
			c.value(n.elem, e, path+"."+itoa(i+1)+".", "member")
		}
	}
}

// bad reports whether any of n values breaks its constraints.
func bad(n *node, count int, at func(int) reflect.Value) bool {
	if n.check == nil || !n.check.any {
		return false
	}
	found := false
	for i := range count {
		n.check.each(n.kind, at(i), func(string) { found = true })
		if found {
			return true
		}
	}
	return false
}

// elementConstraint is what a list's elements must satisfy.
func (n *node) elementConstraint() string {
	if n.check != nil && n.check.bare && n.elem.check.enum != nil {
		return n.elem.check.notInEnum()
	}
	return constraintList("Member", n.elem)
}

func constraintList(what string, n *node) string {
	return what + " must satisfy constraint: [" + strings.Join(n.check.constraints(n.kind), ", ") + "]"
}

func (c *checker) mapping(n *node, v reflect.Value, path string) {
	if n.check != nil && n.check.any {
		n.check.each(kindMap, v, func(constraint string) { c.add(n.shown(v), path, constraint) })
	}
	keys := sortedKeys(v)
	if bad(n.key, len(keys), func(i int) reflect.Value { return keys[i] }) {
		c.add(n.shown(v), path, constraintList("Map keys", n.key))
	}
	if isScalarKind(n.elem.kind) || n.elem.kind == kindBlob {
		if bad(n.elem, len(keys), func(i int) reflect.Value { return v.MapIndex(keys[i]) }) {
			c.add(n.shown(v), path, constraintList("Map value", n.elem))
		}
		return
	}
	for _, k := range keys {
		if e, ok := n.elem.present(v.MapIndex(k)); ok {
			c.value(n.elem, e, path+"."+k.String()+".", "member")
		}
	}
}

// shown is how a message shows a value, with a space after it; secrets and blobs are left out, as AWS does.
func (n *node) shown(v reflect.Value) string {
	if n.hides() {
		return ""
	}
	s := n.java(v)
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "")
	}
	return "'" + s + "' "
}

// hides reports whether any part of the value is a secret, or too deep to tell.
func (n *node) hides() bool { return n.hidesWithin(8) }

func (n *node) hidesWithin(depth int) bool {
	switch {
	case n == nil:
		return false
	case depth == 0, n.kind == kindBlob, n.check != nil && n.check.secret:
		return true
	case n.kind == kindStruct:
		return slices.ContainsFunc(n.st.fields, func(f field) bool { return f.hidesWithin(depth - 1) })
	}
	return n.elem.hidesWithin(depth-1) || n.key.hidesWithin(depth-1)
}

// java prints a value as Java's toString does: [a, b], {k=v}, Shape(member=value).
func (n *node) java(v reflect.Value) string {
	switch n.kind {
	case kindList:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = n.elem.javaItem(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case kindMap:
		var parts []string
		for _, k := range sortedKeys(v) {
			parts = append(parts, k.String()+"="+n.elem.javaItem(v.MapIndex(k)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case kindStruct:
		var parts []string
		for i := range n.st.fields {
			f := &n.st.fields[i]
			parts = append(parts, f.at+"="+f.javaItem(v.Field(f.index)))
		}
		return n.typ.Name() + "(" + strings.Join(parts, ", ") + ")"
	case kindFloat:
		return javaFloat(v.Float())
	case kindTime:
		return v.Interface().(time.Time).Format(time.RFC3339)
	}
	return n.text(v, tsISO8601)
}

func (n *node) javaItem(v reflect.Value) string {
	if e, ok := n.present(v); ok {
		return n.java(e)
	}
	return "null"
}

// javaFloat has a fraction always: 2.0.
func javaFloat(f float64) string {
	s := formatFloat(f)
	if strings.Trim(s, "-0123456789") == "" {
		s += ".0"
	}
	return s
}
