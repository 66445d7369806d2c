//go:build !linux && !darwin && !freebsd

package http1

import "syscall"

const canPeek = false

func readNow(uintptr, []byte) (int, bool, error) { panic("http1: no reading without waiting here") }

// gone cannot tell on this system.
func gone(syscall.RawConn) bool { return false }
