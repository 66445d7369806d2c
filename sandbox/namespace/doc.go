// Package namespace is the driver that isolates functions by what Linux itself offers. It wants Linux 5.12 or later, on amd64 or
// arm64.
//
// A sandbox has its own user, pid, mount, net, ipc, uts and cgroup namespaces. Its root is a small read-only file system in
// memory, entered by pivot_root, with the host's /usr and libraries and the Spec's mounts bound read-only, a fresh /proc with what
// tells about the host masked, six devices, and no /sys. The function runs as sbx_user1051, which is a host user id that no other
// sandbox has, with no capability, no_new_privs, a list of allowed system calls (package seccomp), a Landlock domain where the
// kernel has that, a session keyring of its own,
// and no open file but its three. Its network is a loopback device, on which the Runtime API and the AWS API listen. Memory,
// processes and processor time are limited by control groups (package cgroup), open files by RLIMIT_NOFILE. Its first process is
// ours (package pid1).
//
// A Spec with a Root has a container image in the place of the host's programs: its layers, read-only by overlayfs mounted in the
// sandbox's own user namespace, below a layer of our own that has /proc, /dev, /sys, /tmp, three files of /etc and the places of mounts,
// whatever the image has there. Everything else is as without: confinement, users, network. The image's files keep their modes and
// belong to nobody in particular: what the function is to read must be readable for everybody, as on AWS. Images share their layers on
// the disk and in the file cache. Overlayfs wants layers in a file system that knows user attributes.
//
// # Threat model
//
// The function is taken to be hostile. It shall not read or change anything of the host or of another sandbox, reach the network,
// outlive its sandbox or use more than its share. What stands between it and that is the host's kernel: a hole in the kernel that
// can be reached by the allowed system calls is a hole here. Strangers who attack each other want another kernel in between.
//
// What a function can learn of the host: the kernel's version, the processor and the size of memory (/proc/cpuinfo, meminfo,
// stat, loadavg), paths of bound directories (/proc/self/mountinfo), what is installed below /usr. Mounted files keep their
// owners and modes: what is to be readable must be so for everybody. By inotify it can see when others open files of /usr or of a
// layer that it has mounted too, and by flock leave a mark there.
//
// What sandboxes share of the host, beyond processor and memory, are process ids and open files as such: each may take some thousand
// of kernel.pid_max, and a million of fs.file-max. A host of many strangers should have both at their highest.
//
// # As an ordinary user
//
// The driver works where unprivileged user namespaces are allowed. Weaker then: all sandboxes are the same host user, so only the
// namespaces keep them apart; supplementary groups cannot be dropped; without a delegated cgroup v2 group there are no limits of
// memory, processes and processor time. Report says so.
//
// # Speed
//
// Making namespaces and control groups is slow, so a few sandboxes wait ready, their first process running and their file
// system built; more of them where more are taken. Create takes one, binds the mounts and sets the limits. Sandboxes beyond the
// stock are made on the spot. Used sandboxes never go back.
//
// Warm goes further: a language runtime boots in the sandbox, confined as it will be, and waits. Claim binds the owner's mounts
// over empty directories of the mount namespace, moves the process's current directory onto them (it is shared with the first
// process until then), sets the limits, and only then says to the process whose it is. What ran before was our own code alone, and
// nothing of one owner is there when it becomes another's, as there was none.
//
// # Not like AWS
//
// Where no cgroup v2 group can freeze a sandbox, its processes are stopped and continued by signals, which a process with a handler
// for SIGCONT notices.
//
// /tmp is in memory and counts towards the memory limit as far as it is filled. Memory includes the file cache that the
// function's reads fill, which the kernel gives back before it kills. During init a function has at least one whole core, see
// EndInit; a quota is counted over 20 ms. System V IPC objects and /dev/shm outlive a process, as /tmp does.
package namespace
