// Package cgroup makes the control groups that hold sandboxes to their memory, processor and process limits, on cgroup v2 and on
// v1, whichever has the memory controller.
//
// A server has one directory of its own, named after its pid namespace, process id and start time. Beside it there is one group per
// sandbox, with a dot and the sandbox's name behind that. A later server finds the groups whose server is dead, kills what is left in
// them and removes them.
//
// The groups are not in the directory, because the kernel's scheduler then chooses between the server and all functions before it
// chooses among the functions: with 16 callers on two cores that took a third of all calls. Beside each other a function weighs as much
// as a process of the host.
//
// On v2 a group that has processes cannot pass controllers on to children. If the server is alone in its group, as a systemd unit
// or scope with Delegate=yes is, it moves itself into a child "enfold-server" and uses its group. Else, as root, it makes
// its directory at the top of the tree, and the groups in it: there each would weigh as much as all of the host's services together.
package cgroup
