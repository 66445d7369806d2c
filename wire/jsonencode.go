package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendJSONStruct writes the members that travel in the body; absent ones are left out.
func appendJSONStruct(b []byte, p *structPlan, v reflect.Value) []byte {
	b = append(b, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.loc != inBody {
			continue
		}
		fv, ok := f.present(v.Field(f.index))
		if !ok {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendJSONString(b, f.name)
		b = append(b, ':')
		b = appendJSON(b, f.node, fv)
	}
	return append(b, '}')
}

// appendJSON writes a present value.
func appendJSON(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kindString:
		return appendJSONString(b, v.String())
	case kindInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case kindFloat:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return appendJSONString(b, formatFloat(f))
		}
		return append(b, formatFloat(f)...)
	case kindBool:
		return strconv.AppendBool(b, v.Bool())
	case kindTime:
		return appendJSONTime(b, v.Interface().(time.Time), n.format(tsUnix))
	case kindBlob:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	case kindStruct:
		return appendJSONStruct(b, n.st, v)
	case kindList:
		return appendJSONList(b, n, v)
	case kindMap:
		return appendJSONMap(b, n, v)
	}
	return appendJSONAny(b, v)
}

func appendJSONTime(b []byte, t time.Time, format string) []byte {
	if format == tsUnix {
		return appendUnix(b, t)
	}
	return appendJSONString(b, formatTime(t, format))
}

func appendJSONList(b []byte, n *node, v reflect.Value) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONItem(b, n.elem, v.Index(i))
	}
	return append(b, ']')
}

// appendJSONItem writes an element or a map's value, where nothing can be left out: null if it is absent.
func appendJSONItem(b []byte, n *node, v reflect.Value) []byte {
	e, ok := n.present(v)
	if !ok {
		return append(b, "null"...)
	}
	return appendJSON(b, n, e)
}

// appendJSONMap writes a map in the order of its keys, so that answers do not change for nothing.
func appendJSONMap(b []byte, n *node, v reflect.Value) []byte {
	b = append(b, '{')
	for i, k := range sortedKeys(v) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, k.String())
		b = append(b, ':')
		b = appendJSONItem(b, n.elem, v.MapIndex(k))
	}
	return append(b, '}')
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch x, y := a.String(), b.String(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return keys
}

// appendJSONAny writes a document; what JSON cannot carry becomes null.
func appendJSONAny(b []byte, v reflect.Value) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Interface()); err != nil {
		return append(b, "null"...)
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

const hexDigits = "0123456789abcdef"

// appendJSONString writes a string with as few escapes as JSON allows.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
