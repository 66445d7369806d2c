package sandboxtest

import "golang.org/x/sys/unix"

func olderCalls() []uint32 {
	return []uint32{
		unix.SYS_FSTATAT, unix.SYS_RENAMEAT,
	}
}

func olderJudged() []uint32 { return nil }

func unfiltered() []uint32 { return nil }
