package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignBit is for amd64's x32 calls; arm64's 32-bit calls come under an architecture of their own.
const foreignBit = 0

// groupsHere are allowed calls that only arm64 names so.
func groupsHere() []group {
	return []group{{"older forms", "of the calls above, which programs and libraries still make", []uint32{
		unix.SYS_FSTATAT, unix.SYS_RENAMEAT,
	}}}
}

func judgedHere() []rule { return nil }
