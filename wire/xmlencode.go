package wire

import (
	"reflect"
	"unicode/utf8"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// xmlWriter writes values as XML.
type xmlWriter struct{}

// xmlDocument is the body of a REST-XML answer whose members are the body.
func (m *Match) xmlDocument(p *structPlan, v reflect.Value) []byte {
	root := orDefault(p.root, m.Op.Name+"Response")
	b := append([]byte(xmlHeader), '<')
	b = append(b, root...)
	b = appendNamespace(b, orDefault(p.ns, m.Service.XMLNamespace), p.prefix)
	b = append(b, '>')
	b = xmlWriter{}.members(b, p, v)
	return closeElement(b, root)
}

// xmlPayload is the body of a REST-XML answer that is one member.
func xmlPayload(f *field, v reflect.Value) []byte {
	name := f.name
	if f.kind == kindStruct && f.st.root != "" {
		name = f.st.root
	}
	return xmlWriter{}.element([]byte(xmlHeader), name, f.node, v)
}

// members writes a structure's members that travel in the body.
func (x xmlWriter) members(b []byte, p *structPlan, v reflect.Value) []byte {
	for i := range p.fields {
		f := &p.fields[i]
		if f.loc != inBody || f.attr {
			continue
		}
		if fv, ok := f.present(v.Field(f.index)); ok {
			b = x.element(b, orDefault(f.form, f.name), f.node, fv)
		}
	}
	return b
}

// element writes a present value: one element, or one for each item if the list or map is flattened.
func (x xmlWriter) element(b []byte, name string, n *node, v reflect.Value) []byte {
	if n.flat && n.kind == kindList {
		for i := range v.Len() {
			b = x.item(b, orDefault(n.elem.name, name), n.elem, v.Index(i))
		}
		return b
	}
	if n.flat && n.kind == kindMap {
		for _, k := range sortedKeys(v) {
			b = x.entry(b, name, n, k, v.MapIndex(k))
		}
		return b
	}
	b = append(b, '<')
	b = append(b, name...)
	b = appendNamespace(b, n.ns, n.prefix)
	if n.kind == kindStruct {
		b = attributes(b, n.st, v)
		if n.ns == "" {
			b = appendNamespace(b, n.st.ns, n.st.prefix)
		}
	}
	b = append(b, '>')
	b = x.content(b, n, v)
	return closeElement(b, name)
}

func (x xmlWriter) content(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kindStruct:
		return x.members(b, n.st, v)
	case kindList:
		for i := range v.Len() {
			b = x.item(b, orDefault(n.elem.name, "member"), n.elem, v.Index(i))
		}
		return b
	case kindMap:
		for _, k := range sortedKeys(v) {
			b = x.entry(b, "entry", n, k, v.MapIndex(k))
		}
		return b
	}
	return appendXMLText(b, n.text(v, tsISO8601))
}

// item writes one element of a list; an absent one is empty.
func (x xmlWriter) item(b []byte, name string, n *node, v reflect.Value) []byte {
	e, ok := n.present(v)
	if !ok {
		return append(append(append(b, '<'), name...), "/>"...)
	}
	return x.element(b, name, n, e)
}

func (x xmlWriter) entry(b []byte, name string, n *node, key, value reflect.Value) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, '>')
	b = x.element(b, orDefault(n.key.name, "key"), n.key, key)
	b = x.item(b, orDefault(n.elem.name, "value"), n.elem, value)
	return closeElement(b, name)
}

func attributes(b []byte, p *structPlan, v reflect.Value) []byte {
	for i := range p.fields {
		f := &p.fields[i]
		if !f.attr {
			continue
		}
		if fv, ok := f.present(v.Field(f.index)); ok {
			b = append(b, ' ')
			b = append(b, f.name...)
			b = append(b, `="`...)
			b = appendXMLText(b, f.text(fv, tsISO8601))
			b = append(b, '"')
		}
	}
	return b
}

func appendNamespace(b []byte, uri, prefix string) []byte {
	if uri == "" {
		return b
	}
	b = append(b, " xmlns"...)
	if prefix != "" {
		b = append(b, ':')
		b = append(b, prefix...)
	}
	b = append(b, `="`...)
	b = appendXMLText(b, uri)
	return append(b, '"')
}

// appendElement writes an element that holds text.
func appendElement(b []byte, name, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, '>')
	b = appendXMLText(b, text)
	return closeElement(b, name)
}

func closeElement(b []byte, name string) []byte {
	b = append(b, '<', '/')
	b = append(b, name...)
	return append(b, '>')
}

// appendXMLText escapes text for an element or an attribute. What XML 1.0 cannot say becomes U+FFFD.
func appendXMLText(b []byte, s string) []byte {
	for _, r := range s {
		switch r {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&quot;"...)
		case '\r':
			b = append(b, "&#xD;"...)
		case '\n', '\t':
			b = append(b, byte(r))
		default:
			if r < ' ' || r == 0xFFFE || r == 0xFFFF {
				r = utf8.RuneError
			}
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
