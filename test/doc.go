// Package test is the end-to-end tests: they start the real binary on a directory of their own and drive it with the real
// AWS CLI, boto3, the AWS SDKs for Go and JavaScript, and with hostile bytes on the wire; functions misbehave in every way
// the tests could think of; and the server is interrupted and killed. Nothing may be left over afterwards.
//
// Run them by `make test`, which installs the clients first (setup.sh). A machine that lacks one skips its tests and says so.
package test
