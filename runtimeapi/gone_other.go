//go:build !linux && !darwin && !freebsd

package runtimeapi

import "net"

// gone cannot tell on this system.
func gone(net.Conn) bool { return false }
