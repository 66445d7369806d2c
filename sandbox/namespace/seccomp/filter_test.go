//go:build linux && (amd64 || arm64)

package seccomp

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/enfold-run/enfold/sandbox/sandboxtest"
)

// run asks the filter about one call, on x/net's BPF machine. That machine reads words big-endian, so the record is written so.
func run(t *testing.T, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	prog, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]bpf.RawInstruction, len(prog))
	for i, in := range prog {
		raw[i] = bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	ins, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("filter has an instruction that cannot be read back")
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		t.Fatalf("filter is not a valid program: %v", err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNr:], nr)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func TestFilter(t *testing.T) {
	const all = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	for _, tc := range []struct {
		name string
		nr   uint32
		args []uint64
		want uint32
	}{
		{"read", unix.SYS_READ, nil, retAllow},
		{"execve", unix.SYS_EXECVE, nil, retAllow},
		{"a thread", unix.SYS_CLONE, []uint64{all}, retAllow},
		{"a process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, retAllow},
		{"clone into a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, retEPERM},
		{"clone into a net namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWNET | uint64(unix.SIGCHLD)}, retEPERM},
		{"clone3 falls back", unix.SYS_CLONE3, nil, retNoSys},
		{"io_uring falls back", unix.SYS_IO_URING_SETUP, nil, retNoSys},
		{"a later kernel's call", newest + 1, nil, retNoSys},
		{"a number beyond all", 0x3fffffff, nil, retNoSys},
		{"unshare", unix.SYS_UNSHARE, nil, retEPERM},
		{"setns", unix.SYS_SETNS, nil, retEPERM},
		{"mount", unix.SYS_MOUNT, nil, retEPERM},
		{"fsopen", unix.SYS_FSOPEN, nil, retEPERM},
		{"ptrace", unix.SYS_PTRACE, nil, retEPERM},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil, retEPERM},
		{"bpf", unix.SYS_BPF, nil, retEPERM},
		{"keyctl", unix.SYS_KEYCTL, nil, retEPERM},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, nil, retEPERM},
		{"userfaultfd", unix.SYS_USERFAULTFD, nil, retEPERM},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, retEPERM},
		{"init_module", unix.SYS_INIT_MODULE, nil, retEPERM},
		{"reboot", unix.SYS_REBOOT, nil, retEPERM},
		{"tcp", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0}, retAllow},
		{"udp over ipv6", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK, 0}, retAllow},
		{"unix", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}, retAllow},
		{"route netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, retAllow},
		{"audit netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, retEPERM},
		{"raw", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW, 1}, retEPERM},
		{"packet", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, retEPERM},
		{"vsock", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, retEPERM},
		{"alg", unix.SYS_SOCKET, []uint64{unix.AF_ALG, unix.SOCK_SEQPACKET, 0}, retEPERM},
		{"a family with high bits set is the kernel's int", unix.SYS_SOCKET, []uint64{1<<32 | unix.AF_PACKET, unix.SOCK_RAW}, retEPERM},
		{"personality query", unix.SYS_PERSONALITY, []uint64{0xffffffff}, retAllow},
		{"READ_IMPLIES_EXEC", unix.SYS_PERSONALITY, []uint64{0x0400000}, retEPERM},
		{"TIOCSTI", unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, retEPERM},
		{"TIOCSTI with high bits, which the kernel cuts off", unix.SYS_IOCTL, []uint64{0, 1<<32 | unix.TIOCSTI}, retEPERM},
		{"SCTP, which is a stream too", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, retEPERM},
		{"MPTCP", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, retEPERM},
		{"TCP by its number", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_TCP}, retAllow},
		{"UDP by TCP's number", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP}, retEPERM},
		{"ping", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, retEPERM},
		{"a thread's name", unix.SYS_PRCTL, []uint64{unix.PR_SET_NAME}, retAllow},
		{"the name of a mapping", unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, retAllow},
		{"core scheduling", unix.SYS_PRCTL, []uint64{unix.PR_SCHED_CORE}, retEPERM},
		{"the borders of memory", unix.SYS_PRCTL, []uint64{unix.PR_SET_MM}, retEPERM},
		{"an option of a later kernel", unix.SYS_PRCTL, []uint64{1000}, retEPERM},
		{"the limit of open files", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE, 0x7fff00001000, 0}, retAllow},
		{"reading the limit of core dumps", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0, 0x7fff00001000}, retAllow},
		{"the limit of core dumps", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0x7fff00001000, 0}, retEPERM},
		{"the limit of core dumps from a round address", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0x100000000, 0}, retEPERM},
		{"the limit of core dumps from a low address", unix.SYS_PRLIMIT64, []uint64{0, 7<<32 | unix.RLIMIT_CORE, 0x1000, 0}, retEPERM},
		{"setrlimit of core dumps", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_CORE, 0x1000}, retEPERM},
		{"setrlimit of the stack", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_STACK, 0x1000}, retAllow},
		{"io_setup falls back", unix.SYS_IO_SETUP, nil, retNoSys},
		{"syncfs", unix.SYS_SYNCFS, nil, retEPERM},
		{"a lease", unix.SYS_FCNTL, []uint64{3, unix.F_SETLEASE, unix.F_WRLCK}, retEPERM},
		{"a lease with high bits, which the kernel cuts off", unix.SYS_FCNTL, []uint64{3, 1<<32 | unix.F_SETLEASE}, retEPERM},
		{"a delegation", unix.SYS_FCNTL, []uint64{3, 1040}, retEPERM},
		{"events of a directory", unix.SYS_FCNTL, []uint64{3, unix.F_NOTIFY}, retEPERM},
		{"a lock", unix.SYS_FCNTL, []uint64{3, unix.F_SETLK}, retAllow},
		{"a descriptor's flags", unix.SYS_FCNTL, []uint64{3, unix.F_SETFD, unix.FD_CLOEXEC}, retAllow},
		{"memory", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_READ, unix.MAP_PRIVATE | unix.MAP_ANON}, retAllow},
		{"huge pages", unix.SYS_MMAP, []uint64{0, 2 << 20, unix.PROT_READ, unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_HUGETLB}, retEPERM},
		{"a file in memory", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING}, retAllow},
		{"a file in huge pages", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_HUGETLB | 21<<26}, retEPERM},
		{"System V's shared memory", unix.SYS_SHMGET, []uint64{1, 4096, unix.IPC_CREAT | 0o600}, retAllow},
		{"the same in huge pages", unix.SYS_SHMGET, []uint64{1, 2 << 20, shmHuge | unix.IPC_CREAT | 0o600}, retEPERM},
		{"TCGETS", unix.SYS_IOCTL, []uint64{0, unix.TCGETS}, retAllow},
		{"a pipe in the file system", unix.SYS_MKNODAT, []uint64{0, 0, unix.S_IFIFO | 0o600}, retAllow},
		{"a character device", unix.SYS_MKNODAT, []uint64{0, 0, unix.S_IFCHR | 0o600}, retEPERM},
		{"a block device", unix.SYS_MKNODAT, []uint64{0, 0, unix.S_IFBLK | 0o600}, retEPERM},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := run(t, auditArch, tc.nr, tc.args...); got != tc.want {
				t.Errorf("filter answered %#x, want %#x", got, tc.want)
			}
		})
	}
}

