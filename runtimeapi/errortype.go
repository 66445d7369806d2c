package runtimeapi

import (
	"bytes"
	"encoding/json"
)

const (
	typeJSON   = "application/json"
	typeBinary = "application/octet-stream"
	// typeErrorCause is an error with its X-Ray cause in the body instead of a header.
	typeErrorCause = "application/vnd.aws.lambda.error.cause+json"

	functionUnknown = "Function.Unknown"
	runtimeUnknown  = "Runtime.Unknown"
)

// normalErrorType keeps "Runtime.Xyz" and "Function.Xyz" of letters and makes all else unknown, because the header is the
// function's to choose and the type goes into metrics and logs.
func normalErrorType(value []byte) string {
	const maxType = 128
	name, ok := bytes.CutPrefix(value, []byte("Function."))
	unknown := functionUnknown
	if !ok {
		name, ok = bytes.CutPrefix(value, []byte("Runtime."))
		unknown = runtimeUnknown
	}
	if !ok || len(value) > maxType || len(name) < 2 || name[0] < 'A' || name[0] > 'Z' {
		return unknown
	}
	for _, c := range name {
		if c |= 'a' - 'A'; c < 'a' || c > 'z' {
			return unknown
		}
	}
	return string(value)
}

// plainError takes the X-Ray cause out of an error of typeErrorCause: callers get message, type and stack trace alone.
func plainError(payload []byte) (plain []byte, contentType string) {
	var e struct {
		Message string   `json:"errorMessage"`
		Type    string   `json:"errorType"`
		Stack   []string `json:"stackTrace,omitempty"`
	}
	if json.Unmarshal(payload, &e) == nil {
		if plain, err := json.Marshal(e); err == nil {
			return plain, typeJSON
		}
	}
	return []byte(`"Invalid error body"`), typeBinary
}

// jsonOrBinary is the media type of an init error, whatever its header said.
func jsonOrBinary(payload []byte) string {
	if json.Valid(payload) {
		return typeJSON
	}
	return typeBinary
}
