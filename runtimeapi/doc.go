// Package runtimeapi serves AWS's Lambda Runtime API, one Session per sandbox.
//
// It is the hot path of every invocation, so it speaks HTTP/1.1 itself, strictly and only as much as its few routes need:
// net/http was measured to double the server's CPU and to cost half again the latency.
//
// See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
package runtimeapi
