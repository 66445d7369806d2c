// Package http1 serves HTTP/1.1 and HTTP/1.0 over plain connections to any http.Handler, at a fraction of the processor
// time that net/http takes. It is the front door's hot path: an invocation is a small request and a small answer.
//
// What a handler may rely on: the *http.Request is its own and may be kept, and is filled as net/http fills it. The
// ResponseWriter works with http.ResponseController (read and write deadlines, Flush, EnableFullDuplex, which changes
// nothing: an answer never waits for the rest of the body). The request's context ends when the handler returns, when the
// server is closed, and when the client goes away: half a second after that at the latest, once the body was read.
//
// What a client may rely on: keep-alive, pipelining, "Expect: 100-continue", chunked bodies and answers, trailers of
// answers, HEAD. An answer that a handler cut off by a panic is cut off on the wire too.
//
// What the network cannot do: a request that two implementations could read in two ways is refused and ends the connection
// (RFC 9112: bare line feeds, folded headers, white space before a colon, more than one Content-Length, Content-Length
// beside Transfer-Encoding, codings other than chunked, more than one Host). Heads are bounded in size, number of fields
// and time; connections in number, and the one that waits longest makes room for a newcomer; a waiting connection holds no
// buffer.
//
// Not like net/http: no upgrades, Hijack, HTTP/2 or TLS; a request's trailers are checked and dropped; a handler's
// Transfer-Encoding is ignored.
package http1
