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
	measure := func() (ms int) {
		t.Helper()
		lines := strings.Fields(h.run("burn", "400"))
		ms, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	free := measure()
	h.EndInit()
	h.EndInit()
	start := time.Now()
	// A new start is a new init. So the same process must live through its end.
	r := h.beginSleeping("burn", "600")
	h.EndInit()
	r.wait()
	held, err := strconv.Atoi(strings.Fields(r.out.all(t))[1])
	if err != nil {
		t.Fatal(err)
	}
	took := int(time.Since(start).Milliseconds())
	// Other work on the host may take from what it gets, never give: the bounds are a tenth of a core with the kernel's slack, and
	// that init had clearly more.
	if held > took/4 {
		t.Errorf("with a tenth of a core it had the processor for %d of %d ms", held, took)
	}
	if free < held {
		t.Errorf("init had the processor for %d ms of 400, less than the %d of 600 after it", free, held)
	}
	t.Logf("init: %d of 400 ms, then with 100/1000: %d of %d ms", free, held, took)
}

func testPids(t *testing.T, s *suite) {
	s.needs(t, s.expect.Limited, "limit of processes")
	h := s.create(t, func(spec *sandbox.Spec) { spec.Pids = 60 })
	n, err := strconv.Atoi(strings.TrimSpace(h.run("threads", "500")))
	if err != nil || n < 30 || n > 80 {
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

// testOrphans starts many more processes, one after the other, than may be at a time: dead ones do not count, their parents being
// dead or not.
func testOrphans(t *testing.T, s *suite) {
	h := s.create(t, func(spec *sandbox.Spec) { spec.Pids = 40 })
	if got := h.run("orphans", "100"); got != "100\n" {
		t.Errorf("%s", got)
	}
}
