package runtimeapi

import (
	"errors"
	"strconv"
)

// reply is an answer to the runtime that has nothing of an invocation in it.
type reply struct {
	status      string // "202 Accepted"
	contentType string
	body        string
	allow       string // of a 405
	stream      string // the log stream, of a restore/next
}

const typeText = "text/plain; charset=utf-8"

var (
	replyAccepted      = &reply{"202 Accepted", typeJSON, "{\"status\":\"OK\"}\n", "", ""}
	replyPong          = &reply{"200 OK", typeText, "pong", "", ""}
	replyNotFound      = &reply{"404 Not Found", typeText, "404 page not found\n", "", ""}
	replyGetOnly       = &reply{"405 Method Not Allowed", "", "", "GET", ""}
	replyPostOnly      = &reply{"405 Method Not Allowed", "", "", "POST", ""}
	replyNoCredentials = &reply{"404 Not Found", typeText, "cannot get credentials for the provided token\n", "", ""}
	replyInvalidID     = errorReply("400 Bad Request", "InvalidRequestID", "Invalid request ID")
	replyInvalidMode   = errorReply("400 Bad Request", "InvalidFunctionResponseMode", "Invalid function response mode")
	replyTruncated     = errorReply("400 Bad Request", "TruncatedHTTPRequest", "HTTP request detected as truncated")
	replyTooLarge      = errorReply("413 Request Entity Too Large", "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
	replyMalformed     = &reply{"400 Bad Request", typeText, "400 Bad Request", "", ""}
	replyHeadTooLarge  = &reply{"431 Request Header Fields Too Large", typeText, "431 Request Header Fields Too Large", "", ""}
	replyNoExpectation = &reply{"417 Expectation Failed", typeText, "417 Expectation Failed", "", ""}
	replyNoCoding      = &reply{"501 Not Implemented", typeText, "501 Unsupported transfer encoding", "", ""}
	replyNoVersion     = &reply{"505 HTTP Version Not Supported", typeText, "505 HTTP Version Not Supported", "", ""}
)

// errorReply is AWS's shape of an error to the runtime. The texts are ours and need no escapes.
func errorReply(status, kind, message string) *reply {
	return &reply{status, typeJSON, `{"errorMessage":"` + message + `","errorType":"` + kind + "\"}\n", "", ""}
}

// replyTransition is the 403 of a request that does not fit the runtime's state.
func replyTransition(from, to state) *reply {
	return errorReply("403 Forbidden", "InvalidStateTransition", "State transition from "+from.String()+" to "+to.String()+
		" failed for runtime. Error: State transition is not allowed")
}

// headReply is what becomes of a request whose head could not be read; nil if there is nobody to tell.
func headReply(err error) *reply {
	switch {
	case errors.Is(err, errSyntax):
		return replyMalformed
	case errors.Is(err, errHeadTooLarge):
		return replyHeadTooLarge
	case errors.Is(err, errVersion):
		return replyNoVersion
	case errors.Is(err, errCoding):
		return replyNoCoding
	case errors.Is(err, errExpectation):
		return replyNoExpectation
	}
	return nil
}

// appendReply renders r. The answer to a HEAD has no body.
func appendReply(b []byte, r *reply, last, head bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = append(b, r.status...)
	if r.contentType != "" {
		b = appendHeader(b, "Content-Type", r.contentType)
	}
	if r.allow != "" {
		b = appendHeader(b, "Allow", r.allow)
	}
	b = appendHeader(b, LogStreamHeader, r.stream)
	b = appendEnd(b, len(r.body), last)
	if head {
		return b
	}
	return append(b, r.body...)
}

// appendEvent renders the head of the answer to a next.
func appendEvent(b []byte, inv *Invocation, last bool) []byte {
	contentType := inv.ContentType
	if contentType == "" {
		contentType = typeJSON
	}
	b = append(b, "HTTP/1.1 200 OK"...)
	b = appendHeader(b, "Content-Type", contentType)
	b = appendHeader(b, "Lambda-Runtime-Aws-Request-Id", inv.RequestID)
	if !inv.Deadline.IsZero() {
		b = append(b, "\r\nLambda-Runtime-Deadline-Ms: "...)
		b = strconv.AppendInt(b, inv.Deadline.UnixMilli(), 10)
	}
	b = appendHeader(b, "Lambda-Runtime-Invoked-Function-Arn", inv.FunctionArn)
	b = appendHeader(b, "Lambda-Runtime-Trace-Id", inv.TraceID)
	b = appendHeader(b, "Lambda-Runtime-Client-Context", inv.ClientContext)
	b = appendHeader(b, "Lambda-Runtime-Cognito-Identity", inv.CognitoIdentity)
	b = appendHeader(b, "Lambda-Runtime-Aws-Tenant-Id", inv.TenantID)
	if inv.Poll > 0 {
		b = append(b, "\r\nEnfold-Poll-Micros: "...)
		b = strconv.AppendInt(b, inv.Poll.Microseconds(), 10)
	}
	return appendEnd(b, len(inv.Payload), last)
}

// appendEnd ends a head.
func appendEnd(b []byte, length int, last bool) []byte {
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(length), 10)
	if last {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}

// appendHeader adds a header unless its value is empty. Values come from callers: control characters, which could end the
// header, become spaces.
func appendHeader(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, "\r\n"...)
	b = append(b, name...)
	b = append(b, ": "...)
	from := len(b)
	b = append(b, value...)
	for i, c := range b[from:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[from+i] = ' '
		}
	}
	return b
}
