package wire

import (
	"encoding/base64"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// decodeREST reads labels, query, headers and the body of a REST-JSON or REST-XML request.
func (m *Match) decodeREST(r *http.Request, body []byte, p *structPlan, v reflect.Value) error {
	var query url.Values
	for i := range p.fields {
		f := &p.fields[i]
		var err error
		switch f.loc {
		case inLabel:
			err = m.setLabel(f, v.Field(f.index))
		case inQuery:
			if query == nil && r.URL.RawQuery != "" {
				query, err = parseQuery(r.URL.RawQuery)
			}
			if err == nil {
				err = setQuery(f, v.Field(f.index), query, p)
			}
		case inHeader:
			err = setHeader(f, v.Field(f.index), r.Header[f.header])
		case inHeaders:
			setHeaders(f, v.Field(f.index), r.Header)
		}
		if err != nil {
			return err
		}
	}
	return m.decodeRESTBody(r, body, p, v)
}

// maxFormValues is how many parameters a query string or a form may have.
const maxFormValues = 20_000

func parseQuery(raw string) (url.Values, error) {
	if strings.Count(raw, "&") > maxFormValues {
		return nil, serialization("Too many query parameters")
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, serialization("Malformed query string")
	}
	return q, nil
}

func (m *Match) decodeRESTBody(r *http.Request, body []byte, p *structPlan, v reflect.Value) error {
	if p.payload == nil {
		if len(body) == 0 || len(p.body) == 0 {
			return nil
		}
		if m.Protocol == aws.RestXML {
			return decodeXMLBody(body, p, v)
		}
		return decodeJSONBody(body, p, v)
	}
	f := p.payload
	fv := v.Field(f.index)
	switch f.kind {
	case kindReader:
		if r.Body != nil {
			fv.Set(reflect.ValueOf(io.Reader(r.Body)))
		}
	case kindBlob, kindString:
		if len(body) > 0 {
			setPayload(f.node, fv, body)
		}
	default:
		if len(body) == 0 {
			return nil
		}
		if m.Protocol == aws.RestXML {
			return decodeXMLPayload(body, f, fv)
		}
		return decodeJSONValue(body, f.node, fv)
	}
	return nil
}

// setLabel sets a member from the path, percent-decoded.
func (m *Match) setLabel(f *field, v reflect.Value) error {
	for i, name := range m.route.labels {
		if name != f.name {
			continue
		}
		text := m.search.labels[i]
		if strings.IndexByte(text, '%') >= 0 {
			var err error
			if text, err = url.PathUnescape(text); err != nil {
				return serialization("Malformed path")
			}
		}
		return setText(f.node, v, text, tsISO8601)
	}
	return nil
}

// setQuery sets a member from the query string. A map takes every parameter that no other member and no constant of the
// URI takes.
func setQuery(f *field, v reflect.Value, query url.Values, p *structPlan) error {
	switch f.kind {
	case kindMap:
		return setQueryMap(f, v, query, p)
	case kindList:
		values, ok := query[f.name]
		if !ok {
			return nil
		}
		return setElements(f.elem, v, values, tsISO8601)
	}
	if values, ok := query[f.name]; ok && len(values) > 0 {
		return setText(f.node, v, values[0], tsISO8601)
	}
	return nil
}

func setQueryMap(f *field, v reflect.Value, query url.Values, p *structPlan) error {
	for key, values := range query {
		if p.takesQuery(key) {
			continue
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		e := reflect.New(v.Type().Elem()).Elem()
		var err error
		if f.elem.kind == kindList {
			err = setElements(f.elem.elem, e, values, tsISO8601)
		} else {
			err = setText(f.elem, e, values[0], tsISO8601)
		}
		if err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key), e)
	}
	return nil
}

func (p *structPlan) takesQuery(key string) bool {
	for i := range p.fields {
		if f := &p.fields[i]; f.loc == inQuery && f.kind != kindMap && f.name == key {
			return true
		}
	}
	return false
}

// setElements sets a list of scalars.
func setElements(elem *node, v reflect.Value, texts []string, ts string) error {
	list := reflect.MakeSlice(v.Type(), len(texts), len(texts))
	for i, t := range texts {
		if err := setText(elem, list.Index(i), t, ts); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func setHeader(f *field, v reflect.Value, values []string) error {
	if len(values) == 0 {
		return nil
	}
	if f.kind == kindList {
		return setElements(f.elem, v, splitHeader(values, f.elem), tsRFC822)
	}
	text := values[0]
	if f.json { // JSON travels in base64 in a header
		b, err := decodeBase64([]byte(text))
		if err != nil {
			return err
		}
		text = string(b)
	}
	return setText(f.node, v, text, tsRFC822)
}

// splitHeader splits header lists at commas; strings may be quoted, and a date of RFC 822 has a comma of its own.
func splitHeader(values []string, elem *node) []string {
	var out []string
	dates := elem.kind == kindTime && elem.format(tsRFC822) == tsRFC822
	for _, v := range values {
		for v != "" {
			var item string
			item, v = cutItem(strings.TrimLeft(v, " \t"), dates)
			out = append(out, item)
		}
	}
	return out
}

func cutItem(s string, date bool) (item, rest string) {
	if strings.HasPrefix(s, `"`) {
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && i+1 < len(s):
				i++
				b.WriteByte(s[i])
			case s[i] == '"':
				_, rest, _ = strings.Cut(s[i+1:], ",")
				return b.String(), rest
			default:
				b.WriteByte(s[i])
			}
		}
		return b.String(), ""
	}
	end := strings.IndexByte(s, ',')
	if date && end >= 0 {
		if next := strings.IndexByte(s[end+1:], ','); next >= 0 {
			end += 1 + next
		} else {
			end = -1
		}
	}
	if end < 0 {
		return strings.TrimRight(s, " \t"), ""
	}
	return strings.TrimRight(s[:end], " \t"), s[end+1:]
}

