// Package gateway is the front door: it routes, authenticates, decodes, calls and encodes.
//
// Everything that comes in is hostile until its signature was compared. So the order is: the cheap refusals first, from
// the request line and the headers alone (no signature, an unknown key, a stale date, a wrong service, a body announced
// too large), before the body is read and before a client that asked for "100 Continue" gets it; then the body, bounded
// in size, in time and in what all unverified bodies together may take; then the signature; and only then is anything
// decoded.
//
// Guessing keys is of no use: a Guard counts failures by source, and beyond its limit answers all that fail alike.
//
// What a stranger gets without a signature: GET /_enfold/health; from the same machine, or with the token, GET
// /_enfold/metrics; and the internal handlers, which look after themselves (presigned downloads).
//
// NewServer is an http.Server with bounds on headers, connections and idleness. An invocation may take fifteen minutes;
// sending its request and reading its answer may not.
package gateway
