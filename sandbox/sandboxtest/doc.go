// Package sandboxtest is what every sandbox driver must pass: what a function sees and can do, what limits it, what becomes of its
// processes, that nothing is left of it, and attempts to escape.
//
// The attempts are made for real, by a program inside the sandbox: the test binary itself, bound into it. Under a driver that
// does not isolate, the same attempts must succeed where the test's user has the rights. That is the control: a test of
// isolation that cannot fail shows nothing.
//
// A driver's test calls MaybeProbe first thing in TestMain, and Run.
package sandboxtest
