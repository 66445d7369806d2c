// Package sandbox is the contract of an execution environment: Driver, Sandbox, Process, Spec.
//
// A sandbox outlives its processes: after a timeout or a crash the worker kills every process in it and starts a fresh one,
// and /tmp is as the last one left it, as on AWS. A sandbox serves one function version of one account and is never handed on.
//
// Drivers are in sandbox/<driver>; what each must pass, escape attempts included, is in sandbox/sandboxtest.
package sandbox
