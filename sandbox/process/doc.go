// Package process is the sandbox driver for development on any Unix: a function is a plain child process of the server.
//
// There is NO isolation. A function can read and write whatever the user who started the server can, see every process, and
// reach every network. The limits of the Spec are not applied. What it does give: a clean environment, a /tmp of its own by
// TMPDIR (a function that writes to "/tmp" itself shares the host's), a Runtime API of its own, and no process left behind.
//
// It can mount nothing, so that Sandbox.Path names directories of the host. Processes that leave the session and clean their
// environment outlive the sandbox: only the namespace driver can prevent that.
package process
