package wire

import (
	"net/http"
	"reflect"
	"strings"
)

// encodeQuery writes <OpResponse><OpResult>…</OpResult><ResponseMetadata>…</ResponseMetadata></OpResponse>.
func (m *Match) encodeQuery(w http.ResponseWriter, requestID string, p *structPlan, v reflect.Value) error {
	x := xmlWriter{}
	b := m.openResponse(nil)
	if !p.none {
		wrapper := m.Op.Name + "Result"
		b = append(b, '<')
		b = append(b, wrapper...)
		b = append(b, '>')
		b = x.members(b, p, v)
		b = closeElement(b, wrapper)
	}
	b = append(b, "<ResponseMetadata>"...)
	b = appendElement(b, "RequestId", requestID)
	b = append(b, "</ResponseMetadata>"...)
	b = closeElement(b, m.Op.Name+"Response")
	return writeBody(w, http.StatusOK, "text/xml", append(b, '\n'))
}

// fromPath gives a query request the member that clients may say by the URL they send to instead: SQS's QueueUrl.
func (m *Match) fromPath(r *http.Request) {
	name := m.Service.PathMember
	if name == "" || m.form.Has(name) || strings.Trim(r.URL.Path, "/") == "" {
		return
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	m.form.Set(name, scheme+r.Host+r.URL.EscapedPath())
}

// openResponse opens the element that a query or EC2 answer is.
func (m *Match) openResponse(b []byte) []byte {
	b = append(b, '<')
	b = append(b, m.Op.Name...)
	b = append(b, "Response"...)
	b = appendNamespace(b, m.Service.XMLNamespace, "")
	return append(b, '>')
}
