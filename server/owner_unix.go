//go:build unix

package server

import (
	"io/fs"
	"os"
	"syscall"
)

// ownerOf is the user whose file it is.
func ownerOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return os.Geteuid()
}
