// Package sandboxtest is what every sandbox driver must pass: what a function sees and can do, what limits it, what becomes of its
// processes, that nothing is left of it, and attempts to escape.
//
// The attempts are made for real, by a program inside the sandbox: the test binary itself, bound into it. Under a driver that
// does not isolate, the same attempts must succeed where the test's user has the rights. That is the control: a test of
// isolation that cannot fail shows nothing.
//
// Each attempt says which published escape, or class of them, it stands for, and who must succeed with it where nothing isolates. What
// would do harm there is made only in a sandbox, and says why.
//
// A driver's test calls MaybeProbe first thing in TestMain, and Run; RunAhead if it is a sandbox.Warmer, which does all of it once
// more with sandboxes that waited before they became somebody's; AsUser for the same as an ordinary user. AllowedCalls is what a
// filter of system calls may let through.
package sandboxtest
