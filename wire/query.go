package wire

import (
	"net/http"
	"reflect"
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

// openResponse opens the element that a query or EC2 answer is.
func (m *Match) openResponse(b []byte) []byte {
	b = append(b, '<')
	b = append(b, m.Op.Name...)
	b = append(b, "Response"...)
	b = appendNamespace(b, m.Service.XMLNamespace, "")
	return append(b, '>')
}
