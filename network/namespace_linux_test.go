package network

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNew runs fn on a thread of its own in a new namespace. The thread ends with fn.
func inNew(t *testing.T, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		err := Unshare()
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	err := <-done
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		t.Skip("making a network namespace wants CAP_SYS_ADMIN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestListenIsInside(t *testing.T) {
	var l net.Listener
	inNew(t, func() error {
		fd, err := Listen()
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "listener")
		defer f.Close()
		l, err = net.FileListener(f)
		return err
	})
	defer l.Close()
	if got := l.Addr().String(); got != RuntimeAPI {
		t.Errorf("listens at %s, want %s", got, RuntimeAPI)
	}
	// The host must not reach it, though the server that holds the listener runs there. Something else may answer at that
	// address outside, so it is accepting that counts.
	if c, err := net.DialTimeout("tcp", RuntimeAPI, 200*time.Millisecond); err == nil {
		defer c.Close()
	}
	l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("the host reached a listener inside a namespace")
	}
}

func TestNamespaceReachesItself(t *testing.T) {
	inNew(t, func() error {
		fd, err := Listen()
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(c)
		return unix.Connect(c, &unix.SockaddrInet4{Port: RuntimePort, Addr: runtimeIP})
	})
}

func TestNamespaceHasNoWayOut(t *testing.T) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	port := host.Addr().(*net.TCPAddr).Port
	for name, ip := range map[string][4]byte{"the host's loopback": {127, 0, 0, 1}, "the internet": {192, 0, 2, 1}} {
		t.Run(name, func(t *testing.T) {
			inNew(t, func() error {
				c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(c)
				if err := unix.Connect(c, &unix.SockaddrInet4{Port: port, Addr: ip}); err == nil {
					t.Errorf("connected to %v:%d from inside", ip, port)
				}
				return nil
			})
		})
	}
}

func TestEnterAndBack(t *testing.T) {
	inNew(t, func() error {
		here, err := Current()
		if err != nil {
			return err
		}
		defer here.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := here.Enter(); err != nil {
			return err
		}
		fd, err := Listen() // works only where RuntimeIP is
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}
