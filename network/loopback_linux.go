package network

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// runtimeIP is RuntimeIP and localIP that of AWSAPI, for the kernel.
var (
	runtimeIP = [4]byte{169, 254, 100, 1}
	localIP   = [4]byte{127, 0, 0, 1}
)

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

// Listeners are the sockets of a sandbox, by file descriptor: they listen at RuntimeAPI and at AWSAPI.
type Listeners struct{ Runtime, AWS int }

// Listen makes the Listeners in the calling thread's namespace, which has RuntimeIP: on the host it fails. They keep the namespace alive.
func Listen() (Listeners, error) {
	if err := isInside(); err != nil {
		return Listeners{}, fmt.Errorf("listen at %s: %w", RuntimeAPI, err)
	}
	runtime, err := listen(&unix.SockaddrInet4{Port: RuntimePort}) // at every address of loopback: see CredentialsAPI
	if err != nil {
		return Listeners{}, fmt.Errorf("listen at %s: %w", RuntimeAPI, err)
	}
	aws, err := listen(&unix.SockaddrInet4{Port: AWSPort, Addr: localIP})
	if err != nil {
		unix.Close(runtime)
		return Listeners{}, fmt.Errorf("listen at %s: %w", AWSAPI, err)
	}
	return Listeners{runtime, aws}, nil
}

// Close closes both.
func (l Listeners) Close() error {
	err := unix.Close(l.Runtime)
	if other := unix.Close(l.AWS); err == nil {
		err = other
	}
	return err
}

// isInside fails in a namespace without RuntimeIP, which is not a sandbox's: to listen at every address there would be to listen to the
// world.
func isInside() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: runtimeIP})
}

func listen(at unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, at); err == nil {
		err = unix.Listen(fd, 128)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
