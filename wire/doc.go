// Package wire turns HTTP requests into ops with typed inputs, and typed outputs and errors into HTTP responses, in
// every protocol that AWS clients speak: REST-JSON, REST-XML, JSON 1.0 and 1.1, query, EC2 query and RPC v2 CBOR, with
// event streams.
//
// A Router finds the op of a request (Route), a Match decodes its input, checks the model's constraints with AWS's own
// wording (Validate), and encodes the answer or the error. The codecs know no service: they read the struct tags that
// cmd/apigen writes. Everything that is learned from a type is learned at its first use and kept, so that starting
// costs nothing.
//
// What comes off the wire is hostile: nesting, counts and sizes are bounded, and whatever does not decode is an
// *aws.Error.
//
// # Tags
//
// wire:"NAME,…" says how a member travels: its wire name, then at=NAME (how messages spell it, if not like the wire
// name), its place if that is not the body (label, query, header, headers, status, payload, eventpayload,
// eventheader, events), and flat, attr, json, token, ec2=NAME, form=NAME (in query), ts=FORMAT, ns=URI, prefix=P. check:"…" says what it must
// satisfy: required, notnull, bare, secret, min=N, max=N, enum=a|b, pattern=REGEX (the last one). The keys wire.e and check.e
// speak of a list's elements, .k and .v of a map's keys and values, and so on inwards (check.v.e).
// A blank field's shape:"…" speaks of the whole structure: none, union, root=NAME, ns=URI, prefix=P.
package wire
