package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

// maxElements is how many elements an XML body may have.
const maxElements = 200_000

// xmlNode is an element that was read.
type xmlNode struct {
	name  string
	attrs []xml.Attr
	kids  []*xmlNode
	text  string
}

// parseXML reads a whole document. There are no entities but XML's own, and nesting and size are bounded.
func parseXML(body []byte) (*xmlNode, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	root := &xmlNode{}
	path := []*xmlNode{root}
	var text []strings.Builder
	text = append(text, strings.Builder{})
	count := 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, serialization("Malformed XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(path) > maxDepth {
				return nil, serialization("The XML has too many or too deep elements")
			}
			n := &xmlNode{name: t.Name.Local, attrs: t.Attr}
			parent := path[len(path)-1]
			parent.kids = append(parent.kids, n)
			path = append(path, n)
			text = append(text, strings.Builder{})
		case xml.EndElement:
			last := len(path) - 1
			if last == 0 || path[last].name != t.Name.Local {
				return nil, serialization("Malformed XML")
			}
			path[last].text = text[last].String()
			path, text = path[:last], text[:last]
		case xml.CharData:
			text[len(text)-1].Write(t)
		case xml.Directive:
			return nil, serialization("XML directives are not taken")
		}
	}
	if len(path) != 1 || len(root.kids) != 1 {
		return nil, serialization("Malformed XML")
	}
	return root.kids[0], nil
}

// decodeXMLBody fills a structure whose members are the body.
func decodeXMLBody(body []byte, p *structPlan, v reflect.Value) error {
	root, err := parseXML(body)
	if err != nil {
		return err
	}
	return xmlStructure(root, p, v)
}

// decodeXMLPayload fills the one member that is the body.
func decodeXMLPayload(body []byte, f *field, v reflect.Value) error {
	root, err := parseXML(body)
	if err != nil {
		return err
	}
	return xmlValue(root, f.node, v)
}

func xmlStructure(x *xmlNode, p *structPlan, v reflect.Value) error {
	for i := range p.fields {
		f := &p.fields[i]
		if f.loc != inBody {
			continue
		}
		fv := v.Field(f.index)
		var err error
		switch {
		case f.attr:
			err = xmlAttribute(x, f, fv)
		case f.flat && f.kind == kindList:
			err = xmlItems(x.all(orDefault(f.elem.name, f.name)), f.node, fv)
		case f.flat && f.kind == kindMap:
			err = xmlEntries(x.all(f.name), f.node, fv)
		default:
			if kids := x.all(f.name); len(kids) > 0 {
				err = xmlValue(kids[0], f.node, fv)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// all are the elements of a name; a prefix in the name does not count.
func (x *xmlNode) all(name string) []*xmlNode {
	if _, local, ok := strings.Cut(name, ":"); ok {
		name = local
	}
	var found []*xmlNode
	for _, k := range x.kids {
		if k.name == name {
			found = append(found, k)
		}
	}
	return found
}

func xmlAttribute(x *xmlNode, f *field, v reflect.Value) error {
	prefix, local, ok := strings.Cut(f.name, ":")
	if !ok {
		prefix, local = "", f.name
	}
	for _, a := range x.attrs {
		if a.Name.Local == local && a.Name.Space == prefix {
			return setText(f.node, v, a.Value, tsISO8601)
		}
	}
	return nil
}

func xmlValue(x *xmlNode, n *node, v reflect.Value) error {
	switch n.kind {
	case kindStruct:
		return xmlStructure(x, n.st, n.slot(v))
	case kindList:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return xmlItems(x.all(orDefault(n.elem.name, "member")), n, v)
	case kindMap:
		v.Set(reflect.MakeMap(v.Type()))
		return xmlEntries(x.all("entry"), n, v)
	case kindString, kindInt, kindFloat, kindBool, kindTime, kindBlob:
		return setText(n, v, x.text, tsISO8601)
	}
	return serialization("Unexpected element " + x.name)
}

func xmlItems(items []*xmlNode, n *node, v reflect.Value) error {
	if len(items) == 0 {
		return nil
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := xmlValue(item, n.elem, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func xmlEntries(entries []*xmlNode, n *node, v reflect.Value) error {
	for _, e := range entries {
		keys := e.all(orDefault(n.key.name, "key"))
		if len(keys) == 0 {
			return serialization("A map's entry has no key")
		}
		ev := reflect.New(v.Type().Elem()).Elem()
		if values := e.all(orDefault(n.elem.name, "value")); len(values) > 0 {
			if err := xmlValue(values[0], n.elem, ev); err != nil {
				return err
			}
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(keys[0].text), ev)
	}
	return nil
}
