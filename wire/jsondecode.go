package wire

import (
	"reflect"
	"strconv"
)

// decodeJSONBody fills a structure from a JSON body; an empty body is an empty structure.
func decodeJSONBody(body []byte, p *structPlan, v reflect.Value) error {
	return (&jsonReader{b: body}).whole(p, v)
}

// whole fills a structure from the whole text.
func (r *jsonReader) whole(p *structPlan, v reflect.Value) error {
	if r.next() == 0 && r.i == len(r.b) {
		return nil
	}
	if c := r.next(); c != '{' {
		if null, err := r.null(); null {
			return orEnd(r, err)
		}
		if c == '[' {
			return serialization("Start of list found where not expected")
		}
		return r.unexpected()
	}
	return orEnd(r, r.structure(p, v))
}

// decodeJSONValue fills one value from a whole JSON text.
func decodeJSONValue(body []byte, n *node, v reflect.Value) error {
	r := &jsonReader{b: body}
	return orEnd(r, r.value(n, v))
}

func orEnd(r *jsonReader, err error) error {
	if err != nil {
		return err
	}
	return r.end()
}

// value fills v; null leaves it absent.
func (r *jsonReader) value(n *node, v reflect.Value) error {
	if null, err := r.null(); null || err != nil {
		return err
	}
	switch n.kind {
	case kindStruct:
		if r.next() != '{' {
			return r.mismatch("a structure")
		}
		return r.structure(n.st, n.slot(v))
	case kindList:
		return r.list(n, v)
	case kindMap:
		return r.mapping(n, v)
	case kindAny:
		a, err := r.any()
		if err == nil && a != nil {
			v.Set(reflect.ValueOf(a))
		}
		return err
	}
	return r.scalar(n, v)
}

func (r *jsonReader) structure(p *structPlan, v reflect.Value) error {
	if err := r.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := r.more('}', first)
		if err != nil || !more {
			return err
		}
		key, err := r.key()
		if err != nil {
			return err
		}
		f := p.body[string(key)]
		if f == nil {
			err = r.skip()
		} else {
			err = r.value(f.node, v.Field(f.index))
		}
		if err != nil {
			return err
		}
	}
}

func (r *jsonReader) list(n *node, v reflect.Value) error {
	if r.next() != '[' {
		return r.mismatch("a list")
	}
	if err := r.enter(); err != nil {
		return err
	}
	out := reflect.MakeSlice(v.Type(), 0, 4)
	zero := reflect.Zero(v.Type().Elem())
	for first := true; ; first = false {
		more, err := r.more(']', first)
		if err != nil {
			return err
		}
		if !more {
			v.Set(out)
			return nil
		}
		if r.next() == 'n' && isScalarKind(n.elem.kind) {
			return nullElement(n, "Member must not be null")
		}
		out = reflect.Append(out, zero)
		if err := r.value(n.elem, out.Index(out.Len()-1)); err != nil {
			return err
		}
	}
}

func (r *jsonReader) mapping(n *node, v reflect.Value) error {
	if r.next() != '{' {
		return r.mismatch("a map")
	}
	if err := r.enter(); err != nil {
		return err
	}
	out := reflect.MakeMap(v.Type())
	for first := true; ; first = false {
		more, err := r.more('}', first)
		if err != nil {
			return err
		}
		if !more {
			v.Set(out)
			return nil
		}
		key, err := r.key()
		if err != nil {
			return err
		}
		name := r.text(key)
		if r.next() == 'n' && isScalarKind(n.elem.kind) {
			return nullElement(n, "Map value must satisfy constraint: [Member must not be null]")
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := r.value(n.elem, e); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), e)
	}
}

func isScalarKind(k kind) bool { return k <= kindTime }

// scalar fills a string, number, boolean, timestamp or blob.
func (r *jsonReader) scalar(n *node, v reflect.Value) error {
	switch c := r.next(); {
	case c == '"':
		s, err := r.str()
		if err != nil {
			return err
		}
		return r.setString(n, v, s)
	case c == 't' || c == 'f':
		return r.boolean(n, v, c == 't')
	case c == '-' || c >= '0' && c <= '9':
		text, err := r.number()
		if err != nil {
			return err
		}
		return setJSONNumber(n, v, text)
	case c == '{' || c == '[':
		return r.mismatch("")
	}
	return r.unexpected()
}

func (r *jsonReader) boolean(n *node, v reflect.Value, b bool) error {
	word := strconv.FormatBool(b)
	if err := r.literal(word); err != nil {
		return err
	}
	if n.kind != kindBool {
		if b {
			return cannot("TRUE_VALUE", n.wants())
		}
		return cannot("FALSE_VALUE", n.wants())
	}
	n.slot(v).SetBool(b)
	return nil
}

func (r *jsonReader) setString(n *node, v reflect.Value, s []byte) error {
	switch n.kind {
	case kindString:
		n.slot(v).SetString(r.text(s))
		return nil
	case kindBlob:
		b, err := decodeBase64(s)
		if err == nil {
			n.slot(v).SetBytes(b)
		}
		return err
	case kindTime:
		return setText(n, v, string(s), tsUnix)
	case kindFloat:
		switch string(s) {
		case "NaN", "Infinity", "-Infinity":
			return setText(n, v, string(s), "")
		}
	}
	return cannot("STRING_VALUE", n.wants())
}

func setJSONNumber(n *node, v reflect.Value, text []byte) error {
	switch n.kind {
	case kindInt:
		return setJSONInt(n, n.slot(v), string(text))
	case kindFloat:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return cannot("NUMBER_VALUE", n.wants())
		}
		n.slot(v).SetFloat(f)
		return nil
	case kindTime:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return cannot("NUMBER_VALUE", n.wants())
		}
		t, err := unixTime(f)
		if err != nil {
			return err
		}
		n.slot(v).Set(reflect.ValueOf(t))
		return nil
	}
	return cannot("NUMBER_VALUE", n.wants())
}

// setJSONInt takes 3, and 3.0 and 3e0 as Java does.
func setJSONInt(n *node, v reflect.Value, text string) error {
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || f != float64(int64(f)) || f > 1<<62 || f < -1<<62 {
			return cannot("NUMBER_VALUE", n.wants())
		}
		i = int64(f)
	}
	if overflows(v, i) {
		return cannot("NUMBER_VALUE", n.wants())
	}
	v.SetInt(i)
	return nil
}

// wants names the type as AWS's messages do.
func (n *node) wants() string {
	switch n.kind {
	case kindString:
		return "a String"
	case kindInt:
		if n.typ.Kind() == reflect.Int64 {
			return "a Long"
		}
		return "an Integer"
	case kindFloat:
		return "a Double"
	case kindBool:
		return "a Boolean"
	case kindTime:
		return "a Timestamp"
	case kindBlob:
		return "a ByteBuffer"
	}
	return "a value"
}

// mismatch is the error for a value of the wrong kind.
func (r *jsonReader) mismatch(want string) error {
	switch c := r.next(); {
	case c == '{':
		return serialization("Start of structure or map found where not expected.")
	case c == '[':
		return serialization("Start of list found where not expected")
	case c == '"' && want != "":
		return cannot("STRING_VALUE", want)
	case (c == '-' || c >= '0' && c <= '9') && want != "":
		return cannot("NUMBER_VALUE", want)
	case c == 't' && want != "":
		return cannot("TRUE_VALUE", want)
	case c == 'f' && want != "":
		return cannot("FALSE_VALUE", want)
	}
	return r.unexpected()
}