func TestFilterKillsForeignCalls(t *testing.T) {
	if got := run(t, unix.AUDIT_ARCH_I386, 1); got != retKill {
		t.Errorf("i386 call answered %#x, want the process killed", got)
	}
	if foreignBit == 0 {
		t.Skip("only amd64 has x32 calls")
	}
	if got := run(t, auditArch, foreignBit|unix.SYS_READ); got != retKill {
		t.Errorf("x32 call answered %#x, want the process killed", got)
	}
}

// Every number up to the newest gets the answer of the tables: the binary search has no gap.
func TestFilterAgreesWithTables(t *testing.T) {
	special := map[uint32]bool{}
	for _, r := range append(judged(), judgedHere()...) {
		special[r.call] = true
	}
	spans := ranges()
	for nr := uint32(0); nr <= newest+2; nr++ {
		if special[nr] {
			continue
		}
		want := spans[0].ret
		for _, s := range spans {
			if s.first <= nr {
				want = s.ret
			}
		}
		if got := run(t, auditArch, nr); got != want {
			t.Errorf("call %d answered %#x, want %#x", nr, got, want)
		}
	}
	seen := map[uint32]bool{}
	for _, g := range groups() {
		for _, nr := range g.calls {
			if seen[nr] || special[nr] || slices.Contains(absent, nr) {
				t.Errorf("call %d of %q is there twice, or is judged or absent as well", nr, g.name)
			}
			seen[nr] = true
		}
	}
}

// What is allowed is written down twice: a call more, a group more or a rule less in one place is red.
func TestFilterIsWhatTheSuiteAllows(t *testing.T) {
	want := sandboxtest.AllowedCalls()
	listed := map[uint32]bool{}
	for _, g := range groups() {
		if g.why == "" {
			t.Errorf("group %q does not say why it is allowed", g.name)
		}
		if _, ok := want[g.name]; !ok {
			t.Errorf("group %q is allowed, and not by the suite", g.name)
		}
		if got := g.calls; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want[g.name]))) {
			t.Errorf("group %q has %d calls, the suite's has others", g.name, len(got))
		}
		delete(want, g.name)
		for _, nr := range g.calls {
			listed[nr] = true
		}
	}
	for name := range want {
		t.Errorf("group %q is not allowed", name)
	}
	for _, nr := range sandboxtest.JudgedCalls() {
		listed[nr] = true
	}
	for nr := uint32(0); nr < 1024; nr++ {
		if got := run(t, auditArch, nr); got == retAllow && !listed[nr] {
			t.Errorf("call %d is allowed, and not by the suite", nr)
		} else if got != retAllow && got != retEPERM && got != retNoSys {
			t.Errorf("call %d is answered by %#x", nr, got)
		}
	}
}
