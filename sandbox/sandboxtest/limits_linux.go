package sandboxtest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

func testMemory(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited, "limit of memory")
	h := s.create(t, func(spec *sandbox.Spec) { spec.Memory = 128 << 20 })
	other := s.create(t, nil)
	bystander := other.beginSleeping("sleep")
	if got := h.run("allocate", "60"); got != "60\n" {
		t.Errorf("could allocate %s of 60 MiB", got)
	}
	if u := h.Usage(); u.MaxMemory < 60<<20 || u.MaxMemory > 128<<20 || u.OOMKills != 0 || u.CPUTime <= 0 {
		t.Errorf("usage after 60 MiB of 128: %+v", u)
	}
	r := h.begin(h.command("allocate", "300"))
	if e := r.wait(); !e.OOM || e.Signal != "killed" {
		t.Errorf("beyond the limit it ended with %+v, want an OOM kill", e)
	}
	if u := h.Usage(); u.OOMKills < 1 || u.MaxMemory < 100<<20 || u.MaxMemory > 128<<20 {
		t.Errorf("usage after an OOM kill: %+v", u)
	}
	// What the dead process had is given back a moment after its end.
	again := sandbox.Exit{Code: -1}
	for range 50 {
		if again = h.begin(h.command("allocate", "10")).wait(); again.Code == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if again.Code != 0 {
		t.Errorf("after an OOM kill, allocating 10 MiB ended with %+v", again)
	}
	r = h.beginSleeping("sleep")
	r.Kill()
	if e := r.wait(); e.OOM {
		t.Error("a kill of ours counts as an OOM kill of the past")
	}
	select {
	case <-bystander.Done():
		t.Errorf("another sandbox suffered: %+v", bystander.Exit())
	default:
	}
}

func testCPU(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited, "limit of processor time")
	h := s.create(t, func(spec *sandbox.Spec) { spec.CPU = 100 })
	// Other work on the host takes from what either gets: init is tried until it has more than it could have with the share.
	free := 0
	for deadline := time.Now().Add(time.Minute); free < 120 && time.Now().Before(deadline); {
		lines := strings.Fields(h.run("burn", "400"))
		ms, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatal(err)
		}
		free = ms
	}
	if free < 120 {
		t.Errorf("init had the processor for %d ms of 400, as if it were held to its share", free)
	}
	h.EndInit()
	h.EndInit()
	r := h.beginSleeping("burn", "60000") // a new start is a new init, so the same process must live through its end
	h.EndInit()
	start, before := time.Now(), h.Usage().CPUTime
	time.Sleep(600 * time.Millisecond)
	used := h.Usage().CPUTime - before
	took := time.Since(start)
	if used > took/4 {
		t.Errorf("with a tenth of a core it had the processor for %v of %v", used, took)
	}
	if used == 0 {
		t.Error("it had the processor for no time at all, or it is not counted")
	}
	r.Kill()
	r.wait()
	t.Logf("init: %d of 400 ms, then with 100/1000: %v of %v", free, used, took)
}

func testPids(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited, "limit of processes")
	h := s.create(t, func(spec *sandbox.Spec) { spec.Pids = 60 })
	n, err := strconv.Atoi(strings.TrimSpace(h.run("threads", "500")))
	if err != nil || n < 30 || n > 150 { // some may have ended before the last one was refused
		t.Errorf("with 60 allowed it has started %d processes %v", n, err)
	}
	if n2, _ := strconv.Atoi(strings.TrimSpace(h.run("threads", "500"))); n2 < 30 {
		t.Errorf("the second time it could start only %d: the first ones are not gone", n2)
	}
}

func testFiles(t *testing.T, s *suite) {
	s.needs(t, s.expect.Isolated, "limit of open files")
	h := s.create(t, nil)
	if got := h.run("open", "5000"); got != "1024\n" {
		t.Errorf("it could have %s files open, want 1024", got)
	}
	h = s.create(t, func(spec *sandbox.Spec) { spec.Files = 64 })
	if got := h.run("open", "5000"); got != "64\n" {
		t.Errorf("it could have %s files open, want 64", got)
	}
}

