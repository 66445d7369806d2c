package sandboxtest

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// archAttempts are on calls that only amd64 has.
func archAttempts() []attempt {
	return []attempt{
		{"foreign-calls", "make a call by another architecture's table, past the filter", "filters that forget 32-bit calls", "a kernel may be built without them", foreignCall},
		{"x32-calls", "make a call by the table of x32, past the filter", "filters that forget x32 calls", "a kernel may be built without them", func(target) outcome {
			resetSignal(int(syscall.SIGSYS))
			return call(0x40000000 | unix.SYS_GETPID)
		}},
		{"modify-ldt", "have a segment table of its own", "CVE-2015-5157, CVE-2017-17053: modify_ldt", "a kernel may be built without it", func(target) outcome {
			var buf [16]byte
			return call(unix.SYS_MODIFY_LDT, 0, uintptr(unsafe.Pointer(&buf[0])), 16)
		}},
		{"iopl", "speak to devices by their ports", "CAP_SYS_RAWIO", "a locked down kernel refuses it to root", func(target) outcome {
			if o := call(unix.SYS_IOPERM, 0x80, 1, 1); o.Escaped {
				return o
			}
			return call(unix.SYS_IOPL, 3)
		}},
	}
}

// foreignCall makes i386's getpid by int 0x80 from machine code of its own. Where it is not killed, it is an escape if an answer comes.
func foreignCall(target) outcome {
	// mov eax, 20; int 0x80; ret. In Go's register convention the result is in AX.
	code := []byte{0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3}
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return tried(err)
	}
	copy(mem, code)
	if err := unix.Mprotect(mem, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return tried(err)
	}
	resetSignal(int(syscall.SIGSYS))
	resetSignal(int(syscall.SIGSEGV)) // a kernel without i386 calls
	entry := &mem[0]
	fn := &entry
	getpid := *(*func() int)(unsafe.Pointer(&fn))
	pid := getpid()
	return outcome{pid == os.Getpid(), fmt.Sprintf("int 0x80 answered %d", pid)}
}
