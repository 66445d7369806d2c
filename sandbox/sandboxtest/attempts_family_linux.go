package sandboxtest

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// familyAttempts are on the kinds of sockets, each a part of the kernel that a function has no use for.
func familyAttempts() []attempt {
	socket := func(family, kind, proto int) outcome {
		_, err := unix.Socket(family, kind, proto)
		return tried(err)
	}
	return []attempt{
		{"raw-socket", "open a raw socket", "CAP_NET_RAW", root, func(target) outcome { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"packet-socket", "listen to all packets", "CVE-2020-14386: packet sockets", "a kernel may be built without them", func(target) outcome { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
		{"vsock", "reach the hypervisor", "CVE-2021-26708: vsock, and the hypervisor behind it", root, func(target) outcome { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},
		{"netlink-netfilter", "speak to the kernel's packet filter", "CVE-2022-1015, CVE-2024-1086: nf_tables", "a kernel may be built without it", func(target) outcome {
			return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
		}},
		{"netlink-uevent", "speak to the kernel's audit system or listen to its events", "netlink families that know no namespace", root, func(target) outcome {
			return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)
		}},
		{"alg-socket", "use the kernel's ciphers", "CVE-2019-8912: AF_ALG", "a kernel may be built without it", func(target) outcome { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
		{"netlink-others", "speak to audit, xfrm, socket listings, or anything by generic netlink", "netlink families that know no namespace", anyone, func(target) outcome {
			for proto := range 32 {
				if proto == unix.NETLINK_ROUTE {
					continue
				}
				if o := socket(unix.AF_NETLINK, unix.SOCK_RAW, proto); o.Escaped {
					return outcome{true, fmt.Sprint("netlink family ", proto, " opens")}
				}
			}
			return outcome{false, "none opens"}
		}},
		{"socket-families", "open a socket of a family that nobody uses", "CVE-2010-3904, CVE-2020-12351, CVE-2021-43267: rare families", "a kernel may have none", func(target) outcome {
			for family := range 64 {
				switch family {
				case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
					continue
				}
				for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
					if o := socket(family, kind, 0); o.Escaped {
						return outcome{true, fmt.Sprint("family ", family, " opens")}
					}
				}
			}
			return outcome{false, "none opens"}
		}},
		{"socket-protocols", "open a socket of a protocol that nobody uses", "CVE-2017-6074, CVE-2019-8956, CVE-2024-44974: DCCP, SCTP, MPTCP", "a kernel may have none", func(target) outcome {
			for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
				for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_DCCP} {
					for _, proto := range []int{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, unix.IPPROTO_DCCP, unix.IPPROTO_SCTP, unix.IPPROTO_UDPLITE, unix.IPPROTO_MPTCP, 256} {
						if o := socket(family, kind, proto); o.Escaped {
							return outcome{true, fmt.Sprint("protocol ", proto, " opens")}
						}
					}
				}
			}
			return outcome{false, "none opens"}
		}},
	}
}
