package worker

import (
	"syscall"
	"testing"

	"github.com/enfold-run/enfold/sandbox/namespace/pid1"
)

// socketsCode answers what kind of socket descriptor 3 is, and how many TCP connections there are in the sandbox.
const socketsCode = `import os, sys
def handler(event, context):
    if event.get("do") == "die": os._exit(1)
    inode = os.readlink("/proc/self/fd/3")[8:-1]
    unix = any(line.split()[6] == inode for line in open("/proc/net/unix"))
    return [unix, sum(line.split()[3] == "01" for line in open("/proc/net/tcp"))]
`

// A runtime of ours talks with the Runtime API over the connection that it has from its start, whether it waited, was started for its
// function, or after a crash.
func TestChannel(t *testing.T) {
	if fds, err := pid1.NewChannel(); err != nil {
		t.Skipf("this kernel has no connection that takes no descriptors, as Linux 6.16 has: %v", err)
	} else {
		syscall.Close(fds[0])
		syscall.Close(fds[1])
	}
	for name, w := range map[string]*world{"claimed": readyWorld(t), "started": newWorld(t, "namespace", Deps{})} {
		f := w.python(t, socketsCode)
		f.MemoryMB = 1769
		if name == "claimed" {
			w.Expect(f)
			w.waitReady(1)
		}
		for _, event := range []string{`{}`, `{}`, `{"do":"die"}`, `{}`, `{}`} {
			resp := w.do(f, w.request(event))
			if event == `{}` && string(resp.Payload) != "[true, 0]" {
				t.Errorf("%s: %s", name, resp.Payload)
			}
		}
		if s := w.Stats(); name == "claimed" && s.Claimed != 1 {
			t.Errorf("%+v, want one that was claimed", s)
		}
	}
}
