package main

import (
	"os"
	"syscall"
)

// ownGroup keeps a Ctrl-C from a child: it is for us, and we end the child.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

var generateConsoleCtrlEvent = syscall.NewLazyDLL("kernel32.dll").NewProc("GenerateConsoleCtrlEvent")

// interrupt asks a child to end, by Ctrl-Break: Windows sends a Ctrl-C to no group but all. Go makes os.Interrupt of both. A child that
// cannot be asked, for want of a console, is killed.
func interrupt(child *os.Process) error {
	if ok, _, _ := generateConsoleCtrlEvent.Call(syscall.CTRL_BREAK_EVENT, uintptr(child.Pid)); ok == 0 {
		return child.Kill()
	}
	return nil
}
