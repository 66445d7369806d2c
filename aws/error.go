package aws

import (
	"errors"
	"fmt"
	"maps"
)

// ErrorType is one modelled error of a service. Generated; the ones every service shares are below.
type ErrorType struct {
	Code      string // the shape's name: "ResourceNotFoundException"
	QueryCode string // by awsQueryError, if it differs: "AWS.SimpleQueueService.NonExistentQueue"
	Status    int    // HTTP status
	Server    bool   // our fault, not the sender's
	MessageAs string // how the body spells the message's key: "message" or "Message"
	Untyped   bool   // the body has no "Type" even where Service.TypedErrors is set (ValidationException)
}

// Error makes an ErrorType itself usable as errors.Is's target.
func (t *ErrorType) Error() string { return t.Code }

// New is an error of this type with AWS's message.
func (t *ErrorType) New(message string) *Error { return &Error{Type: t, Message: message} }

// Withf is New with a format.
func (t *ErrorType) Withf(format string, args ...any) *Error {
	return &Error{Type: t, Message: fmt.Sprintf(format, args...)}
}

// Error is what reaches the client: everything else becomes InternalFailure and a log line.
type Error struct {
	Type    *ErrorType
	Message string
	Fields  map[string]any    // further members of the error's body: {"Reason": "…"}
	Header  map[string]string // further response headers: {"Retry-After": "1"}
	Cause   error             // for the log only
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Type.Code
	}
	return e.Type.Code + ": " + e.Message
}

// Is matches the ErrorType and any Error of the same type.
func (e *Error) Is(target error) bool {
	if t, ok := target.(*ErrorType); ok {
		return t == e.Type
	}
	var o *Error
	return errors.As(target, &o) && o.Type == e.Type
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// With adds a member to the error's body and returns a copy.
func (e *Error) With(member string, value any) *Error {
	c := *e
	c.Fields = maps.Clone(e.Fields)
	if c.Fields == nil {
		c.Fields = map[string]any{}
	}
	c.Fields[member] = value
	return &c
}

// WithHeader adds a response header and returns a copy.
func (e *Error) WithHeader(name, value string) *Error {
	c := *e
	c.Header = maps.Clone(e.Header)
	if c.Header == nil {
		c.Header = map[string]string{}
	}
	c.Header[name] = value
	return &c
}

// Because keeps the cause for the log and returns a copy.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Errors that no service models but every service answers.
// See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
var (
	ErrInternalFailure = &ErrorType{Code: "InternalFailure", Status: 500, Server: true, MessageAs: "message", Untyped: true}
	ErrNotImplemented  = &ErrorType{Code: "NotImplemented", Status: 501, Server: true, MessageAs: "message", Untyped: true}
	ErrValidation      = &ErrorType{Code: "ValidationException", QueryCode: "ValidationError", Status: 400, MessageAs: "message", Untyped: true}
	ErrSerialization   = &ErrorType{Code: "SerializationException", QueryCode: "MalformedInput", Status: 400, MessageAs: "Message", Untyped: true}
	ErrUnknownOp       = &ErrorType{Code: "UnknownOperationException", QueryCode: "InvalidAction", Status: 404, MessageAs: "message", Untyped: true}
	ErrAccessDenied    = &ErrorType{Code: "AccessDeniedException", QueryCode: "AccessDenied", Status: 403, MessageAs: "Message", Untyped: true}
	ErrThrottling      = &ErrorType{Code: "ThrottlingException", QueryCode: "Throttling", Status: 400, MessageAs: "message", Untyped: true}
	ErrUnavailable     = &ErrorType{Code: "ServiceUnavailable", Status: 503, Server: true, MessageAs: "message", Untyped: true}
	ErrTooLarge        = &ErrorType{Code: "RequestEntityTooLargeException", QueryCode: "RequestEntityTooLarge", Status: 413, MessageAs: "message", Untyped: true}
)
