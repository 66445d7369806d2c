package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignBit is for amd64's x32 calls; arm64's 32-bit calls come under an architecture of their own.
const foreignBit = 0

// allowedHere are allowed calls that only arm64 names so.
var allowedHere = []uint32{unix.SYS_FSTATAT, unix.SYS_RENAMEAT}

func judgedHere() []rule { return nil }
