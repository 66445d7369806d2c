package wire

import (
	"net/http"
	"reflect"

	"github.com/enfold-run/enfold/aws"
)

func jsonType(p aws.Protocol) string {
	if p == aws.JSON10 {
		return "application/x-amz-json-1.0"
	}
	return "application/x-amz-json-1.1"
}

// encodeAWSJSON writes an answer of JSON 1.0 or 1.1. An op without an output has an empty body.
func (m *Match) encodeAWSJSON(w http.ResponseWriter, p *structPlan, v reflect.Value) error {
	for i := range p.fields {
		if f := &p.fields[i]; f.kind == kindEvents {
			return m.encodeJSONEvents(w, p, f, v)
		}
	}
	if p.none {
		return writeBody(w, http.StatusOK, jsonType(m.Protocol), nil)
	}
	return writeBody(w, http.StatusOK, jsonType(m.Protocol), appendJSONStruct(nil, p, v))
}
