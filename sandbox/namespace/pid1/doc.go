// Package pid1 is the first process of a sandbox of the namespace driver: it builds the file system, drops every right it does
// not need, runs the function's processes, and takes them all with it when it goes.
//
// The driver starts it in new user, pid, mount, ipc and uts namespaces and in its network namespace, and tells it by messages over
// a socket, file descriptor 3, what to do:
//
//	Base    build what every sandbox has                  (a stock of sandboxes waits here)
//	Seal    mount what this one has; then no way back: read-only root, pivot_root, no capabilities, seccomp
//	Enter   as Seal, but the rights to mount stay, and the one process that Start runs now reads its standard input and waits
//	Claim   mount what the owner of the waiting process has; then no way back
//	Start   run a process; Started tells whether it runs, Exited how it ended, all its descendants dead by then
//	Kill    kill every process but this one
//	Stop    SIGSTOP to every process but this one, and Cont SIGCONT
//	Term    SIGTERM to the process that Start started
//
// When the socket closes, because the driver closed it or the server died, it exits, and the kernel kills what else is in the
// pid namespace. PR_SET_PDEATHSIG says the same once more.
//
// It holds nothing that is worth stealing: no descriptor but the socket, no memory of the server (it was exec'd), not dumpable,
// and after Seal or Claim no capability but, where the server is root, KILL, SETUID and SETGID inside its own user namespace, by which it
// gives the function another user id than its own. Between Enter and Claim it has the rights of its user namespace, but the process
// that waits has none of them: a thread that has given all of its rights up has started it. Its imports are few because its start is part of every cold start.
package pid1
