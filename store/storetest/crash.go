package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ctx is of work that a test's end does not stop: a child's, and a check's after a crash.
var ctx = context.Background()

// crashRounds is how often each crash test crashes: 3, or STORETEST_ROUNDS for a longer search.
func crashRounds(t *testing.T) int {
	t.Helper()
	v := os.Getenv("STORETEST_ROUNDS")
	if v == "" {
		return 3
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("STORETEST_ROUNDS=%q: want a number of rounds", v)
	}
	return n
}

// Kill ends a process under load with SIGKILL, several times on one directory, and checks that every acknowledged write of
// every round is there and no transaction is there in part.
func Kill(t *testing.T, b Backend) {
	dir := t.TempDir()
	var before promises
	for round := range crashRounds(t) {
		p := newProcess(t, dir, round, false)
		p.awaitWork()
		time.Sleep(time.Duration(300+200*round%700) * time.Millisecond)
		p.kill()
		now := p.promises(t, math.MaxInt)
		t.Logf("round %d: %s", round, now.count())
		for _, loss := range check(b, dir, round, now, before) {
			t.Errorf("round %d: %s", round, loss)
		}
		before = before.with(now)
	}
}

// process is the test binary, started again as the one that crashes.
type process struct {
	cmd  *exec.Cmd
	out  *collected
	errs bytes.Buffer
}

func newProcess(t *testing.T, dir string, round int, unsafe bool) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=r%d", childRound, round))
	if unsafe {
		p.cmd.Env = append(p.cmd.Env, childUnsafe+"=1")
	}
	p.cmd.Stderr = &p.errs
	stdin, err := p.cmd.StdinPipe() // it ends when this is closed, as it is if this process dies
	if err != nil {
		t.Fatal(err)
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = pw
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = pw.Close() // the child's copy is the one that counts
	p.out = &collected{done: make(chan struct{})}
	go p.out.collect(pr)
	t.Cleanup(func() {
		_ = stdin.Close()
		p.kill()
	})
	return p
}

// awaitWork waits until the process has acknowledged some of everything, for a minute at most: on a machine with much to do, a
// process takes a while to begin.
func (p *process) awaitWork() {
	for begun := time.Now(); time.Since(begun) < time.Minute && !p.out.hasAll("write ", "consume ", "log ", "blob "); {
		time.Sleep(5 * time.Millisecond)
	}
}

// kill is SIGKILL; it waits until the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // how it ended is known
}

// collected reads a pipe while the process runs, so that it never waits for its reader.
type collected struct {
	done chan struct{}

	mu  sync.Mutex
	all []byte
}

func (c *collected) collect(r io.ReadCloser) {
	defer close(c.done)
	_, _ = io.Copy(c, r)
	_ = r.Close()
}

func (c *collected) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p...)
	return len(p), nil
}

// soFar is how many bytes have come.
func (c *collected) soFar() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// hasAll says whether a whole line of each kind has come.
func (c *collected) hasAll(kinds ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := slices.Clone(kinds)
	for line := range bytes.Lines(c.all) {
		if bytes.HasSuffix(line, []byte("\n")) {
			left = slices.DeleteFunc(left, func(kind string) bool { return bytes.HasPrefix(line, []byte(kind)) })
		}
		if len(left) == 0 {
			return true
		}
	}
	return false
}

// promises is what a process acknowledged.
type promises struct {
	writes, consumed, logs []string
	late                   []string          // messages consumed when it was too late for a promise
	blobs                  map[string]string // id to the SHA-256 of the content
}

// promises reads the lines of a process that has ended. Those beyond so many bytes promise nothing, nor does one that is cut
// short.
func (p *process) promises(t *testing.T, upTo int) promises {
	t.Helper()
	<-p.out.done
	got := promises{blobs: make(map[string]string)}
	at := 0
	for line := range strings.Lines(string(p.out.all)) {
		f := strings.Fields(line)
		at += len(line)
		switch {
		case !strings.HasSuffix(line, "\n"):
		case len(f) == 2 && f[0] == "consume" && at > upTo:
			got.late = append(got.late, f[1])
		case at > upTo:
		case len(f) == 2 && f[0] == "write":
			got.writes = append(got.writes, f[1])
		case len(f) == 2 && f[0] == "consume":
			got.consumed = append(got.consumed, f[1])
		case len(f) == 2 && f[0] == "log":
			got.logs = append(got.logs, f[1])
		case len(f) == 3 && f[0] == "blob":
			got.blobs[f[1]] = f[2]
		default:
			t.Fatalf("line %q", line)
		}
	}
	if len(got.writes) == 0 || len(got.consumed) == 0 || len(got.logs) == 0 || len(got.blobs) == 0 {
		t.Fatalf("the process was to acknowledge some of everything: %s; it said: %s", got.count(), p.errs.String())
	}
	return got
}

func (p promises) count() string {
	return fmt.Sprintf("%d transactions, %d messages, %d log chunks, %d blobs acknowledged", len(p.writes), len(p.consumed), len(p.logs), len(p.blobs))
}

// with adds those of another round.
func (p promises) with(more promises) promises {
	sum := promises{blobs: make(map[string]string)}
	for _, o := range []promises{p, more} {
		sum.writes, sum.logs = append(sum.writes, o.writes...), append(sum.logs, o.logs...)
		for id, h := range o.blobs {
			sum.blobs[id] = h
		}
	}
	return sum
}

// check opens the store after a crash and answers what was lost or is there in part.
func check(b Backend, dir string, round int, now, before promises) (losses []string) {
	s, err := b.Open(dir)
	if err != nil {
		return []string{fmt.Sprintf("the store does not open: %v", err)}
	}
	lost := func(format string, args ...any) { losses = append(losses, fmt.Sprintf(format, args...)) }
	if err := errors.Join(checkMain(s, round, now, before, lost), checkRest(s, now.with(before), lost), s.Close()); err != nil {
		lost("%v", err)
	}
	return losses
}
