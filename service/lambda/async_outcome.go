package lambda

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
)

// mostFor is the most bytes, attributes included, that a destination or dead-letter queue takes.
func mostFor(target string) int {
	if arn, err := aws.ParseARN(target); err == nil && arn.Service == "sns" {
		return 256 << 10
	}
	return 1 << 20 // a message of SQS, and an event of Lambda
}

// outcome is how an asynchronous invocation ended.
type outcome struct {
	d     *event.Delivery
	o     event.Outcome
	arn   string
	run   *ran // the last one; nil if it did not get so far
	tries int  // how often the function ran
}

func newOutcome(d *event.Delivery, o event.Outcome, r ref) outcome {
	out := outcome{d: d, o: o, arn: qualify(r.arn(), r.orLatest()), tries: d.Tries}
	if run, ok := o.Result.(*ran); ok {
		out.run = run
		out.tries++ // this one is not counted yet
	} else {
		out.run = remembered(d, r)
	}
	return out
}

type requestContext struct {
	RequestID    string `json:"requestId"`
	FunctionArn  string `json:"functionArn"`
	Condition    string `json:"condition"`
	InvokedTimes int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// invocationRecord is what a destination gets.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html.
type invocationRecord struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  requestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload,omitempty"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

func (rec *invocationRecord) encode() []byte {
	b, err := json.Marshal(rec)
	if err != nil { // the payloads were checked
		return []byte("{}")
	}
	return event.Sendable(b)
}

// record is the invocation's record in at most most bytes. That of a success is as it is, or nil. That of a failure has less in it
// if need be: of the function's answer the type of the error and the beginning of its message, then not the event either. AWS
// drops the payload in this case, too, but does not say which.
func (out outcome) record(most int) []byte {
	rec := &invocationRecord{
		Version: "1.0", Timestamp: out.o.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{out.d.Headers[headRequestID], out.arn, out.condition(), out.tries},
		RequestPayload: json.RawMessage(out.d.Payload),
	}
	if out.run != nil {
		rec.ResponseContext = &responseContext{200, out.run.version, out.run.resp.FunctionError}
		rec.ResponsePayload = asJSON(out.run.resp.Payload)
	}
	b := rec.encode()
	if len(b) <= most {
		return b
	}
	if out.o.Err == nil {
		return nil
	}
	if out.run != nil {
		if rec.ResponsePayload = shortError(out.run.resp.Payload); len(rec.encode()) <= most {
			return rec.encode()
		}
	}
	rec.RequestPayload = nil
	return rec.encode()
}

// functionError is what a runtime answers for a function that failed.
type functionError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType,omitempty"`
}

// shortError is the beginning of what a function said of its failure; nil if it said nothing that a runtime would.
func shortError(payload []byte) json.RawMessage {
	var said functionError
	if json.Unmarshal(payload, &said) != nil || said == (functionError{}) {
		return nil
	}
	b, err := json.Marshal(functionError{cut(said.Message, maxErrorMessage), cut(said.Type, maxErrorMessage)})
	if err != nil {
		return nil // strings always marshal
	}
	return b
}

func (out outcome) condition() string {
	switch {
	case out.o.Err == nil:
		return "Success"
	case errors.Is(out.o.Err, errZeroReserved):
		return "ZeroReservedConcurrency"
	case out.gone(): // AWS has no condition for it that was seen; this is the error of who invokes what is not there
		return "ResourceNotFound"
	case out.o.Cause == event.Refused: // stopped in a loop: AWS has no condition for it that was seen
		return string(event.Exhausted)
	}
	return string(out.o.Cause)
}

// gone says that the function, version or alias was deleted before the event was done.
func (out outcome) gone() bool {
	var gone errGone
	return errors.As(out.o.Err, &gone)
}

// maxErrorMessage is the longest ErrorMessage of a dead letter, in bytes.
const maxErrorMessage = 1024

// deadLetter is the event and the attributes of a dead letter, in at most most bytes: with a shorter ErrorMessage if need be, or
// with empty attributes in place of those that the event has no room for. An event that does not fit by itself is nil, which is not
// sent: the attributes say which it was.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq.
func (out outcome) deadLetter(most int) (body []byte, attributes map[string]string) {
	body = event.Sendable(out.d.Payload)
	room := most - len(body)
	if room < 0 {
		body, room = nil, most
	}
	h := map[string]string{"RequestID": out.d.Headers[headRequestID]}
	h["ErrorCode"], h["ErrorMessage"] = out.said()
	for _, a := range []struct{ name, kind string }{{"RequestID", "String"}, {"ErrorCode", "Number"}, {"ErrorMessage", "String"}} {
		free := room - len(a.name) - len(a.kind)
		if a.name == "ErrorMessage" {
			h[a.name] = cut(h[a.name], max(free, 0))
		}
		if h[a.name] == "" || len(h[a.name]) > free {
			h[a.name] = ""
			continue
		}
		room = free - len(h[a.name])
	}
	return body, h
}

// said is what a dead letter says of the failure.
func (out outcome) said() (code, message string) {
	var e *aws.Error
	switch {
	case out.o.Cause == event.Refused && errors.As(out.o.Err, &e): // not what it said at an earlier try
		code, message = strconv.Itoa(e.Type.Status), e.Message
	case out.run != nil:
		var said functionError
		_ = json.Unmarshal(out.run.resp.Payload, &said) // a function may answer anything
		code, message = "200", said.Message
	case errors.As(out.o.Err, &e):
		code, message = strconv.Itoa(e.Type.Status), e.Message
	case out.o.Cause == event.TooOld && out.d.Headers[headLastCode] != "":
		code, message = out.d.Headers[headLastCode], out.d.Headers[headLastMessage]
	default:
		code, message = "429", "Rate Exceeded."
	}
	return code, cut(strings.Map(plain, message), maxErrorMessage)
}

// plain is a rune as an attribute may have it: SQS refuses a message with others.
func plain(r rune) rune {
	if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return utf8.RuneError
	}
	return r
}

// cut is the first most bytes of a text, or less if that would end inside a rune.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// asJSON is a function's answer inside a record: as it is, or a string if it is no JSON.
func asJSON(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(b) {
		return json.RawMessage(b)
	}
	quoted, err := json.Marshal(string(b))
	if err != nil {
		return json.RawMessage("null") // a string always marshals
	}
	return quoted
}

// Undelivered counts a delivery of DestinationKind that was given up.
func (s *Service) Undelivered(d *event.Delivery) {
	arn, err := aws.ParseARN(d.Source)
	if err != nil {
		return // deliveries have the ARN of a function
	}
	s.metrics.undelivered(d.Scope, strings.TrimPrefix(arn.Resource, "function:"), len(d.Headers) > 0)
}
