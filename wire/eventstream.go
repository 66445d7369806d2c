package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"net/http"
	"reflect"

	"github.com/enfold-run/enfold/aws"
)

// eventStreamType is the content type of AWS's binary frames.
// See https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html.
const eventStreamType = "application/vnd.amazon.eventstream"

// encodeEvents writes a REST answer whose body is an event stream.
func encodeEvents(w http.ResponseWriter, status int, f *field, events iter.Seq2[any, error]) error {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = []string{eventStreamType}
	}
	w.WriteHeader(status)
	return streamEvents(w, f, events)
}

// encodeJSONEvents writes an answer of JSON 1.0 or 1.1 with an event stream: its other members are the first event.
func (m *Match) encodeJSONEvents(w http.ResponseWriter, p *structPlan, f *field, v reflect.Value) error {
	w.Header()["Content-Type"] = []string{eventStreamType}
	w.WriteHeader(http.StatusOK)
	rest := *p
	rest.fields = nil
	for _, other := range p.fields {
		if other.kind != kindEvents {
			rest.fields = append(rest.fields, other)
		}
	}
	var fr frame
	fr.header(":message-type", "event")
	fr.header(":event-type", "initial-response")
	fr.header(":content-type", jsonType(m.Protocol))
	if _, err := w.Write(fr.bytes(appendJSONStruct(nil, &rest, v))); err != nil {
		return err
	}
	events, _ := v.Field(f.index).Interface().(iter.Seq2[any, error])
	return streamEvents(w, f, events)
}

// streamEvents runs the stream to its end, flushing every event. An error in it becomes the last frame and, if it is
// not an *aws.Error, is returned; so is a client that went away.
func streamEvents(w http.ResponseWriter, f *field, events iter.Seq2[any, error]) error {
	c := http.NewResponseController(w)
	// A writer that cannot flush sends what it has when it sees fit: the answer is whole all the same.
	_ = c.Flush()
	if events == nil {
		return nil
	}
	for event, err := range events {
		last := err != nil
		var b []byte
		if last {
			b = errorFrame(err)
		} else if b, err = eventFrame(f, event); err != nil {
			return err
		}
		if _, werr := w.Write(b); werr != nil {
			return werr
		}
		_ = c.Flush()
		if last {
			if _, modelled := errors.AsType[*aws.Error](err); modelled {
				return nil
			}
			return err
		}
	}
	return nil
}

// eventFrame is one event of the union, told by its Go type.
func eventFrame(f *field, event any) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(event))
	if !v.IsValid() || v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("wire: %T is no event", event)
	}
	name, ok := f.events[v.Type().Name()]
	if !ok {
		return nil, fmt.Errorf("wire: %s has no event %T", f.name, event)
	}
	p := planOf(v.Type())
	var fr frame
	fr.header(":message-type", "event")
	fr.header(":event-type", name)
	contentType, payload := eventPayload(p, v)
	for i := range p.fields {
		h := &p.fields[i]
		if hv, ok := h.present(v.Field(h.index)); ok && h.loc == inEventHeader {
			fr.header(h.name, h.text(hv, tsISO8601))
		}
	}
	if contentType != "" {
		fr.header(":content-type", contentType)
	}
	return fr.bytes(payload), nil
}

func eventPayload(p *structPlan, v reflect.Value) (contentType string, payload []byte) {
	if p.payload == nil {
		return "application/json", appendJSONStruct(nil, p, v)
	}
	pv, ok := p.payload.present(v.Field(p.payload.index))
	if !ok {
		return "", nil
	}
	switch p.payload.kind {
	case kindBlob:
		return "application/octet-stream", pv.Bytes()
	case kindString:
		return "text/plain", []byte(pv.String())
	}
	return "application/json", appendJSON(nil, p.payload.node, pv)
}

// errorFrame ends a stream: a modelled error as an exception, everything else as an internal failure without its cause.
func errorFrame(err error) []byte {
	var fr frame
	e, ok := errors.AsType[*aws.Error](err)
	if !ok {
		fr.header(":message-type", "error")
		fr.header(":error-code", aws.ErrInternalFailure.Code)
		fr.header(":error-message", "")
		return fr.bytes(nil)
	}
	fr.header(":message-type", "exception")
	fr.header(":exception-type", e.Type.Code)
	fr.header(":content-type", "application/json")
	return fr.bytes(errorAnswer{}.jsonError(e, false))
}

// frame collects the headers of a message.
type frame struct {
	headers []byte
}

// stringHeader is the type of a header whose value is text.
const stringHeader = 7

// header adds a text header; names have at most 255 bytes, and values are cut at 32 KiB less one.
func (fr *frame) header(name, value string) {
	if len(value) > 1<<15-1 {
		value = value[:1<<15-1]
	}
	fr.headers = append(fr.headers, byte(len(name)))
	fr.headers = append(fr.headers, name...)
	fr.headers = append(fr.headers, stringHeader)
	fr.headers = binary.BigEndian.AppendUint16(fr.headers, uint16(len(value)))
	fr.headers = append(fr.headers, value...)
}

// bytes is the whole message: prelude, headers, payload, and the checksums of prelude and message.
func (fr *frame) bytes(payload []byte) []byte {
	total := 12 + len(fr.headers) + len(payload) + 4
	b := make([]byte, 0, total)
	b = binary.BigEndian.AppendUint32(b, uint32(total))
	b = binary.BigEndian.AppendUint32(b, uint32(len(fr.headers)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, fr.headers...)
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}
