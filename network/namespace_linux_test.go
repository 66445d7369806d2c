package network

import (
	"errors"
	"fmt"
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
	var runtimeAPI, awsAPI net.Listener
	inNew(t, func() error {
		l, err := Listen()
		if err != nil {
			return err
		}
		defer l.Close()
		if runtimeAPI, err = fileListener(l.Runtime); err != nil {
			return err
		}
		awsAPI, err = fileListener(l.AWS)
		return err
	})
	if l, err := Listen(); err == nil {
		l.Close()
		t.Error("it listens on the host")
	}
	for l, want := range map[net.Listener]string{runtimeAPI: RuntimeAPI, awsAPI: AWSAPI} {
		defer l.Close()
		if got := l.Addr().String(); got != want && got != fmt.Sprint("0.0.0.0:", RuntimePort) {
			t.Errorf("listens at %s, want %s", got, want)
		}
		// The host must not reach it, though the server that holds the listener runs there. Something else may answer at that
		// address outside, so it is accepting that counts.
		if c, err := net.DialTimeout("tcp", want, 200*time.Millisecond); err == nil {
			defer c.Close()
		}
		l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Errorf("the host reached %s inside a namespace", want)
		}
	}
}

// fileListener listens at a copy of a socket.
func fileListener(fd int) (net.Listener, error) {
	dup, err := unix.Dup(fd)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(dup), "listener")
	defer f.Close()
	return net.FileListener(f)
}

func TestNamespaceReachesItself(t *testing.T) {
	inNew(t, func() error {
		l, err := Listen()
		if err != nil {
			return err
		}
		defer l.Close()
		for _, at := range []unix.SockaddrInet4{{Port: RuntimePort, Addr: runtimeIP}, {Port: RuntimePort, Addr: localIP}, {Port: AWSPort, Addr: localIP}} {
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(c)
			if err := unix.Connect(c, &at); err != nil {
				return err
			}
		}
		return nil
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

// What one namespace has taken is free in the next; in the same it is not, and a Listen that fails keeps nothing open.
func TestListenTwice(t *testing.T) {
	for range 2 {
		inNew(t, func() error {
			l, err := Listen()
			if err != nil {
				return err
			}
			defer l.Close()
			if err := unix.Close(l.Runtime); err != nil {
				return err
			}
			if again, err := Listen(); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("listened twice at %s: %v %v", AWSAPI, again, err)
			}
			l.Runtime, err = listen(&unix.SockaddrInet4{Port: RuntimePort, Addr: runtimeIP}) // it was given back
			return err
		})
	}
}

func BenchmarkListen(b *testing.B) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the benchmark
	if err := Unshare(); err != nil {
		b.Skip("making a network namespace wants CAP_SYS_ADMIN: ", err)
	}
	for b.Loop() {
		l, err := Listen()
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
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
		l, err := Listen() // works only where RuntimeIP is
		if err != nil {
			return err
		}
		return l.Close()
	})
}
