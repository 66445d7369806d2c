package wire

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// DefaultMaxBody is how many bytes a request's body may have where the op says nothing else.
const DefaultMaxBody = 10 << 20

// Match is a request whose op is known. It belongs to one request and is not safe for concurrent use.
type Match struct {
	Op       *aws.Op
	Service  *aws.Service
	Protocol aws.Protocol

	search    search     // REST: the labels' text, still escaped
	route     *route     // REST
	form      url.Values // query and EC2
	queryMode bool       // the client understands query error codes beside JSON (X-Amzn-Query-Mode)
}

// MaxBody is how many bytes the request's body may have.
func (m *Match) MaxBody() int64 {
	if m.Op.MaxBody > 0 {
		return m.Op.MaxBody
	}
	return DefaultMaxBody
}

// TooLarge is the answer to a body of more than MaxBody bytes.
func (m *Match) TooLarge() *aws.Error {
	_, name, ok := strings.Cut(m.Op.Action, ":")
	if !ok {
		name = m.Op.Name
	}
	return aws.ErrTooLarge.Withf("Request must be smaller than %d bytes for the %s operation", m.MaxBody(), name)
}

// Streams reports whether the input takes the body as a stream: Decode then reads nothing of it and wants no copy.
func (m *Match) Streams() bool {
	p := planOf(reflect.TypeOf(m.Op.NewInput()).Elem())
	return p.payload != nil && p.payload.kind == kindReader
}

// Decode reads the op's input out of the request and checks the model's constraints. body is the whole body, decoded of
// its content coding; the input may keep it (a payload is not copied), so that the caller must not reuse it. The error
// is an *aws.Error: ErrSerialization, or the service's code for a constraint violation.
func (m *Match) Decode(r *http.Request, body []byte) (any, error) {
	in := m.Op.NewInput()
	v := reflect.ValueOf(in).Elem()
	p := planOf(v.Type())
	if err := m.decode(r, body, p, v); err != nil {
		return nil, asDecodeError(err, m.Service)
	}
	if message := violations(p, v); message != "" {
		return nil, validationError(m.Service, m.Op, message)
	}
	return in, nil
}

func (m *Match) decode(r *http.Request, body []byte, p *structPlan, v reflect.Value) error {
	switch m.Protocol {
	case aws.RestJSON, aws.RestXML:
		return m.decodeREST(r, body, p, v)
	case aws.JSON10, aws.JSON11:
		return (&jsonReader{b: body, raw: m.Service.RawText}).whole(p, v)
	case aws.Query:
		m.fromPath(r)
		return decodeForm(m.form, p, v, false)
	case aws.EC2Query:
		return decodeForm(m.form, p, v, true)
	case aws.RPCv2CBOR:
		return decodeCBORBody(body, p, v)
	}
	return aws.ErrUnknownOp.New("")
}

// Encode writes the answer. out is a pointer to the op's output struct; an event stream in it is run to its end, every
// event flushed as it comes. An error means that the client got less than the whole answer.
func (m *Match) Encode(w http.ResponseWriter, requestID string, out any) error {
	v := reflect.ValueOf(out).Elem()
	p := planOf(v.Type())
	setRequestID(w.Header(), requestID, m.Protocol)
	switch m.Protocol {
	case aws.RestJSON, aws.RestXML:
		return m.encodeREST(w, p, v)
	case aws.JSON10, aws.JSON11:
		return m.encodeAWSJSON(w, p, v)
	case aws.Query:
		return m.encodeQuery(w, requestID, p, v)
	case aws.EC2Query:
		return m.encodeEC2(w, requestID, p, v)
	case aws.RPCv2CBOR:
		return m.encodeCBOR(w, p, v)
	}
	return aws.ErrUnknownOp.New("")
}

// EncodeError writes an error in the request's protocol.
func (m *Match) EncodeError(w http.ResponseWriter, requestID string, e *aws.Error) {
	writeError(w, errorAnswer{protocol: m.Protocol, service: m.Service, queryMode: m.queryMode, requestID: requestID}, e)
}

// setRequestID puts the request's id where clients of the protocol look for it.
func setRequestID(h http.Header, id string, p aws.Protocol) {
	h["X-Amzn-Requestid"] = []string{id}
	if p == aws.RestXML {
		h["X-Amz-Request-Id"] = []string{id}
	}
}

// writeBody sends a whole body of a known length.
func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	h["Content-Length"] = []string{itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
