// Package process is the driver that isolates nothing: functions are plain processes of the server's user, on any operating
// system. It is for development on machines that have no namespaces, and says so when it starts.
//
// A sandbox is a directory with a private /tmp, which functions find by TMPDIR, and a listener on 127.0.0.1. Nothing is mounted:
// Path says where a function finds what is. Limits are not held, but on Linux the most memory that the first process used is known.
//
// A process leads a session of its own, and Kill kills its process group. On Linux it also finds those descendants that left
// the group, by TMPDIR in their environment, and all die when the server does; elsewhere they may live on.
//
// # Threat model
//
// None. A function can do what the user can who started the server: read the store, the keys of every account and other functions'
// memory.
package process
