// Package guest is the first process inside a gVisor sandbox, and what it and the driver say to each other.
//
// It runs under gVisor's kernel, as root there, with the capabilities to start processes as somebody else and to kill them. It starts the
// function's processes by a thread whose children can get no right, collects orphans, and kills all that is left when the first
// process ends.
//
// Its standard input and output are pipes of the driver's, and nothing else comes in or goes out: gVisor restores exactly these when it
// restores a snapshot, and kills what was started by its own exec. So what functions write comes through here too, in frames,
// and no more of it than the driver has asked for: a reader that is slow makes the function wait and nobody else.
package guest
