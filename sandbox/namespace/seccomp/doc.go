// Package seccomp is the list of system calls that a function may make, and the filter that holds it to them.
//
// It is a list of what is allowed. The rest fails: with EPERM where the call exists and is dangerous or useless to a function,
// with ENOSYS where the call is newer than the list or where callers then do without (clone3, io_uring, io_setup), and with
// the death of the process where the call is made through another architecture's table (i386's int 0x80, x32), which no language
// runtime does and which would need a list of its own.
//
// What is not allowed, by group, and why:
//
//   - mounts: mount, umount2, pivot_root, chroot, fsopen, fsmount, fsconfig, fspick, move_mount, open_tree, mount_setattr,
//     statmount, listmount, quotactl, swapon, swapoff. A function's file system is ready made.
//   - namespaces: unshare, setns, and clone with a CLONE_NEW flag; clone3, whose flags a filter cannot read. A user namespace of its
//     own would hand a function every capability over kernel code that expects a trusted root.
//   - other processes' memory: ptrace, process_vm_readv, process_vm_writev, process_madvise, process_mrelease, pidfd_getfd, kcmp.
//   - kernel objects with a history of holes: bpf, perf_event_open, userfaultfd, io_uring_*, keyctl, add_key, request_key,
//     fanotify_*, lookup_dcookie, memfd_secret, vmsplice, remap_file_pages, sysfs, uselib, modify_ldt, lsm_*.
//   - files by handle, which walk out of any root: name_to_handle_at, open_by_handle_at.
//   - the machine: reboot, kexec_*, init_module, finit_module, delete_module, iopl, ioperm, syslog, acct, settimeofday,
//     clock_settime, clock_adjtime, adjtimex, sethostname, setdomainname, vhangup, personality other than its harmless values.
//   - the whole machine's disks and memory: sync, syncfs, cachestat, mbind, set_mempolicy, migrate_pages, move_pages.
//   - device nodes: mknod and mknodat for anything but pipes, sockets and files.
//   - sockets: only AF_UNIX, TCP and UDP, and AF_NETLINK's routing family, which getaddrinfo asks for addresses. No raw, packet, vsock,
//     alg, Bluetooth or XDP sockets, and no SCTP, DCCP or MPTCP, which come as streams too.
//   - prctl's options beyond those that change the caller alone.
//   - setting the limit of core dumps, which is what keeps the host from running its crash handler on a function.
//   - io_setup and its kin, whose requests are counted for the whole machine.
//   - leases on files (fcntl F_SETLEASE, F_SETDELEG) and F_NOTIFY: who opens a file that a function holds a lease on waits for that
//     function, for up to a minute. Where sandboxes have the server's user id, the files that all of them start from are theirs to lease.
//   - huge pages by mmap, memfd_create and shmget: memory that no limit of memory counts.
//   - terminals: ioctl TIOCSTI and TIOCLINUX, which type into somebody else's.
//
// What is allowed is a table of groups, each with its reason, in groups. The list is checked with Go, Python, Node.js and Java at
// work; sandbox/sandboxtest has it once more, and makes every call that is not on it.
package seccomp
