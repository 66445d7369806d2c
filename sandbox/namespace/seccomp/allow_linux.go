//go:build linux && (amd64 || arm64)

package seccomp

import "golang.org/x/sys/unix"

// A group is calls that a function may make with any arguments, and why it may.
type group struct {
	name, why string
	calls     []uint32
}

// groups are the calls that every architecture has. What only one has is in groupsHere.
//
// sandboxtest.AllowedCalls is the same list once more, and each is a test's judge of the other: to allow a call is to say so
// twice.
func groups() []group {
	return append([]group{
		{"files", "the read-only root, the code, /tmp and what it has been handed: the mounts and their owners decide", []uint32{
			unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV,
			unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_PREADV2,
			unix.SYS_PWRITEV2, unix.SYS_LSEEK, unix.SYS_FSTAT, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_FACCESSAT,
			unix.SYS_FACCESSAT2, unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_CHDIR, unix.SYS_FCHDIR, unix.SYS_READLINKAT,
			unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_UMASK,
			unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
			unix.SYS_SYNC_FILE_RANGE, unix.SYS_FLOCK, unix.SYS_FADVISE64, unix.SYS_READAHEAD, unix.SYS_DUP, unix.SYS_DUP3,
		}},
		{"file attributes", "of its own files in /tmp; owners are those of its user namespace", []uint32{
			unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
			unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR,
			unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR,
			unix.SYS_FREMOVEXATTR,
		}},
		{"file events", "inotify, which frameworks use to see their settings change", []uint32{
			unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_INOTIFY_RM_WATCH,
		}},
		{"pipes", "between its own processes, and copies that need no memory", []uint32{
			unix.SYS_PIPE2, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_COPY_FILE_RANGE,
		}},
		{"waiting", "for descriptors, by every way that event loops know but io_uring", []uint32{
			unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2,
			unix.SYS_EVENTFD2, unix.SYS_SIGNALFD4, unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, unix.SYS_TIMERFD_GETTIME,
		}},
		{"locks", "between its own threads", []uint32{
			unix.SYS_FUTEX, unix.SYS_FUTEX_WAITV, unix.SYS_FUTEX_WAKE, unix.SYS_FUTEX_WAIT, unix.SYS_FUTEX_REQUEUE,
			unix.SYS_SET_ROBUST_LIST, unix.SYS_GET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_MEMBARRIER, unix.SYS_RESTART_SYSCALL,
		}},
		{"time", "reading it, sleeping, and timers of its own; none sets a clock", []uint32{
			unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_NANOSLEEP, unix.SYS_GETTIMEOFDAY,
			unix.SYS_GETITIMER, unix.SYS_SETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_GETTIME,
			unix.SYS_TIMER_GETOVERRUN, unix.SYS_TIMER_DELETE, unix.SYS_TIMES,
		}},
		{"memory", "its own; none reaches another process's or moves pages between nodes", []uint32{
			unix.SYS_BRK, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MSYNC,
			unix.SYS_MINCORE, unix.SYS_MLOCK, unix.SYS_MLOCK2, unix.SYS_MUNLOCK, unix.SYS_MLOCKALL, unix.SYS_MUNLOCKALL,
			unix.SYS_MSEAL, unix.SYS_PKEY_ALLOC, unix.SYS_PKEY_FREE, unix.SYS_PKEY_MPROTECT, unix.SYS_GET_MEMPOLICY,
			unix.SYS_MAP_SHADOW_STACK,
		}},
		{"processes", "its own, in its pid namespace; clone is judged by its flags", []uint32{
			unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_GETPID,
			unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_SET_TID_ADDRESS, unix.SYS_SETPGID, unix.SYS_GETPGID, unix.SYS_SETSID,
			unix.SYS_GETSID, unix.SYS_PIDFD_OPEN,
		}},
		{"confinement", "what it gives up by itself comes on top of what it has lost", []uint32{
			unix.SYS_SECCOMP, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_RESTRICT_SELF,
		}},
		{"signals", "to its own processes: there are no others in its pid namespace but the first, which hears none", []uint32{
			unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_RT_SIGACTION,
			unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPENDING, unix.SYS_RT_SIGTIMEDWAIT,
			unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_SIGALTSTACK,
		}},
		{"scheduling and limits", "of its own processes; without CAP_SYS_NICE only for the worse. What sets limits is judged", []uint32{
			unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_GETPARAM,
			unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_GETSCHEDULER, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_GET_PRIORITY_MAX,
			unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SYS_SCHED_RR_GET_INTERVAL, unix.SYS_SCHED_GETATTR, unix.SYS_SCHED_SETATTR,
			unix.SYS_GETPRIORITY, unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_GET, unix.SYS_IOPRIO_SET, unix.SYS_GETRUSAGE,
			unix.SYS_GETRLIMIT, unix.SYS_GETCPU,
		}},
		{"identity", "without capabilities these cannot change anything that matters", []uint32{
			unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETRESUID, unix.SYS_GETRESGID,
			unix.SYS_GETGROUPS, unix.SYS_SETGROUPS, unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID,
			unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_CAPGET, unix.SYS_CAPSET,
		}},
		{"system", "what every program asks at its start", []uint32{unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRANDOM}},
		{"sockets", "in its network namespace; socket and socketpair are judged by family and protocol", []uint32{
			unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT, unix.SYS_SHUTDOWN,
			unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT, unix.SYS_SENDTO, unix.SYS_RECVFROM,
			unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG,
		}},
		{"ipc", "System V's and POSIX's, in its ipc namespace: multiprocessing of some languages wants them", []uint32{
			unix.SYS_SHMAT, unix.SYS_SHMDT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMCTL,
			unix.SYS_SEMTIMEDOP, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL, unix.SYS_MQ_OPEN,
			unix.SYS_MQ_UNLINK, unix.SYS_MQ_TIMEDSEND, unix.SYS_MQ_TIMEDRECEIVE, unix.SYS_MQ_NOTIFY, unix.SYS_MQ_GETSETATTR,
		}},
	}, groupsHere()...)
}

