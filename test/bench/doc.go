//go:build linux

// Command bench is `make bench`: it holds bin/enfold against the floors of package floor and prints one table of ratios.
//
// Every pair is measured in the same run on the same machine, alternating, and a ratio is the median of the rounds' ratios:
// a machine that is busy with something else slows both sides of a pair. The floors:
//
//   - F, the relay: the same function binary with nothing around it
//   - H, the echo: a net/http server that answers a POST with its body
//   - bare exec: the function binary, or a language's interpreter, from its fork to its first answer
//   - http.client and node's http agent: the same handler and interpreter in the same sandbox, run by a program on those
//
// More pairs are of Enfold with itself: a call by a user with many policies against the same call by the root user, whom none
// concern; a burst of cold starts, and cold starts beside functions that run, against a server that boots no runtime ahead; and
// a server with many roles and policies against an empty one, which is stated and has no target. A published version with SnapStart
// against the cold start of the same code without. What functions and sandboxes
// cost that nobody calls is absolute. That part makes a thousand sandboxes and needs some 14 GiB of memory; it is skipped, and
// says so, where there is less.
//
// It starts a server of its own on a temporary data directory and a free port, calls it through the public API with signed
// requests, and leaves nothing behind. A missed target is said in the table and is no error; the exit status is non-zero
// only if something broke.
package main
