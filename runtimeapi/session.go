package runtimeapi

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxPayload is the most bytes of an event or of a buffered answer: 6 MiB + 100.
const MaxPayload = 6291556

// MaxStream is the most bytes of a streamed answer: 200 MB.
const MaxStream = 200 << 20

// Invocation is one event for the function.
type Invocation struct {
	RequestID       string
	Payload         []byte
	ContentType     string // application/json if empty
	Deadline        time.Time
	FunctionArn     string // as the caller named it, qualifier included
	TraceID         string // "Root=1-…;Parent=…;Sampled=0"
	ClientContext   string // decoded JSON
	CognitoIdentity string // JSON
	TenantID        string
	// Poll is how long a runtime of ours may look for the next event before it sleeps until one comes: Enfold-Poll-Micros.
	Poll time.Duration
	// Stream gets the answer's bytes as they come, if the caller asked for streaming. Otherwise they are collected. A Stream
	// that is also a Flusher (interface{ Flush() }) is flushed after every piece.
	Stream io.Writer
}

// Answer is what the runtime posted for an invocation.
type Answer struct {
	Payload     []byte // of the response, or of the error; empty if it went to Stream
	ContentType string
	// Failed says that the runtime posted an error. ErrorType is its Lambda-Runtime-Function-Error-Type header, normalised.
	Failed    bool
	ErrorType string
	// Streamed says that the bytes went to Invocation.Stream. StreamErrorType, as the runtime wrote it, and StreamErrorBody,
	// out of its base64, are the trailers of a response that failed midway, streamed or collected.
	Streamed        bool
	StreamErrorType string
	StreamErrorBody []byte
	Bytes           int64 // produced
}

// Errors of Session. Every one is about the function, not about us.
var (
	ErrTooLarge      = errors.New("runtimeapi: response payload size exceeded maximum allowed payload size (6291556 bytes)") // Function.ResponseSizeTooLarge
	ErrTruncated     = errors.New("runtimeapi: response was cut off")                                                        // Runtime.TruncatedResponse
	ErrResponseMode  = errors.New("runtimeapi: invalid function response mode header")                                       // Runtime.InvalidResponseModeHeader
	ErrSessionClosed = errors.New("runtimeapi: session closed")
	ErrNotReady      = errors.New("runtimeapi: the runtime is not waiting for an event")

	// ErrStreamTooLarge is the ErrTooLarge of what was posted as a stream.
	ErrStreamTooLarge = fmt.Errorf("%w, which is %d for a stream", ErrTooLarge, MaxStream)
)

// InitError is what the runtime posted to /runtime/init/error.
type InitError struct {
	Payload     []byte
	ContentType string
	ErrorType   string
}

func (e *InitError) Error() string { return "runtimeapi: init error " + e.ErrorType }
