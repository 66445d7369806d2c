package cloudtrail

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxElements is how many bytes the request's parameters may have, and the response's elements. CloudTrail leaves larger ones
// out.
const maxElements = 100 << 10

// maxDepth bounds how deep structures nest: models have recursive ones.
const maxDepth = 32

// hidden are members that no record has, by their names in every service: secrets, code, and what people send through.
// Blobs, streams, and members that the model calls sensitive are left out without being named here.
var hidden = map[string]bool{
	"Environment": true, "ZipFile": true, "Payload": true,
	"SecretAccessKey": true, "SessionToken": true, "WebIdentityToken": true, "SAMLAssertion": true, "TokenCode": true,
	"AuthenticationCode1": true, "AuthenticationCode2": true, "Password": true, "OldPassword": true, "NewPassword": true,
	"PrivateKey": true, "Plaintext": true, "PrivateKeyPlaintext": true, "SecretString": true, "SecretBinary": true,
	"GrantToken": true, "GrantTokens": true, "DecodedMessage": true, "EncodedMessage": true, "EventSourceToken": true,
	"LogEvents": true, "MessageBody": true, "MessageAttributes": true, "MessageSystemAttributes": true, "ReceiptHandle": true, "Entries": true, "Secret": true, "ClientSecret": true, "AuthToken": true,
}

// hiddenOf are members of one shape: links that are signed, messages, and what confirms a subscription for whoever has it.
var hiddenOf = map[string]bool{
	"LayerVersionContentOutput.Location": true, "FunctionCodeLocation.Location": true,
	"PublishInput.Message": true, "PublishInput.Subject": true,
	"PublishBatchRequestEntry.Message": true, "PublishBatchRequestEntry.Subject": true,
	"ConfirmSubscriptionInput.Token":       true,
	"AuthorizationData.AuthorizationToken": true, "GetDownloadUrlForLayerOutput.DownloadURL": true,
}

// shape is what of a generated struct goes into records.
type shape []member

type member struct {
	index int
	name  string // as records spell it
}

var shapes sync.Map // of reflect.Type to shape; what a type looks like never changes

func shapeOf(t reflect.Type) shape {
	if s, ok := shapes.Load(t); ok {
		return s.(shape)
	}
	s := shape{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.IsExported() && !isHidden(t, f) {
			s = append(s, member{i, recordName(f)})
		}
	}
	shapes.Store(t, s)
	return s
}

func isHidden(t reflect.Type, f reflect.StructField) bool {
	return hidden[f.Name] || hiddenOf[t.Name()+"."+f.Name] || isSensitive(f.Tag) || isOpaque(f.Type)
}

// isSensitive says that the model calls the member, its elements or its values sensitive.
func isSensitive(tag reflect.StructTag) bool {
	for _, key := range [...]string{"check", "check.e", "check.v", "check.k", "check.e.e", "check.v.e", "check.e.v"} {
		checks, _, _ := strings.Cut(","+tag.Get(key), ",pattern=")
		if slices.Contains(strings.Split(checks, ","), "secret") {
			return true
		}
	}
	return false
}

// isOpaque says that a member is bytes or something that is no data.
func isOpaque(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return true
		}
		t = t.Elem()
	}
	return t.Kind() == reflect.Interface || t.Kind() == reflect.Func || t.Kind() == reflect.Chan
}

// recordName is a member's name on the wire with a small first letter.
func recordName(f reflect.StructField) string {
	options := strings.Split(f.Tag.Get("wire"), ",")
	for _, o := range options {
		if at, ok := strings.CutPrefix(o, "at="); ok {
			return at
		}
	}
	name := options[0]
	if name == "" {
		name = f.Name
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// shallow is a copy of an input without what is not recorded, so that the queue does not keep payloads in memory.
func shallow(in any) any {
	v := reflect.ValueOf(in)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	v = v.Elem()
	c := reflect.New(v.Type())
	for _, m := range shapeOf(v.Type()) {
		c.Elem().Field(m.index).Set(v.Field(m.index))
	}
	return c.Interface()
}

// elements is an input or output as JSON, "null" if there is nothing to say. what names it in the note that stands for one
// that is too large.
func elements(in any, what string) json.RawMessage {
	v := reflect.ValueOf(in)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	b := appendStruct(make([]byte, 0, 512), v, 0)
	switch {
	case len(b) == len("{}"):
		return nil
	case len(b) > maxElements:
		return fmt.Appendf(nil, `{"omitted":true,"originalSize":%d,"reasonCode":"%s too large"}`, len(b), what)
	}
	return b
}

func appendStruct(b []byte, v reflect.Value, depth int) []byte {
	b = append(b, '{')
	start := len(b)
	for _, m := range shapeOf(v.Type()) {
		f := v.Field(m.index)
		if isAbsent(f) {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(appendString(b, m.name), ':')
		b = appendValue(b, f, depth+1)
	}
	return append(b, '}')
}

func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	}
	return false
}

var timeType = reflect.TypeFor[time.Time]()

func appendValue(b []byte, v reflect.Value, depth int) []byte {
	if depth > maxDepth || isAbsent(v) {
		return append(b, "null"...)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return appendValue(b, v.Elem(), depth)
	case reflect.Struct:
		if v.Type() == timeType {
			return appendString(b, v.Interface().(time.Time).UTC().Format("Jan 2, 2006, 3:04:05 PM"))
		}
		return appendStruct(b, v, depth)
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int32:
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Float64, reflect.Float32:
		return appendFloat(b, v.Float())
	case reflect.Slice:
		return appendList(b, v, depth)
	case reflect.Map:
		return appendMap(b, v, depth)
	}
	return append(b, "null"...)
}

func appendFloat(b []byte, f float64) []byte {
	text, err := json.Marshal(f)
	if err != nil { // NaN and the infinities
		return append(b, "null"...)
	}
	return append(b, text...)
}

func appendList(b []byte, v reflect.Value, depth int) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v.Index(i), depth+1)
		if len(b) > 2*maxElements { // too large already: what follows is only counted
			break
		}
	}
	return append(b, ']')
}

func appendMap(b []byte, v reflect.Value, depth int) []byte {
	values := map[string]reflect.Value{}
	for k, e := range v.Seq2() {
		values[k.String()] = e
	}
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		b = appendValue(b, values[k], depth+1)
	}
	return append(b, '}')
}

// appendString adds a JSON string. A presigned link is a secret for as long as it is good, and the password in a URL always.
func appendString(b []byte, s string) []byte {
	if len(s) > len("X-Amz-Signature=") && strings.Contains(s, "X-Amz-S") &&
		(strings.Contains(s, "X-Amz-Signature=") || strings.Contains(s, "X-Amz-Security-Token=")) {
		s = hiddenText
	}
	s = withoutUserinfo(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendJSON(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendJSON(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // not for a string
		return append(b, `""`...)
	}
	return append(b, text...)
}
