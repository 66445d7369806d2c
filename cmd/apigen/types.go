package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// types writes the structures, the inputs and outputs, and the enum constants.
func (g *generator) types(b *bytes.Buffer) error {
	shapes := make([]string, 0, len(g.names))
	for s := range g.names {
		shapes = append(shapes, s)
	}
	slices.SortFunc(shapes, func(a, c string) int { return strings.Compare(g.names[a], g.names[c]) })
	for _, name := range shapes {
		if err := g.structure(b, name); err != nil {
			return err
		}
	}
	for _, op := range g.served {
		g.alias(b, op.Input, op.Name+"Input")
		g.alias(b, op.Output, op.Name+"Output")
	}
	return g.enums(b)
}

// alias gives an op's input or output its name where the structure has another one, or there is none.
func (g *generator) alias(b *bytes.Buffer, r *ref, name string) {
	switch {
	case r == nil:
		fmt.Fprintf(b, "// %s is empty.\ntype %s struct {\n_ struct{} `shape:\"none\"`\n}\n\n", name, name)
	case g.names[r.Shape] != name:
		fmt.Fprintf(b, "// %s is the shared shape %s.\ntype %s = %s\n\n", name, g.names[r.Shape], name, g.names[r.Shape])
	}
}

func (g *generator) structure(b *bytes.Buffer, name string) error {
	s := g.model.Shapes.get(name)
	if s.Type != "structure" {
		return nil
	}
	fmt.Fprintf(b, "// %s is %s.\ntype %s struct {\n", g.names[name], g.comment(name), g.names[name])
	if t := g.shapeTag(name, s); t != "" {
		fmt.Fprintf(b, "_ struct{} %s\n", quoteTag(t))
	}
	seen := map[string]string{}
	for _, m := range s.Members.keys {
		f := goName(m)
		if other, twice := seen[f]; twice {
			return fmt.Errorf("%s: members %s and %s have the same Go name", name, other, m)
		}
		seen[f] = m
		typ, err := g.memberType(s, m)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, m, err)
		}
		tag, err := g.memberTag(s, m)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, m, err)
		}
		fmt.Fprintf(b, "%s %s %s\n", f, typ, quoteTag(tag))
	}
	b.WriteString("}\n\n")
	return nil
}

func (g *generator) comment(shape string) string {
	for _, op := range g.served {
		if g.inputs[shape] == op.Name+"Input" {
			return "the input of " + op.Name
		}
		if g.inputs[shape] == op.Name+"Output" {
			return "the answer of " + op.Name
		}
	}
	return "the shape " + shape + " of the model"
}

// memberType is the Go type of a member: pointers to scalars and structures, slices, maps, streams.
func (g *generator) memberType(owner *shape, member string) (string, error) {
	r := owner.Members.get(member)
	s := g.model.Shapes.get(r.Shape)
	switch {
	case s == nil:
		return "", fmt.Errorf("no shape %s", r.Shape)
	case s.EventStream:
		return "iter.Seq2[any, error]", nil
	case s.Type == "blob" && owner.Payload == member && (s.Streaming || r.Streaming):
		return "io.Reader", nil
	}
	t, err := g.valueType(r.Shape)
	if err != nil {
		return "", err
	}
	if isScalar(s.Type) {
		t = "*" + t
	}
	return t, nil
}

func isScalar(typ string) bool {
	switch typ {
	case "string", "character", "integer", "short", "byte", "long", "bigInteger", "float", "double", "bigDecimal", "boolean", "timestamp":
		return true
	}
	return false
}

// valueType is the Go type of a list's element or a map's value.
func (g *generator) valueType(name string) (string, error) {
	s := g.model.Shapes.get(name)
	if s == nil {
		return "", fmt.Errorf("no shape %s", name)
	}
	switch s.Type {
	case "string", "character":
		return "string", nil
	case "integer", "short", "byte":
		return "int", nil
	case "long", "bigInteger":
		return "int64", nil
	case "float", "double", "bigDecimal":
		return "float64", nil
	case "boolean":
		return "bool", nil
	case "timestamp":
		return "time.Time", nil
	case "blob":
		return "[]byte", nil
	case "list":
		e, err := g.valueType(s.Member.Shape)
		return "[]" + e, err
	case "map":
		v, err := g.valueType(s.Value.Shape)
		return "map[string]" + v, err
	case "structure":
		if s.Document {
			return "any", nil
		}
		return "*" + g.names[name], nil
	}
	return "", fmt.Errorf("%s: unknown type %q", name, s.Type)
}

// shapeTag is what wire must know about a structure as a whole.
func (g *generator) shapeTag(name string, s *shape) string {
	var opts []string
	for _, op := range g.served {
		if in := op.Input; in != nil && in.Shape == name && in.LocationName != "" {
			opts = append(opts, "root="+in.LocationName)
			if in.XMLNamespace != nil {
				opts = append(opts, "ns="+in.XMLNamespace.URI)
			}
		}
	}
	if s.LocationName != "" {
		opts = append(opts, "root="+s.LocationName)
	}
	if s.XMLNamespace != nil {
		opts = append(opts, "ns="+s.XMLNamespace.URI)
		if s.XMLNamespace.Prefix != "" {
			opts = append(opts, "prefix="+s.XMLNamespace.Prefix)
		}
	}
	if s.Union {
		opts = append(opts, "union")
	}
	if len(opts) == 0 {
		return ""
	}
	return "shape:" + strconv.Quote(strings.Join(slices.Compact(opts), ","))
}

// enums writes the values of every reachable enum as untyped constants.
func (g *generator) enums(b *bytes.Buffer) error {
	found := map[string]bool{}
	for shape := range g.names {
		g.collectEnums(shape, found, map[string]bool{})
	}
	names := make([]string, 0, len(found))
	for n := range found {
		names = append(names, n)
	}
	slices.Sort(names)
	taken := map[string]string{}
	for _, n := range names {
		base, _, _ := strings.Cut(n, ".")
		fmt.Fprintf(b, "// Values of %s.\nconst (\n", base)
		for _, v := range g.model.Shapes.get(n).Enum {
			c := upperFirst(base) + valueName(v)
			if old, twice := taken[c]; twice {
				if old == v {
					continue
				}
				return fmt.Errorf("enum %s: %q and %q have the same Go name", n, old, v)
			}
			taken[c] = v
			fmt.Fprintf(b, "%s = %q\n", c, v)
		}
		b.WriteString(")\n\n")
	}
	return nil
}

func (g *generator) collectEnums(name string, found, seen map[string]bool) {
	s := g.model.Shapes.get(name)
	if s == nil || seen[name] {
		return
	}
	seen[name] = true
	if len(s.Enum) > 0 && !strings.Contains(name, ".") {
		found[name] = true
	}
	for _, r := range []*ref{s.Member, s.Key, s.Value} {
		if r != nil {
			g.collectEnums(r.Shape, found, seen)
		}
	}
	for _, m := range s.Members.keys {
		g.collectEnums(s.Members.get(m).Shape, found, seen)
	}
}
