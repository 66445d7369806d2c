package sandboxtest

import (
	"syscall"
	"unsafe"
)

// resetSignal gives a signal its default action back, which Go's runtime has taken.
func resetSignal(sig int) {
	var dfl [4]uint64 // struct sigaction of amd64 and arm64: SIG_DFL, no flags, no mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
}
