package sandboxtest

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lastCall is beyond the last number that any kernel has given to a call.
const lastCall = 600

// An answer is what became of a call that a filter should have refused.
type answer struct {
	What  string
	Errno syscall.Errno
}

// testCalls makes every system call that is not on the list, and those on it with arguments that are not. Where nothing isolates,
// only the latter are made, which harm nobody, and must get through: else the test would not see a filter that lets them.
func testCalls(t *testing.T, s *suite) {
	h := s.create(t, nil)
	if !s.expect.Isolated {
		var got []answer
		h.tell(&got, "arguments")
		through := slices.DeleteFunc(got, func(a answer) bool { return a.Errno == unix.EPERM })
		if os.Geteuid() == 0 && len(through) < len(got)/2 {
			t.Errorf("without isolation only %d of %d calls get through: the test shows nothing", len(through), len(got))
		}
		t.Skipf("no filter here; without one %d of %d calls whose arguments are refused get through", len(through), len(got))
	}
	for _, probe := range []string{"calls", "arguments"} {
		var got []answer
		h.tell(&got, probe)
		if len(got) < 40 {
			t.Errorf("probe %s made only %d calls", probe, len(got))
		}
		for _, a := range got {
			if a.Errno != unix.EPERM && (a.Errno != unix.ENOSYS || probe == "arguments") {
				t.Errorf("%s was answered by %q: it got through", a.What, a.Errno)
			}
		}
		t.Logf("%d calls of probe %s were refused", len(got), probe)
	}
}

// probeCalls makes every call that a function may not make, with arguments that no call can do anything with.
func probeCalls([]string) int {
	allowed := map[uint32]bool{}
	for _, group := range AllowedCalls() {
		for _, nr := range group {
			allowed[nr] = true
		}
	}
	for _, nr := range JudgedCalls() {
		allowed[nr] = true
	}
	numbers := []uint32{1000, 4095, 1 << 20, 1<<30 - 1}
	for nr := range uint32(lastCall) {
		numbers = append(numbers, nr)
	}
	const bad = ^uintptr(0)
	var out []answer
	for _, nr := range numbers {
		if allowed[nr] || slices.Contains(unfiltered(), nr) {
			continue
		}
		_, _, errno := syscall.RawSyscall6(uintptr(nr), bad, bad, bad, bad, bad, bad)
		out = append(out, answer{fmt.Sprint("call ", nr), errno})
	}
	return printJSON(out)
}

// probeArguments makes calls that a function may make, with arguments that it may not give them.
func probeArguments([]string) int {
	var out []answer
	try := func(what string, trap uintptr, args ...uintptr) {
		var a [6]uintptr
		copy(a[:], args)
		r, _, errno := syscall.RawSyscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
		if trap == unix.SYS_CLONE && errno == 0 && r == 0 {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		out = append(out, answer{what, errno})
	}
	for _, flag := range []uintptr{
		unix.CLONE_NEWNS, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC, unix.CLONE_NEWUSER, unix.CLONE_NEWPID, unix.CLONE_NEWNET, unix.CLONE_NEWCGROUP,
	} {
		try(fmt.Sprintf("clone(%#x)", flag), unix.SYS_CLONE, flag|uintptr(unix.SIGCHLD))
	}
	for family := range uintptr(48) {
		switch family {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			continue
		}
		try(fmt.Sprintf("socket(%d)", family), unix.SYS_SOCKET, family, unix.SOCK_DGRAM, 0)
	}
	for _, inet := range []uintptr{unix.AF_INET, unix.AF_INET6} {
		try(fmt.Sprintf("socket(%d, raw)", inet), unix.SYS_SOCKET, inet, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		for _, proto := range []uintptr{unix.IPPROTO_SCTP, unix.IPPROTO_MPTCP, unix.IPPROTO_ICMP} {
			try(fmt.Sprintf("socket(%d, stream, %d)", inet, proto), unix.SYS_SOCKET, inet, unix.SOCK_STREAM, proto)
		}
		try(fmt.Sprintf("socket(%d, ping)", inet), unix.SYS_SOCKET, inet, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		try(fmt.Sprintf("socketpair(%d)", inet), unix.SYS_SOCKETPAIR, inet, unix.SOCK_STREAM, 0)
	}
	for proto := range uintptr(23) {
		if proto != unix.NETLINK_ROUTE {
			try(fmt.Sprintf("socket(netlink, %d)", proto), unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, proto)
		}
	}
	for _, persona := range []uintptr{0x0400000, 0x0100000, 0x0001, 0x0400008} {
		try(fmt.Sprintf("personality(%#x)", persona), unix.SYS_PERSONALITY, persona)
	}
	for _, option := range []uintptr{unix.PR_SET_MM, unix.PR_SCHED_CORE, unix.PR_TASK_PERF_EVENTS_DISABLE, unix.PR_SET_SECUREBITS, unix.PR_SET_IO_FLUSHER, 1000} {
		try(fmt.Sprintf("prctl(%d)", option), unix.SYS_PRCTL, option)
	}
	for _, request := range []uintptr{unix.TIOCSTI, unix.TIOCLINUX, 1<<32 | unix.TIOCSTI} {
		try(fmt.Sprintf("ioctl(%#x)", request), unix.SYS_IOCTL, 0, request, str("x"))
	}
	for _, cmd := range []uintptr{unix.F_SETLEASE, unix.F_NOTIFY, 1<<32 | unix.F_SETLEASE, 1040} {
		try(fmt.Sprintf("fcntl(%#x)", cmd), unix.SYS_FCNTL, 0, cmd, 0)
	}
	const page = 2 << 20
	try("mmap(huge)", unix.SYS_MMAP, 0, page, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_HUGETLB, ^uintptr(0), 0)
	try("memfd_create(huge)", unix.SYS_MEMFD_CREATE, str("x"), unix.MFD_HUGETLB)
	try("shmget(huge)", unix.SYS_SHMGET, 0, page, 0o4000|0o600)
	limit := unix.Rlimit{Max: 1}
	try("setrlimit(core)", unix.SYS_SETRLIMIT, unix.RLIMIT_CORE, uintptr(unsafe.Pointer(&limit)))
	try("prlimit(core)", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, uintptr(unsafe.Pointer(&limit)))
	for _, kind := range []uintptr{unix.S_IFCHR, unix.S_IFBLK} {
		at := unix.AT_FDCWD
		try(fmt.Sprintf("mknodat(%#o)", kind), unix.SYS_MKNODAT, uintptr(at), str("/nowhere/x"), kind|0o600, 0x101)
	}
	return printJSON(out)
}
