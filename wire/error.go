package wire

import (
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// serialization is the error for a request that does not decode.
func serialization(message string) error { return aws.ErrSerialization.New(message) }

// constraintError is a violation that shows while decoding, before there is a value to check.
type constraintError struct{ message string }

func (e *constraintError) Error() string { return e.message }

// nullElement is a null in a list or map that may not have one.
func nullElement(n *node, constraint string) error {
	return &constraintError{"1 validation error detected: Value null at '" + n.at + "' failed to satisfy constraint: " + constraint}
}

// asDecodeError gives whatever decoding failed with its AWS error.
func asDecodeError(err error, s *aws.Service) error {
	if c, ok := errors.AsType[*constraintError](err); ok {
		return validationError(s, nil, c.message)
	}
	if e, ok := errors.AsType[*aws.Error](err); ok {
		return e
	}
	return aws.ErrSerialization.New("").Because(err)
}

// validationError is a constraint violation under the code that the service gives it.
func validationError(s *aws.Service, op *aws.Op, message string) error {
	code := s.ValidationCode
	if code == "" || code == aws.ErrValidation.Code || code == aws.ErrValidation.QueryCode {
		return aws.ErrValidation.New(message)
	}
	if op != nil {
		for _, t := range op.Errors {
			if t.Code == code {
				return t.New(message)
			}
		}
	}
	for _, o := range s.Ops {
		for _, t := range o.Errors {
			if t.Code == code {
				return t.New(message)
			}
		}
	}
	t := *aws.ErrValidation
	t.Code, t.QueryCode = code, ""
	return t.New(message)
}

// errorAnswer is what shapes an error beyond the error itself.
type errorAnswer struct {
	protocol  aws.Protocol
	service   *aws.Service // nil before routing
	queryMode bool
	requestID string
}

// WriteError writes an error of a request that has no Match: a bad signature, an unknown op. The protocol is the one
// that the request looks to be in; signingName is the service of the signature's scope, "" if there is none.
func WriteError(w http.ResponseWriter, r *http.Request, requestID, signingName string, e *aws.Error) {
	writeError(w, errorAnswer{
		protocol:  guessProtocol(r, signingName),
		queryMode: strings.EqualFold(r.Header.Get("X-Amzn-Query-Mode"), "true"),
		requestID: requestID,
	}, e)
}

// guessProtocol is the protocol that a request looks to be in.
func guessProtocol(r *http.Request, signingName string) aws.Protocol {
	ct := r.Header.Get("Content-Type")
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return aws.RPCv2CBOR
	case strings.HasPrefix(ct, "application/x-amz-json-1.0"):
		return aws.JSON10
	case strings.HasPrefix(ct, "application/x-amz-json-1.1"), r.Header.Get("X-Amz-Target") != "":
		return aws.JSON11
	}
	switch signingName {
	case "s3", "s3-outposts", "s3-object-lambda", "route53", "cloudfront":
		return aws.RestXML
	case "ec2":
		return aws.EC2Query
	}
	if IsForm(r) || strings.Contains(r.URL.RawQuery, "Action=") {
		return aws.Query
	}
	return aws.RestJSON
}

func writeError(w http.ResponseWriter, a errorAnswer, e *aws.Error) {
	h := w.Header()
	if a.service != nil && a.service.DeniedCode != "" && e.Type == aws.ErrAccessDenied {
		own, t := *e, *e.Type
		t.QueryCode = a.service.DeniedCode
		own.Type, e = &t, &own
	}
	for k, v := range e.Header {
		h[http.CanonicalHeaderKey(k)] = []string{headerSafe(v)}
	}
	setRequestID(h, a.requestID, a.protocol)
	// The client is gone if this fails, and there is nobody left to tell.
	_ = a.write(w, e)
}

func (a errorAnswer) write(w http.ResponseWriter, e *aws.Error) error {
	status := a.status(e)
	h := w.Header()
	switch a.protocol {
	case aws.RestJSON:
		h["X-Amzn-Errortype"] = []string{e.Type.Code}
		return writeBody(w, status, "application/json", a.jsonError(e, false))
	case aws.JSON10, aws.JSON11:
		a.queryError(h, e)
		return writeBody(w, status, jsonType(a.protocol), a.jsonError(e, true))
	case aws.RPCv2CBOR:
		a.queryError(h, e)
		h["Smithy-Protocol"] = []string{"rpc-v2-cbor"}
		return writeBody(w, status, "application/cbor", cborError(e))
	case aws.EC2Query:
		return writeBody(w, status, "text/xml;charset=UTF-8", a.ec2Error(e))
	case aws.RestXML:
		return writeBody(w, status, "application/xml", a.restXMLError(e))
	}
	return writeBody(w, status, "text/xml", a.queryErrorBody(e))
}

