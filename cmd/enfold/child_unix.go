//go:build unix

package main

import (
	"os"
	"syscall"
)

// ownGroup keeps a Ctrl-C from a child: it is for us, and we end the child.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// interrupt asks a child to end, as a Ctrl-C does.
func interrupt(child *os.Process) error { return child.Signal(os.Interrupt) }