func testTmp(t *testing.T, s *suite) {
	s.needs(t, s.expect.Isolated, "limit of /tmp")
	h := s.create(t, func(spec *sandbox.Spec) { spec.Tmp = 16 << 20 })
	if got := h.run("fill", "/tmp", "64"); got != "16777216\n" {
		t.Errorf("/tmp of 16 MiB took %s", got)
	}
	h.run("read", "/var/task/code.txt")
	other := s.create(t, func(spec *sandbox.Spec) { spec.Tmp = 16 << 20 })
	if got := other.run("fill", "/tmp", "8"); got != "8388608\n" {
		t.Errorf("another sandbox's /tmp took %s", got)
	}
}

// testSocketMemory has a function send itself more than its memory, and never read it. Where the kernel counts what waits in sockets
// with the rest, it is killed.
func testSocketMemory(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited, "limit of memory")
	h := s.create(t, func(spec *sandbox.Spec) { spec.Memory = 128 << 20 })
	r := h.begin(h.command("sockets", "600"))
	e := r.wait()
	sent, err := strconv.Atoi(strings.TrimSpace(r.out.all(t)))
	if e.OOM {
		return
	}
	if err != nil || sent > 300 {
		t.Errorf("with 128 MiB of memory it had %d MiB in sockets: %v %+v", sent, err, e)
	}
	t.Logf("with 128 MiB of memory it had %d MiB in sockets", sent)
}

// testFloods has one sandbox do its worst in every way at once, while another one works, and the server too.
func testFloods(t *testing.T, s *suite) {
	s.needs(t, s.expect.Isolated && s.expect.Limited, "limit of anything, and without one this would take the host down")
	for _, tc := range []struct {
		name  string
		probe []string
	}{
		{"memory", []string{"hog"}},
		{"processes", []string{"forkbomb"}},
		{"open files", []string{"open-all", "100000"}},
		{"temporary files", []string{"fill-all", "/tmp"}},
		{"shared memory", []string{"fill-all", "/dev/shm"}},
		{"log", []string{"flood-all"}},
		{"connections", []string{"connect-all"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := s.create(t, func(spec *sandbox.Spec) { spec.Memory, spec.Pids, spec.CPU, spec.Tmp = 128<<20, 200, 200, 64<<20 })
			good := s.create(t, nil)
			worker := good.beginSleeping("work")
			cmd := bad.command(tc.probe[0], append(tc.probe[1:], bad.Endpoint())...)
			r := bad.begin(cmd)
			bad.EndInit()
			for deadline := time.Now().Add(time.Minute); r.out.String() == ""; time.Sleep(time.Millisecond) {
				if s.expect.OwnKernel && r.isOver() {
					break // its kernel is one process to the host, and dies with the first of its processes that takes too much
				}
				if time.Now().After(deadline) {
					t.Fatalf("the flood does not begin: %q", r.err.String())
				}
			}
			progress(t, worker)
			fresh := s.create(t, nil) // and a new one can be made
			if got := fresh.run("echo", "alive", ""); got != "alive" {
				t.Errorf("a new sandbox said %q", got)
			}
			if u := good.Usage(); u.OOMKills != 0 {
				t.Errorf("the other sandbox lost %d processes", u.OOMKills)
			}
			r.Kill()
			r.wait()
			worker.Kill()
			worker.wait()
			if got := bad.run("echo", "calm", ""); got != "calm" {
				t.Errorf("after the flood its sandbox said %q", got)
			}
		})
	}
}

// progress wants a worker to do more rounds than it has done: each makes a file, a process, memory and a connection.
func progress(t *testing.T, worker *running) {
	t.Helper()
	rounds := func() int { return strings.Count(worker.out.String(), "\n") }
	want := rounds() + 5
	for deadline := time.Now().Add(time.Minute); rounds() < want; time.Sleep(time.Millisecond) {
		select {
		case <-worker.Done():
			t.Fatalf("the other sandbox's worker ended: %+v %s", worker.Exit(), worker.err.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other sandbox did %d rounds, want %d: %s", rounds(), want, worker.err.String())
		}
	}
}

// testOrphans starts many more processes, one after the other, than may be at a time: dead ones do not count, their parents being
// dead or not.
func testOrphans(t *testing.T, s *suite) {
	h := s.create(t, func(spec *sandbox.Spec) { spec.Pids = 40 })
	if got := h.run("orphans", "100"); got != "100\n" {
		t.Errorf("%s", got)
	}
}