// status is the error's, but where AWS's protocols have their own: the JSON and query services answer 400 to an unknown
// op, and the JSON services to a caller who is not allowed, too.
func (a errorAnswer) status(e *aws.Error) int {
	rpc := a.protocol != aws.RestJSON && a.protocol != aws.RestXML
	isJSON := a.protocol == aws.JSON10 || a.protocol == aws.JSON11
	if e.Type.Status == 0 || rpc && e.Type == aws.ErrUnknownOp || isJSON && e.Type == aws.ErrAccessDenied {
		return http.StatusBadRequest
	}
	return e.Type.Status
}

// queryError tells clients that come from the query protocol the code that they know.
func (a errorAnswer) queryError(h http.Header, e *aws.Error) {
	if a.queryMode {
		h["X-Amzn-Query-Error"] = []string{queryCode(e) + ";" + fault(e)}
	}
}

func queryCode(e *aws.Error) string {
	if e.Type.QueryCode != "" {
		return e.Type.QueryCode
	}
	return e.Type.Code
}

func fault(e *aws.Error) string {
	if e.Type.Server {
		return "Receiver"
	}
	return "Sender"
}

// jsonError is the body in the JSON protocols, members in the order of their names.
func (a errorAnswer) jsonError(e *aws.Error, typed bool) []byte {
	members := map[string]any{}
	maps.Copy(members, e.Fields)
	if typed {
		members["__type"] = e.Type.Code
	}
	if a.service != nil && a.service.TypedErrors && !e.Type.Untyped {
		members["Type"] = "User"
		if e.Type.Server {
			members["Type"] = "Service"
		}
	}
	if e.Message != "" || !typed {
		members[messageKey(e)] = e.Message
	}
	b := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, k)
		b = append(b, ':')
		b = appendJSONAnyShape(b, members[k])
	}
	return append(b, '}')
}

// appendJSONAnyShape writes a further member of an error: a generated structure by its tags, all else as it is.
func appendJSONAnyShape(b []byte, value any) []byte {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !v.IsValid() {
		return append(b, "null"...)
	}
	if v.Kind() == reflect.Struct {
		return appendJSONStruct(b, planOf(v.Type()), v)
	}
	return appendJSONAny(b, v)
}

func messageKey(e *aws.Error) string {
	if e.Type.MessageAs != "" {
		return e.Type.MessageAs
	}
	return "message"
}

func (a errorAnswer) queryErrorBody(e *aws.Error) []byte {
	b := []byte("<ErrorResponse")
	if a.service != nil && a.service.XMLNamespace != "" {
		b = append(b, ` xmlns="`...)
		b = appendXMLText(b, a.service.XMLNamespace)
		b = append(b, '"')
	}
	b = append(b, "><Error><Type>"+fault(e)+"</Type>"...)
	b = appendErrorMembers(b, e)
	b = append(b, "</Error>"...)
	b = appendElement(b, "RequestId", a.requestID)
	return append(b, "</ErrorResponse>\n"...)
}

func (a errorAnswer) ec2Error(e *aws.Error) []byte {
	b := []byte(xml.Header + "<Response><Errors><Error>")
	b = appendErrorMembers(b, e)
	b = append(b, "</Error></Errors>"...)
	b = appendElement(b, "RequestID", a.requestID)
	return append(b, "</Response>"...)
}

// restXMLError is S3's bare <Error>, or the <ErrorResponse> around it that the other XML services write.
func (a errorAnswer) restXMLError(e *aws.Error) []byte {
	bare := a.service == nil || a.service.Name == "s3"
	if !bare {
		return append([]byte(xml.Header), a.queryErrorBody(e)...)
	}
	b := []byte(xml.Header + "<Error>")
	b = appendErrorMembers(b, e)
	b = appendElement(b, "RequestId", a.requestID)
	return append(b, "</Error>"...)
}

func appendErrorMembers(b []byte, e *aws.Error) []byte {
	b = appendElement(b, "Code", queryCode(e))
	b = appendElement(b, "Message", e.Message)
	for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
		if text, ok := e.Fields[k].(string); ok && validName(k) {
			b = appendElement(b, k, text)
		}
	}
	return b
}

func validName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}
