package runtimeapi

import (
	"net"
	"testing"
)

// Who has connected is seen before anybody accepts.
func TestPending(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if pending(l) {
		t.Error("nobody has connected")
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // gone again, and what it sent is still to be read
	if !pending(l) {
		t.Error("a connection that waits is not seen")
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	if pending(l) {
		t.Error("a connection that was accepted still waits")
	}
}
