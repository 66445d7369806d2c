package cloudtrail

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

const (
	eventVersion = "1.09" // of the record's format

	maxMessage = 1024 // bytes of an errorMessage
	maxText    = 2048 // bytes of what the client says of itself
	maxAccess  = 100  // actions and resources of one call
)

// entry is a call that is over, on its way to the disk.
type entry struct {
	op        *aws.Op
	principal *aws.Principal
	recipient string // account whose trail this is for
	region    string
	requestID string
	sourceIP  string
	userAgent string
	via       string
	access    []aws.Access

	input            any             // of data events: a copy without payload, encoded by the writer
	params, response json.RawMessage // of management events; nil for null
	functionVersion  string
	code, message    string
	at               time.Time
	shared           string // sharedEventID
	intent           *intent
	recovered        bool
	line             []byte // of a left-over intent: encoded already
	data             bool
	cost             int // its size when it was queued
}

// Record is dispatch's Auditor: it is told of every call when it is over, with the answer or the error that the client gets.
// It copies what the record needs, so call and out may be changed afterwards. It waits only when so much is recorded already
// that is not on the disk that the memory for it is full, and then until there is room or ctx ends; the call is recorded in
// any case.
func (s *Service) Record(ctx context.Context, call *aws.Call, out any, err *aws.Error) {
	e := s.newEntry(call)
	if err != nil {
		e.code, e.message = errorCode(err), clip(withoutUserinfo(err.Message), maxMessage)
	}
	if e.data {
		e.input = shallow(call.Input)
		if o, ok := out.(*lambdaapi.InvokeOutput); ok && err == nil && o.ExecutedVersion != nil {
			e.functionVersion = *o.ExecutedVersion
		}
	} else {
		e.params = elements(call.Input, "requestParameters")
		if err == nil && !call.Op.ReadOnly {
			e.response = elements(out, "responseElements")
		}
	}
	entries := [2]entry{e, e}
	n := 1
	// A call across accounts is in the trail of both. One that was refused never left the caller's.
	if p := e.principal; p.Account != "" && p.Account != e.recipient {
		n = 2
		entries[0].shared = uuid.NewString()
		entries[1].shared, entries[1].recipient = entries[0].shared, p.Account
	}
	s.enqueue(ctx, call, entries[:n])
}

// newEntry is what is known of a call before it is over.
func (s *Service) newEntry(call *aws.Call) entry {
	e := entry{
		op: call.Op, principal: call.Principal, recipient: call.Account, region: eventRegion(call.Op, call.Region),
		requestID: call.RequestID, sourceIP: call.SourceIP, userAgent: clip(withoutUserinfo(call.UserAgent), maxText), access: call.Authorized,
		at: s.now(), data: call.Op.Data,
	}
	if e.principal == nil {
		e.principal = &aws.Principal{Type: aws.Anonymous}
	}
	if len(e.access) > maxAccess {
		e.access = e.access[:maxAccess:maxAccess]
	}
	if n := len(call.Via); n > 0 {
		e.via = call.Via[n-1]
	}
	if e.recipient == "" {
		e.recipient = e.principal.Account
	}
	return e
}

