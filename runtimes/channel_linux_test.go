package runtimes

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// channelFunctions answer whether descriptor 3 is a socket, whether a child has it too, and whether the variable that tells of it is seen.
var channelFunctions = map[Family]code{
	Python: {handler: "app.handler", files: map[string]string{"app.py": `
import os, stat, subprocess
def handler(event, context):
    if not event:
        return 1
    child = subprocess.run(["readlink", "/proc/self/fd/3"], close_fds=False, capture_output=True).returncode == 0
    env = subprocess.run(["env"], capture_output=True, text=True).stdout
    return [stat.S_ISSOCK(os.fstat(3).st_mode), child, "_ENFOLD_CHANNEL" in os.environ or "_ENFOLD_CHANNEL" in env]
`}},
	Node: {handler: "app.handler", files: map[string]string{"app.js": `
const fs = require('fs'), { spawnSync } = require('child_process');
exports.handler = async (event) => {
  if (Object.keys(event).length === 0) return 1;
  const child = spawnSync('readlink', ['/proc/self/fd/3']).status === 0;
  const env = String(spawnSync('env').stdout);
  return [fs.fstatSync(3).isSocket(), child, '_ENFOLD_CHANNEL' in process.env || env.includes('_ENFOLD_CHANNEL')];
};
`}},
}

// TestChannel: a bootstrap takes the connection that is there when it starts, keeps it from its function's children, and connects
// by itself once it is cut.
func TestChannel(t *testing.T) {
	for family, c := range channelFunctions {
		eachRuntime(t, family, func(t *testing.T, runtime string) {
			theirs, ours := socketPair(t)
			defer theirs.Close()
			c.runtime, c.channel = runtime, theirs
			f := start(t, c)
			cut := serveOn(f, ours)
			want := "[true,false,false]"
			if family == Python {
				want = "[true, false, false]"
			}
			for range 3 {
				f.ok(f.invoke(`{"look":true}`), want)
			}
			f.api.CloseClientConnections() // it has none
			f.ok(f.invoke(`{"look":true}`), want)
			cut()
			f.ok(f.invoke(`{}`), "1")
		})
	}
}

// TestChannelKeepsNothingAlive: a module that waits at its top level for what never comes ends the process, with Node's own status. The
// connection that it has since its start must not keep it.
func TestChannelKeepsNothingAlive(t *testing.T) {
	eachRuntime(t, Node, func(t *testing.T, runtime string) {
		for _, channel := range []bool{true, false} {
			c := code{runtime: runtime, handler: "app.handler", files: map[string]string{
				"app.mjs": "await new Promise(() => {}); export const handler = async () => 1",
			}}
			if channel {
				theirs, _ := socketPair(t)
				defer theirs.Close()
				c.channel = theirs
			}
			f := start(t, c)
			if got := f.exit(); got != 13 || len(f.api.answers) > 0 {
				t.Errorf("with a channel %v: exit status %d, want 13; %d posts", channel, got, len(f.api.answers))
			}
		}
	})
}

// TestNoChannel: who says that there is one, when there is none, does no harm.
func TestNoChannel(t *testing.T) {
	for _, c := range []code{
		{runtime: "python3.12", handler: "app.handler", files: map[string]string{"app.py": "def handler(event, context): return 1"}},
		{runtime: "nodejs20.x", handler: "app.handler", files: map[string]string{"app.js": "exports.handler = async () => 1"}},
	} {
		t.Run(c.runtime, func(t *testing.T) {
			l, err := hostSet(t).Launch(context.Background(), Request{Runtime: c.runtime, Task: t.TempDir()})
			if err != nil {
				t.Skip(err)
			}
			if !l.Channel {
				t.Error("it takes no channel")
			}
			for _, mode := range []bool{false, true} {
				c.waiting = mode
				f := start(t, c)
				f.ok(f.invoke(`{}`), "1")
			}
			if l, err := hostSet(t).Launch(context.Background(), Request{Runtime: c.runtime, Task: t.TempDir(), Wrapper: "/opt/wrapper"}); err != nil || l.Channel {
				t.Errorf("behind a wrapper it takes a channel: %v", err)
			}
		})
	}
}

// socketPair is two ends of a stream socket.
func socketPair(t *testing.T) (theirs *os.File, ours net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "ours")
	defer f.Close()
	if ours, err = net.FileConn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return os.NewFile(uintptr(fds[1]), "theirs"), ours
}

// serveOn has the Runtime API of a function serve a connection. It returns what cuts it, when the runtime asks for an event on it.
func serveOn(f *function, c net.Conn) (cut func()) {
	l := &single{conns: make(chan net.Conn, 1)}
	l.conns <- c
	var asked sync.WaitGroup
	var asks atomic.Bool
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		defer asked.Done()
		asks.Store(r.Method == http.MethodGet)
		f.api.ServeHTTP(w, r)
		asks.Store(false)
	})}
	go s.Serve(l)
	f.t.Cleanup(func() { s.Close() })
	return func() {
		for until := time.Now().Add(patience); !asks.Load() && time.Now().Before(until); time.Sleep(time.Millisecond) {
		}
		s.Close()
		asked.Wait() // or it would take an event
	}
}

// single is a listener that accepts what is in its channel.
type single struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *single) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

func (l *single) Addr() net.Addr { return &net.UnixAddr{Name: "single", Net: "unix"} }
