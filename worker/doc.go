// Package worker is the pool of sandboxes: which one runs this invocation, warm or cold, and when it goes away.
//
// One sandbox runs one invocation at a time and belongs to one Function, which is one revision of one version. Idle
// sandboxes are reused most recent first and reaped after a while; a retired Function's sandboxes finish what they run
// and are gone.
package worker