// absent are calls that fail as if the kernel were too old for them or built without, because callers then do without: clone3's flags
// cannot be judged, io_uring makes calls past any filter, cachestat tells which pages of the host's files others have read, and the
// requests of io_setup are counted for the whole machine, so that one function could use up all of them.
var absent = []uint32{
	unix.SYS_CLONE3, unix.SYS_CACHESTAT, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_IO_SETUP, unix.SYS_IO_DESTROY, unix.SYS_IO_SUBMIT, unix.SYS_IO_CANCEL, unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS,
}

// judged are the calls whose arguments decide.
func judged() []rule {
	return []rule{
		{call: unix.SYS_CLONE, ok: []match{{{arg: 0, mask: nsFlags, value: 0}}}},
		{call: unix.SYS_SOCKET, ok: sockets()},
		{call: unix.SYS_SOCKETPAIR, ok: []match{{{arg: 0, value: unix.AF_UNIX}}}},
		{call: unix.SYS_PERSONALITY, ok: anyOf(0, 0, 0x8, 0x20000, 0x20008, 0xffffffff)},
		{call: unix.SYS_PRCTL, ok: anyOf(0, options()...)},
		{call: unix.SYS_IOCTL, not: true, ok: anyOf(1, unix.TIOCSTI, unix.TIOCLINUX)},
		{call: unix.SYS_FCNTL, not: true, ok: anyOf(1, unix.F_SETLEASE, unix.F_NOTIFY, setDelegation)},
		{call: unix.SYS_MMAP, not: true, ok: hugePages(3, unix.MAP_HUGETLB)},
		{call: unix.SYS_MEMFD_CREATE, not: true, ok: hugePages(1, unix.MFD_HUGETLB)},
		{call: unix.SYS_SHMGET, not: true, ok: hugePages(2, shmHuge)},
		{call: unix.SYS_MKNODAT, not: true, ok: deviceModes(2)},
		{call: unix.SYS_SETRLIMIT, not: true, ok: anyOf(0, unix.RLIMIT_CORE)},
		{call: unix.SYS_PRLIMIT64, not: true, ok: []match{
			{{arg: 1, value: unix.RLIMIT_CORE}, {arg: 2, differs: true}},
			{{arg: 1, value: unix.RLIMIT_CORE}, {arg: 2, high: true, differs: true}},
		}},
	}
}

