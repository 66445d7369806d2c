package sandboxtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func networkAttempts() []attempt {
	dial := func(network, addr, secret string) outcome {
		c, err := net.DialTimeout(network, addr, time.Second)
		if err != nil {
			return tried(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		text, err := io.ReadAll(c)
		return found(addr, string(text), secret, err)
	}
	return []attempt{
		{"host-loopback", "reach a service on the host's loopback", "docker --net=host, CVE-2020-8558", anyone, func(tg target) outcome { return dial("tcp", tg.Service, tg.Secret) }},
		{"abstract-socket", "reach an abstract unix socket of the host", "containerd CVE-2020-15257: abstract sockets", anyone, func(tg target) outcome { return dial("unix", tg.Abstract, tg.Secret) }},
		{"unix-socket", "reach a unix socket of the host by its path", "a mounted docker.sock", anyone, func(tg target) outcome { return dial("unix", tg.Unix, tg.Secret) }},
		{"outside", "send a packet beyond its own machine", "egress where none is meant", "a host need not have a route", func(target) outcome {
			c, err := net.Dial("udp", "192.0.2.1:53")
			if err != nil {
				return tried(err)
			}
			_, err = c.Write([]byte("x"))
			return tried(err)
		}},
		{"metadata-service", "reach a cloud's metadata service", "credentials of the host from 169.254.169.254", "a host need not be in a cloud", func(target) outcome {
			_, err := net.DialTimeout("tcp", "169.254.169.254:80", time.Second)
			return tried(err)
		}},
		{"configure-network", "take its loopback device down", "CAP_NET_ADMIN", harms + "the device is the host's", func(target) outcome {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return tried(err)
			}
			req, err := unix.NewIfreq("lo")
			if err != nil {
				return tried(err)
			}
			if os.Getppid() != 1 {
				return outcome{false, "the device is the host's: left alone"}
			}
			return tried(unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req))
		}},
		{"route-netlink", "remove a network device", "CAP_NET_ADMIN by rtnetlink", root, func(target) outcome {
			return deletesLink()
		}},
	}
}

// deletesLink asks for the end of a device that there is not: the kernel asks for the capability first.
func deletesLink() outcome {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return tried(err)
	}
	defer unix.Close(s)
	const headers = unix.NLMSG_HDRLEN + unix.SizeofIfInfomsg
	msg := make([]byte, headers)
	binary.NativeEndian.PutUint32(msg, headers)
	binary.NativeEndian.PutUint16(msg[4:], unix.RTM_DELLINK)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(msg[unix.NLMSG_HDRLEN+4:], 0x7ffffff0) // its index
	if err := unix.Sendto(s, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return tried(err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, answer, 0)
	if err != nil || n < unix.NLMSG_HDRLEN+4 {
		return outcome{false, fmt.Sprint("no answer: ", err)}
	}
	errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])))
	return outcome{errno != unix.EPERM, errno.Error()}
}
