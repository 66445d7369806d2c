package wire

import (
	"net/http"
	"reflect"
)

// encodeEC2 writes <OpResponse><requestId>…</requestId>…</OpResponse>.
func (m *Match) encodeEC2(w http.ResponseWriter, requestID string, p *structPlan, v reflect.Value) error {
	x := xmlWriter{}
	b := m.openResponse([]byte(xmlHeader))
	b = appendElement(b, "requestId", requestID)
	b = x.members(b, p, v)
	b = closeElement(b, m.Op.Name+"Response")
	return writeBody(w, http.StatusOK, "text/xml;charset=UTF-8", b)
}
