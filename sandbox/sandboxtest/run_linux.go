package sandboxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// Expect is what a driver is for. What it is not for is skipped or, for attempts to escape, expected to succeed.
type Expect struct {
	Isolated bool // functions are kept from the host and from each other
	Limited  bool // memory, processes, processor time
	OwnIDs   bool // each sandbox has a host user id of its own
	Stock    bool // sandboxes wait ready, which come and go as they like: what is left is counted without
	Channels bool // a process may have a connection from its start
	// OwnKernel says that functions run on a kernel that is not the host's: where the two differ in what they show, the kernel's
	// own way is expected.
	OwnKernel bool
	// Only are the names of the tests that RunAhead and RunImage run, of those that Run does; nil for all.
	Only []string
	// Harmless are attempts to escape that succeed and gain nothing, each with the reason. One that fails is to be taken off the list.
	Harmless map[string]string
	// Pids are, for each running process with a word among its arguments, a process of the host that has its host user id. Nil is for
	// drivers whose processes the host sees.
	Pids func(word string) []int
	// Why says why something is missing on this host, for the lines that say what was skipped.
	Why string

	ahead bool // sandboxes have waited with a process in them, see RunAhead
}

// Run runs the suite on drivers that open makes.
func Run(t *testing.T, e Expect, open func(t testing.TB) sandbox.Driver) {
	if !e.Stock {
		t.Run("NothingIsLeft", func(t *testing.T) { testNothingIsLeft(t, e, open) }) // first: it counts what others start
	}
	d := open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the driver: %v", err)
		}
	})
	s := &suite{driver: d, expect: e}
	for _, tc := range cases() {
		if e.Only != nil && !slices.Contains(e.Only, tc.name) {
			continue
		}
		t.Run(tc.name, func(t *testing.T) { tc.run(t, s) })
	}
}

// A testCase is a part of the suite.
type testCase struct {
	name string
	run  func(*testing.T, *suite)
}

func cases() []testCase {
	return []testCase{
		{"Output", testOutput},
		{"Flood", testFlood},
		{"Exit", testExit},
		{"CannotStart", testCannotStart},
		{"View", testView},
		{"Environment", testEnvironment},
		{"Mounts", testMounts},
		{"BadSpecs", testBadSpecs},
		{"Listener", testListener},
		{"APIListener", testAPIListener},
		{"Channel", testChannel},
		{"Languages", testLanguages},
		{"Memory", testMemory},
		{"CPU", testCPU},
		{"Pids", testPids},
		{"Files", testFiles},
		{"Tmp", testTmp},
		{"Orphans", testOrphans},
		{"Kill", testKill},
		{"ExitKillsDaemons", testExitKillsDaemons},
		{"Terminate", testTerminate},
		{"Restart", testRestart},
		{"Destroy", testDestroy},
		{"Parallel", testParallel},
		{"ForkBomb", testForkBomb},
		{"SocketMemory", testSocketMemory},
		{"Floods", testFloods},
		{"Shares", testShares},
		{"Tenants", testTenants},
		{"Calls", testCalls},
		{"Escape", testEscape},
	}
}

// A suite is a driver under test.
type suite struct {
	driver sandbox.Driver
	expect Expect
}

// needs skips a test that the driver is not for.
func (s *suite) needs(t *testing.T, has bool, what string) {
	t.Helper()
	if !has {
		why := s.expect.Why
		if why == "" {
			why = "the " + s.driver.Name() + " driver does not"
		}
		t.Skipf("no %s here: %s", what, why)
	}
}

const (
	taskDir   = "/var/task"
	probePath = "/var/probe/test"
)

// A host is a sandbox under test.
type host struct {
	sandbox.Sandbox
	t    testing.TB
	task string // the host directory that is its code
}

// create makes a sandbox that has the test binary, and code. It is destroyed at the end.
func (s *suite) create(t testing.TB, change func(*sandbox.Spec)) *host {
	t.Helper()
	return createIn(t, s.driver, change)
}

