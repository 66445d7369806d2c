// Package floor is what `make bench` holds Enfold's speed against, all measured in the same run:
//
//   - relay is F: POST bodies to a Go function through the Runtime API by hand-parsed HTTP on both sides, with no
//     signature, account, permission, log or isolation. An invocation cannot cost much less.
//   - echo is H: a plain net/http server that answers a POST with its body.
//   - load is the client of both and of Enfold itself, lean enough to share two cores with what it measures.
//   - cold is the bare exec of a function binary to its first answer.
//
// relay and echo print their address, "127.0.0.1:41234", as their first line and serve until SIGINT or SIGTERM; load and
// cold print one JSON object: a Report of package floor. Diagnostics go to standard error, and whoever fails ends
// non-zero.
package floor
