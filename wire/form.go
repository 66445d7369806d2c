package wire

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxFormNodes is how many different parts the names in a form may have in all.
const maxFormNodes = 100_000

// formNode is one step of the names in a form: "Tags.member.1.Key=a".
type formNode struct {
	value string
	set   bool
	kids  map[string]*formNode
}

// decodeForm fills a structure from a query request, or from an EC2 one, whose lists have no "member" between.
func decodeForm(form url.Values, p *structPlan, v reflect.Value, ec2 bool) error {
	root, left := &formNode{}, maxFormNodes
	for key, values := range form {
		if len(values) == 0 || key == "Action" && p.body["Action"] == nil || key == "Version" && p.body["Version"] == nil {
			continue
		}
		if err := root.put(key, values[0], &left); err != nil {
			return err
		}
	}
	return formReader{ec2: ec2}.structure(root, p, v)
}

// put stores a value under its name. left is how many more parts of names there may be.
func (n *formNode) put(key, value string, left *int) error {
	if strings.Count(key, ".") >= maxDepth {
		return serialization("A parameter's name has more than " + itoa(maxDepth) + " parts")
	}
	for part := range strings.SplitSeq(key, ".") {
		if n.kids == nil {
			n.kids = map[string]*formNode{}
		}
		kid := n.kids[part]
		if kid == nil {
			if *left--; *left < 0 {
				return serialization("The parameters' names have too many parts")
			}
			kid = &formNode{}
			n.kids[part] = kid
		}
		n = kid
	}
	n.value, n.set = value, true
	return nil
}

// kid is the named part, nil if there is none.
func (n *formNode) kid(name string) *formNode {
	if n == nil {
		return nil
	}
	return n.kids[name]
}

// items are the numbered parts in the order of their numbers.
func (n *formNode) items() []*formNode {
	if n == nil {
		return nil
	}
	type item struct {
		at int
		n  *formNode
	}
	var all []item
	for key, kid := range n.kids {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 {
			all = append(all, item{i, kid})
		}
	}
	slices.SortFunc(all, func(a, b item) int { return a.at - b.at })
	out := make([]*formNode, len(all))
	for i, it := range all {
		out[i] = it.n
	}
	return out
}

// isOne says that a flattened list is one element without a number, which older samples of AWS's API reference have:
// "AttributeName=All", and for a map "Attribute.Name=a&Attribute.Value=b". It is the first, then.
func (n *formNode) isOne(elem *node) bool {
	if elem.kind == kindStruct {
		return len(n.kids) > 0
	}
	return n.value != "" // an empty one is an empty list
}

type formReader struct {
	ec2 bool
}

func (r formReader) structure(n *formNode, p *structPlan, v reflect.Value) error {
	for i := range p.fields {
		f := &p.fields[i]
		if f.loc != inBody {
			continue
		}
		name := r.name(f)
		if kid := n.kid(name); kid != nil {
			if err := r.value(kid, f.node, v.Field(f.index)); err != nil {
				return err
			}
		}
	}
	return nil
}

// name is a member's name in the form. A flattened list goes by the name of its elements, if they have one.
func (r formReader) name(f *field) string {
	switch {
	case r.ec2 && f.ec2 != "":
		return f.ec2
	case r.ec2:
		return strings.ToUpper(f.name[:1]) + f.name[1:]
	case f.form != "":
		return f.form
	case f.kind == kindList && f.flat && f.elem.name != "":
		return f.elem.name
	}
	return f.name
}

func (r formReader) value(n *formNode, want *node, v reflect.Value) error {
	switch want.kind {
	case kindStruct:
		return r.structure(n, want.st, want.slot(v))
	case kindList:
		return r.list(n, want, v)
	case kindMap:
		return r.mapping(n, want, v)
	}
	if !n.set {
		return nil
	}
	return setText(want, v, n.value, tsISO8601)
}

func (r formReader) list(n *formNode, want *node, v reflect.Value) error {
	items := n
	if !r.ec2 && !want.flat {
		items = n.kid(orDefault(want.elem.name, "member"))
	}
	all := items.items()
	if len(all) == 0 && want.flat && !r.ec2 && n.isOne(want.elem) {
		all = []*formNode{n}
	}
	if len(all) == 0 && !n.set {
		return nil
	}
	out := reflect.MakeSlice(v.Type(), len(all), len(all))
	for i, item := range all {
		if err := r.value(item, want.elem, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (r formReader) mapping(n *formNode, want *node, v reflect.Value) error {
	entries, keyName := n, orDefault(want.key.name, "key")
	if !want.flat {
		entries = n.kid("entry")
	}
	all := entries.items()
	if len(all) == 0 && want.flat && n.kid(keyName) != nil {
		all = []*formNode{n}
	}
	out := reflect.MakeMap(v.Type())
	for _, e := range all {
		key := e.kid(keyName)
		if key == nil || !key.set {
			return serialization("A map's entry has no key")
		}
		ev := reflect.New(v.Type().Elem()).Elem()
		if value := e.kid(orDefault(want.elem.name, "value")); value != nil {
			if err := r.value(value, want.elem, ev); err != nil {
				return err
			}
		}
		out.SetMapIndex(reflect.ValueOf(key.value), ev)
	}
	if out.Len() > 0 || n.set {
		v.Set(out)
	}
	return nil
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