func createIn(t testing.TB, d sandbox.Driver, change func(*sandbox.Spec)) *host {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	task := t.TempDir()
	if err := os.WriteFile(filepath.Join(task, "code.txt"), []byte("the code"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{
		ID: newID(), Owner: "000000000000/us-east-1/f/" + newID(), Memory: 512 << 20, CPU: 2000,
		Mounts: []sandbox.Mount{{Source: task, Target: taskDir}, {Source: exe, Target: probePath}},
	}
	if change != nil {
		change(&spec)
	}
	box, err := d.Create(context.Background(), spec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(func() {
		if err := box.Destroy(); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return &host{Sandbox: box, t: t, task: task}
}

// command is a probe.
func (h *host) command(name string, args ...string) sandbox.Command {
	return sandbox.Command{
		Args: append([]string{h.Path(probePath), probeArg, name}, args...),
		Env:  []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		Dir:  h.Path(taskDir),
	}
}

// A running process, with what it writes.
type running struct {
	sandbox.Process
	t        testing.TB
	out, err *output
}

// output collects what comes out of a pipe.
type output struct {
	r    *os.File
	done chan struct{}
	mu   chan struct{}
	buf  bytes.Buffer
}

func newOutput(t testing.TB) (*output, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := &output{r: r, done: make(chan struct{}), mu: make(chan struct{}, 1)}
	go func() {
		defer close(o.done)
		defer r.Close()
		chunk := make([]byte, 64<<10)
		for {
			n, err := r.Read(chunk)
			o.mu <- struct{}{}
			o.buf.Write(chunk[:n])
			<-o.mu
			if err != nil {
				return
			}
		}
	}()
	return o, w
}

func (o *output) String() string {
	o.mu <- struct{}{}
	defer func() { <-o.mu }()
	return o.buf.String()
}

// all waits for the end of the output.
func (o *output) all(t testing.TB) string {
	t.Helper()
	select {
	case <-o.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the output has no end: somebody still has the pipe open")
	}
	return o.buf.String()
}

// begin starts a command.
func (h *host) begin(cmd sandbox.Command) *running {
	h.t.Helper()
	r := &running{t: h.t}
	r.out, cmd.Stdout = newOutput(h.t)
	r.err, cmd.Stderr = newOutput(h.t)
	p, err := h.Start(context.Background(), cmd)
	if err != nil {
		h.t.Fatalf("start %v: %v", cmd.Args, err)
	}
	r.Process = p
	return r
}

// beginSleeping starts a probe that prints a line when it runs, and waits for the line.
func (h *host) beginSleeping(name string, args ...string) *running {
	h.t.Helper()
	r := h.begin(h.command(name, args...))
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(r.out.String(), "\n") {
		select {
		case <-r.Done():
			h.t.Fatalf("probe %s ended: %+v %s", name, r.Exit(), r.err.all(h.t))
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("probe %s does not come up", name)
		}
	}
	return r
}

// wait waits for the end.
func (r *running) wait() sandbox.Exit {
	r.t.Helper()
	select {
	case <-r.Done():
	case <-time.After(30 * time.Second):
		r.Kill()
		r.t.Fatalf("the process does not end; it wrote %q %q", r.out.String(), r.err.String())
	}
	return r.Exit()
}

func (r *running) isOver() bool {
	select {
	case <-r.Done():
		return true
	default:
		return false
	}
}

// run runs a probe to its end, which must be good, and is what it wrote.
func (h *host) run(name string, args ...string) string {
	h.t.Helper()
	r := h.begin(h.command(name, args...))
	if e := r.wait(); e.Code != 0 || e.Signal != "" || e.Err != nil {
		h.t.Fatalf("probe %s %v ended with %+v: %s", name, args, e, r.err.all(h.t))
	}
	return r.out.all(h.t)
}

// tell runs a probe that answers in JSON.
func (h *host) tell(v any, name string) {
	h.t.Helper()
	text := h.run(name)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		h.t.Fatalf("probe %s said %q: %v", name, text, err)
	}
}

// isDestroyed says that an error is ErrDestroyed.
func isDestroyed(err error) bool { return errors.Is(err, sandbox.ErrDestroyed) }
