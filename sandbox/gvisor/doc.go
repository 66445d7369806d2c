// Package gvisor is the driver that puts a kernel of its own between a function and the host: gVisor's, one for each sandbox. It wants
// Linux on amd64 or arm64, root, and the program enfold-gvisor beside the server or in PATH.
//
// A function's system calls are answered by gVisor, a program that is written in Go and runs as an ordinary process of the host, with
// a host user id that no other sandbox has, in namespaces of its own, on an empty root, behind a filter that leaves it few system
// calls. Files it reads by descriptors that were opened for it, read-only. Memory, processes and processor time are limited by the
// control groups that the namespace driver uses too, and the number of processes once more by gVisor.
//
// The function's first process is ours (package guest). It runs under gVisor, and what functions write goes through it, so that all that
// connects a sandbox to the server are two pipes and the two sockets that listen in its network.
//
// # How a sandbox is made
//
// A thread of the server enters new mount and network namespaces and stays there (keeper): it builds the file system, and starts
// enfold-gvisor as its child in a new pid namespace. The kernel kills that when the thread ends, with the server or by Destroy, and
// everything else of gVisor with it; the mounts and the network end with the thread. That takes some 150 ms. A function whose sandbox
// has waited, a language runtime booted in it (Warm), has its first answer after some milliseconds: its code is mounted below
// a file system of which gVisor remembers nothing and asks the host each time.
//
// # Threat model
//
// The function is taken to be hostile, and to have a way to attack the host's kernel by any system call. It does not make any: it
// must break gVisor first, and then a process that has no rights, sees no files but the function's own, and has the few system calls
// that gVisor needs. Sandboxes share the host's kernel beneath that, the processor with its caches, and what it leaks.
//
// Two things are less than gVisor could do. Its network is the host's TCP/IP in an empty network namespace (hostinet), and not its own
// stack: socket calls for TCP and UDP reach the host's kernel, checked and filtered by gVisor. And gVisor opens files itself (directfs)
// instead of asking another process to.
//
// One process of gVisor's stays root: the parent of the others, which waits for their end and hears of nothing else.
//
// What a function can learn of the host: the processor, how much memory there is, what is installed below /usr.
//
// # What differs from the host's kernel
//
// The suite of sandboxtest passes, with these differences, which it is told of (Expect.OwnKernel and Harmless):
//
//   - uname says Linux 4.19.0-gvisor, and /proc, /sys and /dev are gVisor's. /dev has pts and ptmx besides; /sys shows gVisor's control
//     groups and the number of processors. Device nodes that code brings along are gVisor's devices of these numbers: null, zero and
//     the like. Nothing of it is the host's.
//   - System calls that gVisor lacks fail with ENOSYS: see https://gvisor.dev/docs/user_guide/compatibility/. The filter of system calls of the
//     namespace driver applies as well; where that kills, this one says ENOSYS.
//   - Too much memory ends the whole sandbox and not one process: to the host, gVisor is one. The next Start begins with an empty /tmp.
//     What gVisor needs for itself is granted beyond the limit, and so is a tenth of a core.
//   - Each process of a function costs gVisor memory of its own: hundreds of them reach the limit of memory before that of processes.
//   - A function may run before all others, and write its own OOM score: both count inside its sandbox alone.
//   - gVisor remembers what lies below /usr, as nobody changes it while it is in use. A host that installs packages meanwhile should
//     restart the server.
//   - /tmp has no limit of names, but what they take counts as memory.
//
// # Snapshots
//
// Snapshot has gVisor store itself, Restore makes any number of others of that. Connections end: a read says ECONNRESET. Random numbers of
// the kernel's differ in each; those of a program's own generator do not, unless it is told. What is stored is the function's memory:
// whoever can read the directory has its secrets.
package gvisor
