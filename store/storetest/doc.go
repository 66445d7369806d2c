// Package storetest is what every store backend must pass.
//
// A backend's test is a few lines: [Run] for the contract, [Kill] and [PowerCut] for what a crash may not lose, [DiskFull]
// for a disk with no space. The last three work on a [Backend] and need a TestMain that begins with [Child], because the
// store that crashes is in a process of its own: the test binary, started again.
package storetest
