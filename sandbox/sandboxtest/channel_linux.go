package sandboxtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// channelFD is where a process has its channel.
const channelFD = 3

// testChannel talks with processes over the connection that they have from their start.
func testChannel(t *testing.T, s *suite) {
	h := s.create(t, nil)
	if s.expect.ahead {
		h.run("true") // the process that waited has its own already
	}
	if got := h.run("channel"); got != "none\n" {
		t.Errorf("without a channel a process has %q", got)
	}
	var last net.Conn
	for i := range 3 {
		r, c := h.beginChannel()
		if !s.expect.Channels {
			r.wait()
			if got := r.out.all(t); c != nil || got != "none\n" {
				t.Errorf("there is a channel %v, and the process has %q", c, got)
			}
			return
		}
		if last != nil {
			if _, err := last.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the channel of a process that has ended: %v", err)
			}
		}
		fmt.Fprintln(c, "hello", i)
		line, err := bufio.NewReader(c).ReadString('\n')
		if want := fmt.Sprintf("got: hello %d, a socket of its network: true, takes descriptors: operation not permitted\n", i); line != want {
			t.Errorf("the process says %q, %v, want %q", line, err, want)
		}
		if e := r.wait(); e.Code != 0 {
			t.Errorf("it ended with %+v: %s", e, r.err.all(t))
		}
		last = c
	}
	_, c := h.beginChannel()
	if err := h.Destroy(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the channel of a sandbox that was destroyed: %v", err)
	}
}

// beginChannel starts the probe with a channel, and has our end of it, nil if there is none.
func (h *host) beginChannel() (*running, net.Conn) {
	h.t.Helper()
	cmd := h.command("channel")
	cmd.Channel = true
	r := h.begin(cmd)
	p, ok := r.Process.(sandbox.Channeled)
	if !ok || p.Channel() == nil {
		return r, nil
	}
	if err := p.Channel().SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return r, p.Channel()
}

// probeChannel answers a line that comes over its channel, if it has one, and says whether that is a socket of its own network, as one of the
// host's would tell about the host's, and whether it could send a descriptor, which the server would have to close.
func probeChannel([]string) int {
	socket, err := os.Readlink(fmt.Sprint("/proc/self/fd/", channelFD))
	f := os.NewFile(channelFD, "channel")
	defer f.Close() // not before the end: what is sent here goes by its number
	c, connErr := net.FileConn(f)
	if connErr != nil || err != nil {
		fmt.Println("none")
		return 0
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return fail(err)
	}
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return fail(err)
	}
	rights := "none"
	if err := syscall.Sendmsg(channelFD, []byte{0}, syscall.UnixRights(1), nil, 0); err != nil {
		rights = err.Error()
	}
	inode := strings.TrimSuffix(strings.TrimPrefix(socket, "socket:["), "]")
	fmt.Fprintf(c, "got: %s, a socket of its network: %t, takes descriptors: %s\n", strings.TrimSpace(line), strings.Contains(string(list), " "+inode+"\n"), rights)
	return 0
}
