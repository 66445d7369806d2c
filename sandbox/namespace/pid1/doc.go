// Package pid1 is the first process of a sandbox of the namespace driver: it builds the file system, drops every right it does
// not need, runs the function's processes, and takes them all with it when it goes.
//
// The driver starts it in new user, pid, mount, ipc and uts namespaces and in its network namespace, and tells it by messages over
// a socket, file descriptor 3, what to do:
//
//	Base    build what every sandbox has
//	Enter   go in: pivot_root; a thread is readied that has no rights left, and will start the function
//	        (a stock of sandboxes waits here)
//	Mount   mount more, of what is known ahead; then Start runs a process that reads its standard input and waits
//	Claim   mount what the sandbox's owner has, a container image as the root among it; the root is read-only now
//	Config  hand a process that waits its configuration over
//	Start   run a process; Started tells whether it runs, Exited how it ended, all its descendants dead by then
//	Kill    kill every process but this one
//	Stop    SIGSTOP to every process but this one, and Cont SIGCONT
//	Term    SIGTERM to the process that Start started
//
// When the socket closes, because the driver closed it or the server died, it exits, and the kernel kills what else is in the
// pid namespace. PR_SET_PDEATHSIG says the same once more.
//
// It holds nothing that is worth stealing: no descriptor but the socket, no memory of the server (it was exec'd), and it is not
// dumpable. Until a claimed sandbox's process runs it has the rights of its user namespace, and keeps them from whatever it starts:
// that is done by a thread which has given all of them up. From then on it has no capability but, where the server is root, KILL,
// SETUID and SETGID inside its own user namespace, by which it gives the function another user id than its own. Its imports are few
// because its start is part of every cold start.
package pid1
