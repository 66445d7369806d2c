package sandboxtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func errorIs(err, want error) bool { return err != nil && errors.Is(err, want) }

// hostPids are the processes of the host, as far as we may see, that have a word among their arguments.
func hostPids(word string) []int {
	var pids []int
	for _, name := range names("/proc") {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		args, err := os.ReadFile(filepath.Join("/proc", name, "cmdline"))
		if err == nil && slices.ContainsFunc(bytes.Split(args, []byte{0}), func(a []byte) bool { return string(a) == word }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pids are the processes that have a word among their arguments, as far as they can be seen from outside.
func (s *suite) pids(word string) []int {
	if s.expect.Pids != nil {
		return s.expect.Pids(word)
	}
	return hostPids(word)
}

// noneLeft wants no process with the word.
func (s *suite) noneLeft(t *testing.T, word string) {
	t.Helper()
	if left := s.pids(word); len(left) > 0 {
		t.Errorf("%d processes are left: %v", len(left), left)
	}
}

// testKill kills a process that has made daemons, which do not listen to SIGTERM and have left its session.
func testKill(t *testing.T, s *suite) {
	h := s.create(t, nil)
	word := newID()
	r := h.beginSleeping("daemons", "stay", word)
	if n := len(s.pids(word)); n != 4 {
		t.Fatalf("%d processes run, want the first and three daemons", n)
	}
	r.Kill()
	if e := r.wait(); e.Signal != "killed" || e.OOM {
		t.Errorf("exit %+v", e)
	}
	s.noneLeft(t, word)
	r.out.all(t) // nobody has the pipe
	r.Kill()     // no harm
}

func testExitKillsDaemons(t *testing.T, s *suite) {
	h := s.create(t, nil)
	word := newID()
	if e := h.begin(h.command("daemons", "go", word)).wait(); e.Code != 0 || e.Signal != "" {
		t.Errorf("exit %+v", e)
	}
	s.noneLeft(t, word)
}

func testTerminate(t *testing.T, s *suite) {
	h := s.create(t, nil)
	r := h.beginSleeping("term")
	r.Terminate()
	if e := r.wait(); e.Code != 42 {
		t.Errorf("asked to end it ended with %+v, want its own 42", e)
	}
	r = h.beginSleeping("sleep")
	r.Terminate()
	if e := r.wait(); e.Code != 2 && e.Signal != "terminated" { // Go's runtime raises the signal anew
		t.Errorf("one that knows nothing of it ended with %+v", e)
	}
	r = h.beginSleeping("deaf")
	r.Terminate()
	select {
	case <-r.Done():
		t.Errorf("a deaf one ended with %+v", r.Exit())
	case <-time.After(100 * time.Millisecond):
	}
	r.Kill()
	r.wait()
}

// testRestart is what happens after a timeout: the next process finds /tmp, and nobody there.
func testRestart(t *testing.T, s *suite) {
	h := s.create(t, nil)
	h.run("write", h.Path("/tmp/kept"), "from before")
	word := newID()
	r := h.beginSleeping("daemons", "stay", word)
	if p, err := h.Start(context.Background(), h.command("true")); err == nil {
		p.Kill()
		t.Error("a second process was started while one runs")
	}
	r.Kill()
	r.wait()
	s.noneLeft(t, word)
	if got := h.run("read", h.Path("/tmp/kept")); got != "from before" {
		t.Errorf("/tmp has %q", got)
	}
	if s.expect.Isolated {
		var v view
		h.tell(&v, "look")
		if len(v.Procs) != 2 {
			t.Errorf("the new process sees %v", v.Procs)
		}
	}
	for range 10 {
		h.run("true")
	}
	// An order to a process of the past is not for the next one.
	next := h.beginSleeping("sleep")
	r.Kill()
	r.Terminate()
	select {
	case <-next.Done():
		t.Errorf("killing a past process killed the next: %+v", next.Exit())
	case <-time.After(50 * time.Millisecond):
	}
	next.Kill()
	next.wait()
}

func testDestroy(t *testing.T, s *suite) {
	h := s.create(t, nil)
	word := newID()
	r := h.beginSleeping("daemons", "stay", word)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := h.Destroy(); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	wg.Wait()
	s.noneLeft(t, word)
	if e := r.wait(); e.Signal != "killed" {
		t.Errorf("exit %+v", e)
	}
	if _, err := h.Start(context.Background(), h.command("true")); !isDestroyed(err) {
		t.Errorf("start after destroy: %v", err)
	}
	r.Kill()
	r.Terminate()
	h.EndInit()
	h.Usage()
}

// testParallel makes twenty at once.
func testParallel(t *testing.T, s *suite) {
	const n = 20
	uids := make([]string, n)
	var wg sync.WaitGroup
	hosts := make([]*host, n)
	for i := range n {
		hosts[i] = &host{t: t}
	}
	errs := make(chan error, n)
	begun := time.Now()
	for i := range n {
		wg.Go(func() {
			box, err := s.driver.Create(context.Background(), sandbox.Spec{
				ID: newID(), Owner: newID(), Memory: 256 << 20,
				Mounts: []sandbox.Mount{{Source: mustExe(t), Target: probePath}},
			})
			if err != nil {
				errs <- err
				return
			}
			hosts[i].Sandbox = box
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Errorf("create: %v", err)
	}
	for i, h := range hosts {
		if h.Sandbox == nil {
			continue
		}
		t.Cleanup(func() {
			if err := h.Destroy(); err != nil {
				t.Error(err)
			}
		})
		word := newID()
		cmd := h.command("sleep", word)
		cmd.Dir = h.Path("/tmp")
		r := h.begin(cmd)
		for !strings.Contains(r.out.String(), "sleeping") && time.Since(begun) < 30*time.Second {
			time.Sleep(time.Millisecond)
		}
		for _, pid := range s.pids(word) {
			uids[i] = status("/proc/" + strconv.Itoa(pid) + "/status")["Uid"]
		}
	}
	t.Logf("%d sandboxes made and running after %v", n, time.Since(begun).Round(time.Millisecond))
	if s.expect.OwnIDs {
		slices.Sort(uids)
		if got := len(slices.Compact(uids)); got != n {
			t.Errorf("%d sandboxes have %d host user ids", n, got)
		}
	}
}

func mustExe(t testing.TB) string {
	exe, err := os.Executable()
	if err != nil {
		t.Error(err)
	}
	return exe
}

// testForkBomb lets one sandbox explode while another one works.
func testForkBomb(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited && s.expect.Isolated, "limit of processes, and without one this would take the host down")
	bomb := s.create(t, func(spec *sandbox.Spec) { spec.Pids, spec.CPU = 200, 200 })
	r := bomb.beginSleeping("forkbomb")
	bomb.EndInit()
	n := 0
	for deadline := time.Now().Add(30 * time.Second); n < 10 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		n = len(s.pids("forkbomb"))
	}
	if n < 10 {
		t.Errorf("the bomb has only %d processes: it is none", n)
	}
	other := s.create(t, nil)
	start := time.Now()
	if got := other.run("echo", "alive", ""); got != "alive" {
		t.Errorf("another sandbox said %q", got)
	}
	limit := 3 * time.Second
	if s.expect.OwnKernel { // its kernel needs the processor for more than the function does
		limit = 15 * time.Second
	}
	if took := time.Since(start); took > limit {
		t.Errorf("another sandbox took %v", took)
	}
	r.Kill()
	r.wait()
	s.noneLeft(t, "forkbomb")
	if got := bomb.run("echo", "calm", ""); got != "calm" {
		t.Errorf("after its bomb the sandbox said %q", got)
	}
}
