// Package runtimeapi serves AWS's Lambda Runtime API, one Session per sandbox.
//
// A Session goes through the same states for every runtime process: Begin forgets the last process, the runtime calls next
// (WaitReady), Run hands it an event and waits for its response or error, the runtime calls next again (WaitIdle). Only
// what a runtime posts in the right state, for the invocation that is running, on a connection of the running process,
// counts.
//
// It is the hot path of every invocation, so it speaks HTTP/1.1 itself, strictly and only as much as its few routes need:
// net/http was measured to double the server's CPU and to cost half again the latency. The goroutine of Run writes the
// event to the connection of the waiting next; that connection's goroutine sits in a read all the while, so an
// invocation wakes two goroutines: the one that reads the answer, and Run.
//
// The peer is the function's own code and is trusted with nothing. Lines are limited to 64 KiB, a request's head to 64 KiB
// and 100 headers (the X-Ray cause header, which aws-lambda-go sends with up to 1 MB, is skipped unread), connections to
// 128 per sandbox and to what is left of the Budget of all of them, bodies to MaxPayload or MaxStream: what is over is read and
// thrown away, at most 64 MiB of it. Ambiguous framing (two lengths, a length and chunks, bare line feeds, folded headers) is refused and the connection closed. A peer
// that is slow, or that does not read, holds up nothing but its own sandbox.
//
// A function with SnapStart has the routes of Snap. What its runtime does is: load the function, run the hooks before the snapshot,
// call restore/next; then, restored in another sandbox with another Session, or in the same if nothing was stored, run the hooks after
// it, post restore/error if they fail, and call next.
//
// Not like AWS: the routes of extensions and telemetry answer 404; streamed responses are not slowed to
// 2 MiB/s; a second next while one waits cuts the first one's connection.
//
// See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
package runtimeapi
