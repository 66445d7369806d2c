// Package dispatch is the one path of every call, off the wire or from a service inside: throttle, authorize, handle,
// audit, measure.
//
// What a caller may rely on: no handler runs before its call was authorized; every call is audited and measured, refused
// ones included; and the error is always an *aws.Error, so what a handler did not mean for the client stays in the log.
//
// Handlers contain no authorization code and no logging of requests: both are here, once.
package dispatch
