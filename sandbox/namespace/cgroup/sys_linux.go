package cgroup

import (
	"crypto/rand"
	"os"
	"syscall"
)

// dirs makes and removes groups. It is the kernel; in tests a fake that fills a group with its files as the kernel does.
type dirs struct {
	mkdir func(dir string) error
	rmdir func(dir string) error
}

// kernel is the real one. rmdir is the system call alone: os.Remove would try to unlink first.
func kernel() dirs {
	return dirs{
		mkdir: func(dir string) error { return os.Mkdir(dir, 0o755) },
		rmdir: syscall.Rmdir,
	}
}

func kill(pid int) { syscall.Kill(pid, syscall.SIGKILL) }

func random(b []byte) error {
	_, err := rand.Read(b)
	return err
}