// sockets are unix sockets, TCP, UDP, and the netlink family that getaddrinfo asks for addresses. The protocol is said too: SCTP,
// DCCP and MPTCP come by the type of a stream as well.
func sockets() []match {
	out := []match{
		{{arg: 0, value: unix.AF_UNIX}},
		{{arg: 0, value: unix.AF_NETLINK}, {arg: 2, value: unix.NETLINK_ROUTE}},
	}
	for _, family := range []uint32{unix.AF_INET, unix.AF_INET6} {
		for _, kind := range []struct{ kind, proto uint32 }{{unix.SOCK_STREAM, unix.IPPROTO_TCP}, {unix.SOCK_DGRAM, unix.IPPROTO_UDP}} {
			for _, proto := range []uint32{0, kind.proto} {
				out = append(out, match{{arg: 0, value: family}, {arg: 1, mask: 0xf, value: kind.kind}, {arg: 2, value: proto}})
			}
		}
	}
	return out
}

// options are prctl's that change the caller alone. Others move its memory's borders (PR_SET_MM), keep whole cores to itself
// (PR_SCHED_CORE), or need a capability.
func options() []uint32 {
	return []uint32{
		unix.PR_SET_PDEATHSIG, unix.PR_GET_PDEATHSIG, unix.PR_GET_DUMPABLE, unix.PR_SET_DUMPABLE, unix.PR_GET_KEEPCAPS,
		unix.PR_SET_KEEPCAPS, unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_GET_SECCOMP, unix.PR_SET_SECCOMP, unix.PR_CAPBSET_READ,
		unix.PR_CAPBSET_DROP, unix.PR_GET_TSC, unix.PR_SET_TSC, unix.PR_GET_SECUREBITS, unix.PR_SET_TIMERSLACK, unix.PR_GET_TIMERSLACK,
		unix.PR_MCE_KILL, unix.PR_MCE_KILL_GET, unix.PR_SET_CHILD_SUBREAPER, unix.PR_GET_CHILD_SUBREAPER, unix.PR_SET_NO_NEW_PRIVS,
		unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_TID_ADDRESS, unix.PR_SET_THP_DISABLE, unix.PR_GET_THP_DISABLE, unix.PR_CAP_AMBIENT,
		unix.PR_SVE_SET_VL, unix.PR_SVE_GET_VL, unix.PR_GET_SPECULATION_CTRL, unix.PR_SET_SPECULATION_CTRL, unix.PR_PAC_RESET_KEYS,
		unix.PR_SET_TAGGED_ADDR_CTRL, unix.PR_GET_TAGGED_ADDR_CTRL, unix.PR_PAC_SET_ENABLED_KEYS, unix.PR_PAC_GET_ENABLED_KEYS,
		unix.PR_SME_SET_VL, unix.PR_SME_GET_VL, unix.PR_SET_MDWE, unix.PR_GET_MDWE, unix.PR_SET_VMA, unix.PR_SET_PTRACER,
		unix.PR_GET_AUXV,
	}
}

// anyOf matches if argument arg is one of values.
func anyOf(arg int, values ...uint32) []match {
	out := make([]match, len(values))
	for i, v := range values {
		out[i] = match{{arg: arg, value: v}}
	}
	return out
}

// nsFlags are clone's CLONE_NEW flags. CLONE_NEWTIME shares a bit with the exit signal and cannot be given to clone.
const nsFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// setDelegation is fcntl's F_SETDELEG, of Linux 6.19: a lease by another name.
const setDelegation = 1040

// shmHuge is shmget's SHM_HUGETLB.
const shmHuge = 0o4000

// hugePages match flags in argument arg that ask for the host's pool of huge pages, which a memory limit does not count.
func hugePages(arg int, flag uint32) []match { return []match{{{arg: arg, mask: flag, value: flag}}} }

// deviceModes match a mode of mknod in argument arg that makes a device.
func deviceModes(arg int) []match {
	return []match{
		{{arg: arg, mask: unix.S_IFMT, value: unix.S_IFCHR}},
		{{arg: arg, mask: unix.S_IFMT, value: unix.S_IFBLK}},
	}
}
