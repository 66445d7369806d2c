package network

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace, held by a file descriptor: it lives at least until Close.
type Namespace struct{ fd int }

// Current is the calling thread's namespace.
func Current() (*Namespace, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open this thread's network namespace: %w", err)
	}
	return &Namespace{fd}, nil
}

// Enter moves the calling thread into the namespace. The goroutine must be locked to its thread, and must either go back or end
// without unlocking it.
func (n *Namespace) Enter() error {
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return nil
}

// Close lets the namespace go. It lives on while a process or a socket is in it.
func (n *Namespace) Close() error { return unix.Close(n.fd) }

// Unshare moves the calling thread into a new namespace, with its loopback device up and RuntimeIP on it. Enter's rule holds. If
// it fails, the thread may be in either namespace.
func Unshare() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	return LoopbackUp()
}
