package sandboxtest

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// foreignCall makes i386's getpid by int 0x80 from machine code of its own, and an x32 call. Where it is not killed, it is an escape
// if an answer comes.
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
	if pid := getpid(); pid == os.Getpid() {
		return outcome{true, "int 0x80 answered"}
	}
	return call(0x40000000 | unix.SYS_GETPID)
}
