// Package worker is the pool of sandboxes: which one runs this invocation, warm or cold, and when it goes away.
//
// One sandbox runs one invocation at a time and belongs to one Function, which is one revision of one version. Idle
// sandboxes are reused most recent first and reaped after a while; a retired Function's sandboxes finish what they run
// and are gone.
//
// A cold start takes a sandbox in which the language runtime has booted, if one waits (ready); more of them wait where there is more
// demand, within a bound of memory. Between invocations a sandbox stands still (freezer). Where the host's memory is short, idle
// ones give back what they can, and then they go, those first that were used longest ago (relieve).
//
// A function with SnapStart is taken through its Init phase once, stored by a driver that can (Pool.Snapshot), and restored for its cold
// starts; where that fails it starts as others do. One that is restored stands by for the next cold start.
//
// Provisioned ones are made ahead of any invocation, Init phase included, are used first, and stay while they are idle. They count
// among all that may exist, and none of them is evicted for another Function's.
//
// With LogFormat JSON, what a function writes itself as a JSON object with a level and a timestamp is dropped if its application log
// level says so.
//
// Not like AWS: lines that Lambda counts as INFO for want of a level or of a timestamp, text among them, stay at every application log
// level.
package worker
