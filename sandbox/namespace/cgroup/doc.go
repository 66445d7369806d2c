// Package cgroup makes the control groups that hold sandboxes to their memory, processor and process limits, on cgroup v2 and on
// v1, whichever has the memory controller.
//
// A server has one directory of its own, named after its pid namespace, process id and start time, with one group per sandbox in it.
// A later server finds the directories whose server is dead, kills what is left in them and removes them.
//
// On v2 a group that has processes cannot pass controllers on to children. If the server is alone in its group, as a systemd unit
// or scope with Delegate=yes is, it moves itself into a child "enfold-server" and uses its group. Else, as root, it makes
// its directory at the top of the tree.
package cgroup