// errorCode is what CloudTrail calls an error.
func errorCode(err *aws.Error) string {
	if err.Type.Code == aws.ErrAccessDenied.Code {
		return "AccessDenied"
	}
	return err.Type.Code
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// size is about what an entry keeps in memory, in bytes.
func (e *entry) size() int {
	return 512 + len(e.params) + len(e.response) + len(e.message) + len(e.line)
}

// render is a line of a chunk, see [line]. It may use buf.
func (e *entry) render(buf []byte, id string, who identity) []byte {
	if e.line != nil {
		return e.line
	}
	on := e.resources()
	if e.data {
		e.params = elements(withARN(e.input, on.first), "requestParameters")
	}
	return e.renderOn(on, buf, id, who)
}

// renderOn is render of an entry that has its params.
func (e *entry) renderOn(on resources, buf []byte, id string, who identity) []byte {
	o := newObject(slices.Grow(buf, 1024+len(e.params)+len(e.response)))
	o.text("op", e.op.Name)
	o.text("action", e.op.Action)
	o.key("access")
	o.b = appendAccess(o.b, e.access)
	o.key("record")
	r := newObject(o.b)
	r.text("eventVersion", eventVersion)
	r.raw("userIdentity", e.withVia(who))
	r.text("eventTime", eventTime(e.at))
	r.text("eventSource", eventSource(e.op))
	r.text("eventName", eventName(e.op))
	r.text("awsRegion", e.region)
	r.text("sourceIPAddress", cmp.Or(e.via, e.sourceIP, e.principal.Service))
	r.text("userAgent", cmp.Or(e.via, e.userAgent, e.principal.Service))
	r.text("errorCode", e.code)
	r.text("errorMessage", e.message)
	r.raw("requestParameters", e.params)
	r.raw("responseElements", e.response)
	if more := e.additional(on.first); more != nil {
		r.raw("additionalEventData", more)
	}
	r.text("requestID", e.requestID)
	r.text("eventID", id)
	r.truth("readOnly", e.op.ReadOnly)
	if on.list != nil {
		r.raw("resources", on.list)
	}
	r.text("eventType", "AwsApiCall")
	r.truth("managementEvent", !e.data)
	r.text("recipientAccountId", e.recipient)
	r.text("sharedEventID", e.shared)
	r.text("eventCategory", category(e.data))
	o.b = r.end()
	return o.end()
}

func category(data bool) string {
	if data {
		return "Data"
	}
	return "Management"
}

// withVia is the identity of a principal through whose rights a service called.
func (e *entry) withVia(id identity) []byte {
	if e.via == "" {
		return id
	}
	b := append([]byte(nil), id[:len(id)-1]...)
	return append(appendString(append(b, `,"invokedBy":`...), e.via), '}')
}

// additional is the record's additionalEventData; nil for none.
func (e *entry) additional(function string) []byte {
	if !e.recovered && e.functionVersion == "" {
		return nil
	}
	o := newObject(nil)
	if e.functionVersion != "" {
		o.text("functionVersion", withVersion(function, e.functionVersion))
	}
	if e.recovered {
		o.truth("recovered", true)
		o.text("note", "The change is stored. Enfold ended before the call's outcome was recorded.")
	}
	return o.end()
}

// withVersion is the ARN of a function's version, from an ARN with or without a qualifier.
func withVersion(function, version string) string {
	arn, err := aws.ParseARN(function)
	if err != nil {
		return version
	}
	if p := strings.SplitN(arn.Resource, ":", 3); len(p) > 2 { // function:name:qualifier
		arn.Resource = p[0] + ":" + p[1]
	}
	arn.Resource += ":" + version
	return arn.String()
}

// resources are what a call acted on.
type resources struct {
	list  []byte // JSON; nil for none
	first string // ARN
}

func (e *entry) resources() (on resources) {
	for _, a := range e.access {
		r, ok := resourceOf(a.Resource)
		if !ok || a.Action != e.op.Action {
			continue
		}
		if on.list == nil {
			on.first, on.list = r.ARN, append(on.list, '[')
		} else {
			on.list = append(on.list, ',')
		}
		o := newObject(on.list)
		o.text("accountId", r.Account)
		o.text("type", r.Type)
		o.text("ARN", r.ARN)
		on.list = o.end()
	}
	if on.list != nil {
		on.list = append(on.list, ']')
	}
	return on
}

// withARN names the function of an invocation by its ARN, as CloudTrail does.
func withARN(input any, arn string) any {
	if arn == "" {
		return input
	}
	switch in := input.(type) {
	case *lambdaapi.InvokeInput:
		in.FunctionName = &arn
	case *lambdaapi.InvokeWithResponseStreamInput:
		in.FunctionName = &arn
	}
	return input
}

func appendAccess(b []byte, access []aws.Access) []byte {
	b = append(b, '[')
	for i, a := range access {
		if i > 0 {
			b = append(b, ',')
		}
		o := newObject(b)
		o.text("Action", a.Action)
		o.text("Resource", a.Resource)
		b = o.end()
	}
	return append(b, ']')
}
