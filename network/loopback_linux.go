package network

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// runtimeIP is RuntimeIP, for the kernel.
var runtimeIP = [4]byte{169, 254, 100, 1}

// LoopbackUp brings up the loopback device of the calling thread's namespace and gives it RuntimeIP. It wants CAP_NET_ADMIN there.
func LoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	for _, set := range []struct {
		request uint
		addr    [4]byte
	}{
		{unix.SIOCSIFADDR, runtimeIP},
		{unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 255}},
	} {
		// The alias has a name of its own, so that the device keeps 127.0.0.1.
		req, err := unix.NewIfreq("lo:0")
		if err != nil {
			return fmt.Errorf("add %s: %w", RuntimeIP, err)
		}
		if err := req.SetInet4Addr(set.addr[:]); err != nil {
			return fmt.Errorf("add %s: %w", RuntimeIP, err)
		}
		if err := unix.IoctlIfreq(fd, set.request, req); err != nil {
			return fmt.Errorf("add %s: %w", RuntimeIP, err)
		}
	}
	return nil
}

// Listen is a listening TCP socket at RuntimeAPI in the calling thread's namespace. It keeps the namespace alive.
func Listen() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("listen at %s: %w", RuntimeAPI, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: RuntimePort, Addr: runtimeIP}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen at %s: %w", RuntimeAPI, err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen at %s: %w", RuntimeAPI, err)
	}
	return fd, nil
}
