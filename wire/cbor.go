package wire

import (
	"encoding/binary"
	"maps"
	"math"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/fxamacker/cbor/v2"
)

// cborMode is a reader with this package's limits, made when the first request needs it.
var cborMode = sync.OnceValues(func() (cbor.DecMode, error) {
	return cbor.DecOptions{
		MaxNestedLevels:  maxDepth,
		MaxArrayElements: 1 << 20,
		MaxMapPairs:      1 << 20,
		DupMapKey:        cbor.DupMapKeyQuiet,
		IndefLength:      cbor.IndefLengthAllowed,
		IntDec:           cbor.IntDecConvertNone,
		BignumTag:        cbor.BignumTagForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
	}.DecMode()
})

// decodeCBORBody fills a structure from a CBOR map; an empty body is an empty structure.
func decodeCBORBody(body []byte, p *structPlan, v reflect.Value) error {
	if len(body) == 0 {
		return nil
	}
	mode, err := cborMode()
	if err != nil {
		return err
	}
	var value any
	if err := mode.Unmarshal(body, &value); err != nil {
		return aws.ErrSerialization.New("Malformed CBOR").Because(err)
	}
	m, ok := value.(map[string]any)
	if !ok {
		return serialization("The CBOR is not a map")
	}
	return cborStructure(m, p, v)
}

func cborStructure(m map[string]any, p *structPlan, v reflect.Value) error {
	for i := range p.fields {
		f := &p.fields[i]
		if value := m[f.name]; f.loc == inBody && value != nil {
			if err := cborValue(value, f.node, v.Field(f.index)); err != nil {
				return err
			}
		}
	}
	return nil
}

// cborValue fills v from a value that is not null.
func cborValue(value any, n *node, v reflect.Value) error {
	switch n.kind {
	case kindStruct:
		if m, ok := value.(map[string]any); ok {
			return cborStructure(m, n.st, n.slot(v))
		}
	case kindList:
		if l, ok := value.([]any); ok {
			return cborList(l, n, v)
		}
	case kindMap:
		if m, ok := value.(map[string]any); ok {
			return cborMap(m, n, v)
		}
	case kindAny:
		v.Set(reflect.ValueOf(value))
		return nil
	default:
		return cborScalar(value, n, n.slot(v))
	}
	return serialization("Unexpected CBOR type")
}

