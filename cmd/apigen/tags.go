package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// memberTag is the struct tag of a member. wire says where and how the member travels, check what it must satisfy; for
// a list's elements and a map's keys and values the same keys have the suffixes .e, .k and .v.
func (g *generator) memberTag(owner *shape, member string) (string, error) {
	r := owner.Members.get(member)
	s := g.model.Shapes.get(r.Shape)
	var parts []string
	parts = append(parts, "wire:"+strconv.Quote(strings.Join(g.wireOptions(owner, member, r, s), ",")))
	if s.EventStream {
		var events []string
		for _, e := range s.Members.keys {
			events = append(events, e+"="+g.names[s.Members.get(e).Shape])
		}
		return strings.Join(append(parts, "events:"+strconv.Quote(strings.Join(events, ","))), " "), nil
	}
	check := constraints(s)
	if slices.Contains(owner.Required, member) {
		check = append([]string{"required"}, check...)
	}
	parts = appendTag(parts, "check", check)
	parts, err := g.innerTags(parts, "", s, 0)
	return strings.Join(parts, " "), err
}

// innerTags adds the tags of a list's elements and a map's keys and values, as deep as lists and maps nest.
func (g *generator) innerTags(parts []string, path string, s *shape, depth int) ([]string, error) {
	if depth > 8 {
		return nil, fmt.Errorf("lists nest too deep")
	}
	inner := []struct {
		suffix string
		ref    *ref
	}{{".e", s.Member}, {".k", s.Key}, {".v", s.Value}}
	var err error
	for _, i := range inner {
		if i.ref == nil {
			continue
		}
		e := g.model.Shapes.get(i.ref.Shape)
		p := path + i.suffix
		if opts := elementOptions(i.ref, e); len(opts) > 1 || opts[0] != "" {
			parts = append(parts, "wire"+p+":"+strconv.Quote(strings.Join(opts, ",")))
		}
		parts = appendTag(parts, "check"+p, constraints(e))
		if parts, err = g.innerTags(parts, p, e, depth+1); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func appendTag(parts []string, key string, opts []string) []string {
	if len(opts) == 0 {
		return parts
	}
	return append(parts, key+":"+strconv.Quote(strings.Join(opts, ",")))
}

// wireOptions are the wire name and the options of a member.
func (g *generator) wireOptions(owner *shape, member string, r *ref, s *shape) []string {
	name := r.LocationName
	if name == "" {
		name = member
	}
	opts := []string{name}
	if lowerFirst(name) != lowerFirst(member) {
		opts = append(opts, "at="+lowerFirst(member))
	}
	switch r.Location {
	case "uri":
		opts = append(opts, "label")
	case "querystring":
		opts = append(opts, "query")
	case "header":
		opts = append(opts, "header")
	case "headers":
		opts = append(opts, "headers")
	case "statusCode":
		opts = append(opts, "status")
	}
	opts = append(opts, shapeOptions(s)...)
	if owner.Payload == member {
		opts = append(opts, "payload")
	}
	if s.EventStream {
		opts = append(opts, "events")
	}
	flags := []struct {
		on   bool
		name string
	}{
		{r.EventPayload, "eventpayload"},
		{r.EventHeader, "eventheader"},
		{r.XMLAttribute, "attr"},
		{r.Flattened && !s.Flattened, "flat"},
		{r.JSONValue && !s.JSONValue, "json"},
		{r.IdempotencyToken, "token"},
		{r.QueryName != "", "ec2=" + r.QueryName},
		{r.formName != "", "form=" + r.formName},
		{r.TimestampFormat != "" && s.TimestampFormat == "", "ts=" + r.TimestampFormat},
	}
	for _, f := range flags {
		if f.on {
			opts = append(opts, f.name)
		}
	}
	return append(opts, namespace(r.XMLNamespace)...)
}

// shapeOptions are the options that a member has from its shape.
func shapeOptions(s *shape) []string {
	var opts []string
	if s.Flattened {
		opts = append(opts, "flat")
	}
	if s.JSONValue {
		opts = append(opts, "json")
	}
	if s.TimestampFormat != "" {
		opts = append(opts, "ts="+s.TimestampFormat)
	}
	return opts
}

// elementOptions are the wire name and options of a list's element, a map's key or value.
func elementOptions(r *ref, s *shape) []string {
	opts := append([]string{r.LocationName}, shapeOptions(s)...)
	if r.TimestampFormat != "" && s.TimestampFormat == "" {
		opts = append(opts, "ts="+r.TimestampFormat)
	}
	return append(opts, namespace(r.XMLNamespace)...)
}

func namespace(n *xmlNamespace) []string {
	if n == nil {
		return nil
	}
	opts := []string{"ns=" + n.URI}
	if n.Prefix != "" {
		opts = append(opts, "prefix="+n.Prefix)
	}
	return opts
}

// constraints are what a value of the shape must satisfy; the pattern comes last, as it may hold any character.
func constraints(s *shape) []string {
	var c []string
	if s.notNull {
		c = append(c, "notnull")
	}
	if s.bare {
		c = append(c, "bare")
	}
	if s.Sensitive {
		c = append(c, "secret")
	}
	if s.Min != "" {
		c = append(c, "min="+string(s.Min))
	}
	if s.Max != "" {
		c = append(c, "max="+string(s.Max))
	}
	if len(s.Enum) > 0 {
		c = append(c, "enum="+strings.Join(s.Enum, "|"))
	}
	if s.Pattern != "" {
		c = append(c, "pattern="+s.Pattern)
	}
	return c
}

// quoteTag writes a struct tag as a raw string where it can.
func quoteTag(tag string) string {
	if strings.ContainsAny(tag, "`\n") {
		return strconv.Quote(tag)
	}
	return "`" + tag + "`"
}