// setHeaders collects the headers with a prefix into a map; names keep the case that they have in h.
func setHeaders(f *field, v reflect.Value, h http.Header) {
	for key, values := range h {
		if len(values) == 0 || len(key) < len(f.header) || !strings.EqualFold(key[:len(f.header)], f.name) {
			continue
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		name := key[len(f.header):]
		if f.name != "" {
			name = strings.ToLower(name)
		}
		v.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(strings.Join(values, ",")))
	}
}

// encodeREST writes status, headers and body of an answer.
func (m *Match) encodeREST(w http.ResponseWriter, p *structPlan, v reflect.Value) error {
	status := m.Op.Status
	if status == 0 {
		status = http.StatusOK
	}
	h := w.Header()
	for i := range p.fields {
		f := &p.fields[i]
		fv, ok := f.present(v.Field(f.index))
		if !ok {
			continue
		}
		switch f.loc {
		case inStatus:
			status = int(fv.Int())
		case inHeader:
			putHeader(h, f, fv)
		case inHeaders:
			putHeaders(h, f, fv)
		}
	}
	if bodiless(status) {
		w.WriteHeader(status)
		return nil
	}
	if p.payload != nil {
		return m.encodePayload(w, status, p.payload, v.Field(p.payload.index))
	}
	if p.none {
		return writeBody(w, status, "", nil)
	}
	if m.Protocol == aws.RestXML {
		if len(p.body) == 0 {
			return writeBody(w, status, "", nil)
		}
		return writeBody(w, status, "application/xml", m.xmlDocument(p, v))
	}
	return writeBody(w, status, "application/json", appendJSONStruct(nil, p, v))
}

// bodiless statuses must not have a body.
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified || status < 200
}

func putHeader(h http.Header, f *field, v reflect.Value) {
	if f.kind != kindList {
		text := f.text(v, tsRFC822)
		if f.json {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		h[f.header] = []string{headerSafe(text)}
		return
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = f.elem.text(v.Index(i), tsRFC822)
		if f.elem.kind == kindString && strings.ContainsAny(items[i], `",`) {
			items[i] = strconv.Quote(items[i])
		}
	}
	h[f.header] = []string{headerSafe(strings.Join(items, ", "))}
}

// headerSafe keeps a value from ending its header.
func headerSafe(s string) string {
	if strings.ContainsAny(s, "\r\n\x00") {
		return strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(s)
	}
	return s
}

func putHeaders(h http.Header, f *field, v reflect.Value) {
	for it := v.MapRange(); it.Next(); {
		h.Set(f.name+it.Key().String(), headerSafe(f.elem.text(it.Value(), tsRFC822)))
	}
}

// encodePayload writes the one member that is the body.
func (m *Match) encodePayload(w http.ResponseWriter, status int, f *field, v reflect.Value) error {
	pv, ok := f.present(v)
	switch f.kind {
	case kindEvents:
		if !ok {
			return writeBody(w, status, eventStreamType, nil)
		}
		return encodeEvents(w, status, f, v.Interface().(iter.Seq2[any, error]))
	case kindReader:
		return copyPayload(w, status, v)
	case kindBlob:
		return writeBody(w, status, payloadType(w, f, "application/octet-stream"), pv.Bytes())
	case kindString:
		text := ""
		if ok {
			text = pv.String()
		}
		return writeBody(w, status, payloadType(w, f, "text/plain"), []byte(text))
	}
	if m.Protocol == aws.RestXML {
		if !ok {
			return writeBody(w, status, "", nil)
		}
		return writeBody(w, status, "application/xml", xmlPayload(f, pv))
	}
	if !ok {
		return writeBody(w, status, "application/json", []byte("{}"))
	}
	return writeBody(w, status, "application/json", appendJSON(nil, f.node, pv))
}

// payloadType keeps a type that a header member has set. Lambda's Invoke answers JSON, and says so.
func payloadType(w http.ResponseWriter, f *field, other string) string {
	if t := w.Header().Get("Content-Type"); t != "" {
		return t
	}
	if f.name == "Payload" {
		return "application/json"
	}
	return other
}

func copyPayload(w http.ResponseWriter, status int, v reflect.Value) error {
	w.WriteHeader(status)
	if v.IsNil() {
		return nil
	}
	r := v.Interface().(io.Reader)
	_, err := io.Copy(w, r)
	if c, ok := r.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}