func cborList(l []any, n *node, v reflect.Value) error {
	out := reflect.MakeSlice(v.Type(), len(l), len(l))
	for i, e := range l {
		if e == nil {
			if isScalarKind(n.elem.kind) {
				return nullElement(n, "Member must not be null")
			}
			continue
		}
		if err := cborValue(e, n.elem, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func cborMap(m map[string]any, n *node, v reflect.Value) error {
	out := reflect.MakeMapWithSize(v.Type(), len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] == nil && isScalarKind(n.elem.kind) {
			return nullElement(n, "Map value must satisfy constraint: [Member must not be null]")
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if m[k] != nil {
			if err := cborValue(m[k], n.elem, e); err != nil {
				return err
			}
		}
		out.SetMapIndex(reflect.ValueOf(k), e)
	}
	v.Set(out)
	return nil
}

func cborScalar(value any, n *node, v reflect.Value) error {
	switch n.kind {
	case kindString:
		if s, ok := value.(string); ok {
			v.SetString(s)
			return nil
		}
	case kindBlob:
		if b, ok := value.([]byte); ok {
			v.SetBytes(b)
			return nil
		}
	case kindBool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case kindInt:
		if i, ok := cborInt(value); ok && !overflows(v, i) {
			v.SetInt(i)
			return nil
		}
	case kindFloat:
		if f, ok := cborFloat(value); ok {
			v.SetFloat(f)
			return nil
		}
	case kindTime:
		if t, ok := value.(time.Time); ok && t.Year() >= -9999 && t.Year() <= 9999 {
			v.Set(reflect.ValueOf(t.Round(time.Millisecond).UTC()))
			return nil
		}
		if f, ok := cborFloat(value); ok {
			t, err := unixTime(f)
			if err == nil {
				v.Set(reflect.ValueOf(t))
			}
			return err
		}
	}
	return cannot("The CBOR value", n.wants())
}

func cborInt(value any) (int64, bool) {
	switch i := value.(type) {
	case int64:
		return i, true
	case uint64:
		return int64(i), i <= math.MaxInt64
	case big.Int:
		return 0, false
	}
	return 0, false
}

func cborFloat(value any) (float64, bool) {
	if f, ok := value.(float64); ok {
		return f, true
	}
	i, ok := cborInt(value)
	return float64(i), ok
}

// encodeCBOR writes an answer of RPC v2 CBOR. An op without an output has no body and no type.
func (m *Match) encodeCBOR(w http.ResponseWriter, p *structPlan, v reflect.Value) error {
	w.Header()["Smithy-Protocol"] = []string{"rpc-v2-cbor"}
	if p.none {
		return writeBody(w, http.StatusOK, "", nil)
	}
	return writeBody(w, http.StatusOK, "application/cbor", appendCBORStruct(nil, p, v))
}

// cborError is the body of an error.
func cborError(e *aws.Error) []byte {
	b := appendHead(nil, majorMap, 2)
	b = appendCBORString(b, "__type")
	b = appendCBORString(b, e.Type.Code)
	b = appendCBORString(b, messageKey(e))
	return appendCBORString(b, e.Message)
}

// The major types of CBOR (RFC 8949, section 3.1).
const (
	majorUint   = 0 << 5
	majorNegInt = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorList   = 4 << 5
	majorMap    = 5 << 5
	majorTag    = 6 << 5
	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
	float64Head = 0xfb
)

// appendHead writes a major type and its argument in the shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendCBORString(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendCBORStruct(b []byte, p *structPlan, v reflect.Value) []byte {
	count := 0
	for i := range p.fields {
		f := &p.fields[i]
		if _, ok := f.present(v.Field(f.index)); ok && f.loc == inBody {
			count++
		}
	}
	b = appendHead(b, majorMap, uint64(count))
	for i := range p.fields {
		f := &p.fields[i]
		if fv, ok := f.present(v.Field(f.index)); ok && f.loc == inBody {
			b = appendCBORString(b, f.name)
			b = appendCBOR(b, f.node, fv)
		}
	}
	return b
}

func appendCBOR(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kindString:
		return appendCBORString(b, validUTF8([]byte(v.String())))
	case kindInt:
		return appendCBORInt(b, v.Int())
	case kindFloat:
		return binary.BigEndian.AppendUint64(append(b, float64Head), math.Float64bits(v.Float()))
	case kindBool:
		if v.Bool() {
			return append(b, simpleTrue)
		}
		return append(b, simpleFalse)
	case kindTime:
		seconds := float64(v.Interface().(time.Time).UnixMilli()) / 1000
		b = append(appendHead(b, majorTag, 1), float64Head)
		return binary.BigEndian.AppendUint64(b, math.Float64bits(seconds))
	case kindBlob:
		return append(appendHead(b, majorBytes, uint64(v.Len())), v.Bytes()...)
	case kindStruct:
		return appendCBORStruct(b, n.st, v)
	case kindList:
		b = appendHead(b, majorList, uint64(v.Len()))
		for i := range v.Len() {
			b = appendCBORItem(b, n.elem, v.Index(i))
		}
		return b
	case kindMap:
		b = appendHead(b, majorMap, uint64(v.Len()))
		for _, k := range sortedKeys(v) {
			b = appendCBORString(b, k.String())
			b = appendCBORItem(b, n.elem, v.MapIndex(k))
		}
		return b
	}
	return append(b, simpleNull)
}

func appendCBORInt(b []byte, i int64) []byte {
	if i < 0 {
		return appendHead(b, majorNegInt, uint64(-(i + 1)))
	}
	return appendHead(b, majorUint, uint64(i))
}

func appendCBORItem(b []byte, n *node, v reflect.Value) []byte {
	e, ok := n.present(v)
	if !ok {
		return append(b, simpleNull)
	}
	return appendCBOR(b, n, e)
}
