package sandboxtest

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"
)

// answerOnce tells who connects first what it said.
func answerOnce(l net.Listener, as string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Fprintf(c, "%s got: %s", as, line)
}

// testListener has functions of two sandboxes call their own listener, at the same endpoint if need be.
func testListener(t *testing.T, s *suite) {
	for i := range 2 {
		h := s.create(t, nil)
		as := fmt.Sprint("sandbox ", i)
		go answerOnce(h.Listener(), as)
		if got, want := h.run("fetch", h.Endpoint()), as+" got: hello from inside\n"; got != want {
			t.Errorf("the function got %q, want %q", got, want)
		}
	}
	h := s.create(t, nil)
	if err := h.Destroy(); err != nil {
		t.Fatal(err)
	}
	if c, err := h.Listener().Accept(); err == nil {
		c.Close()
		t.Error("a destroyed sandbox's listener accepts")
	}
	if _, ok := h.Listener().(*net.TCPListener); !ok {
		t.Errorf("listener is a %T", h.Listener())
	}
}

// testAPIListener is testListener's for the AWS API. The host may listen at the same address: neither reaches the other's.
func testAPIListener(t *testing.T, s *suite) {
	if !s.expect.Isolated {
		h := s.create(t, nil)
		if h.APIListener() != nil || h.APIEndpoint() != "" {
			t.Errorf("a sandbox in the host's network listens at %q", h.APIEndpoint())
		}
		return
	}
	first := s.create(t, nil)
	asked := make(chan string, 16)
	if l, err := net.Listen("tcp", first.APIEndpoint()); err == nil { // else a server of the host's is there: as well
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				line, _ := bufio.NewReader(c).ReadString('\n')
				c.Close()
				asked <- line
			}
		}()
	}
	for i, h := range []*host{first, s.create(t, nil)} {
		as := fmt.Sprint("API of ", i)
		go answerOnce(h.APIListener(), as)
		if got, want := h.run("fetch", h.APIEndpoint()), as+" got: hello from inside\n"; got != want {
			t.Errorf("the function got %q, want %q", got, want)
		}
		if len(asked) > 0 {
			t.Errorf("what listens at %s on the host was asked %q", h.APIEndpoint(), <-asked)
		}
	}
	testAPIListenerIsInside(t, first)
	testAPIListenerCloses(t, s)
}

// testAPIListenerIsInside has the host and the sandbox try what is not theirs.
func testAPIListenerIsInside(t *testing.T, h *host) {
	if c, err := net.DialTimeout("tcp", h.APIEndpoint(), time.Second); err == nil {
		defer c.Close()
	}
	l := h.APIListener().(*net.TCPListener)
	if err := l.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("the host reached the sandbox's AWS API")
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, port, err := net.SplitHostPort(h.APIEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	if got := h.run("refused", other.Addr().String(), "169.254.100.1:"+port, "[::1]:"+port, "192.0.2.1:"+port); got != "" {
		t.Errorf("the function could connect to %q", got)
	}
}

func testAPIListenerCloses(t *testing.T, s *suite) {
	h := s.create(t, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := h.APIListener().Accept()
		ended <- err
	}()
	if err := h.Destroy(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a destroyed sandbox's AWS API accepts")
		}
	case <-time.After(5 * time.Second):
		t.Error("Accept outlives its sandbox")
	}
}
