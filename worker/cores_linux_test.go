package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// pinned is a sandbox that notes on which core it is.
type pinned struct {
	sandbox.Sandbox
	core int
	used time.Duration
	err  error
}

func (p *pinned) Pin(core int) error {
	p.core = core
	return p.err
}

func (p *pinned) CPUTime() time.Duration { return p.used }

// coresWorld is a Pool on four cores, two of which are ours, with nobody who watches.
func coresWorld(t *testing.T, n int) (*cores, []*environment, []*pinned) {
	c := &cores{
		rest: []int{0, 1}, ours: []int{2, 3}, busy: make([]int, 2), watching: true,
		running: map[*environment]int{}, active: map[*environment]struct{}{},
	}
	p := &Pool{cores: c, deps: Deps{Log: slog.New(slog.DiscardHandler)}}
	envs, boxes := make([]*environment, n), make([]*pinned, n)
	for i := range envs {
		boxes[i] = &pinned{core: sandbox.AnyCore}
		envs[i] = &environment{pool: p, function: &Function{MemoryMB: coreMB}, box: boxes[i]}
		envs[i].pinnable()
		envs[i].pin.brief = 1
	}
	t.Cleanup(func() {
		if c.busy[0] != 0 || c.busy[1] != 0 || len(c.running) != 0 || c.inFlight != 0 {
			t.Errorf("all have left: %v on the cores, %d running, %d in flight", c.busy, len(c.running), c.inFlight)
		}
	})
	return c, envs, boxes
}

func TestWhoGetsACore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *cores, e *environment)
		want   int
	}{
		{"one whose invocations are brief", func(*cores, *environment) {}, 2},
		{"a new one", func(_ *cores, e *environment) { e.pin.brief = 0 }, sandbox.AnyCore},
		{"one that has computed", func(_ *cores, e *environment) { e.pin.brief = -1 }, sandbox.AnyCore},
		{"one that looks for its next event", func(_ *cores, e *environment) { e.looks = pollTime }, sandbox.AnyCore},
		{"one with more than a core", func(_ *cores, e *environment) {
			e.function.MemoryMB, e.pin.box = coreMB+1, nil
			e.pinnable()
		}, sandbox.AnyCore},
		{"while others compute", func(c *cores, _ *environment) { c.others = true }, sandbox.AnyCore},
		{"while the kernel decides", func(c *cores, _ *environment) { c.spread = time.Now().Add(time.Hour) }, sandbox.AnyCore},
		{"after the kernel has decided", func(c *cores, _ *environment) { c.spread = time.Now() }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, envs, boxes := coresWorld(t, 1)
			tt.change(c, envs[0])
			c.enter(envs[0])
			if boxes[0].core != tt.want {
				t.Errorf("core %d, want %d", boxes[0].core, tt.want)
			}
			c.leave(envs[0])
		})
	}
}

// The cores get as many each, and a sandbox keeps its own if that is not much worse.
func TestCoresAreShared(t *testing.T) {
	c, envs, boxes := coresWorld(t, 6)
	for _, e := range envs {
		c.enter(e)
	}
	if c.busy[0] != 3 || c.busy[1] != 3 {
		t.Errorf("six are on %v", c.busy)
	}
	for _, e := range envs[1:] {
		c.leave(e)
	}
	had := boxes[1].core
	if c.enter(envs[1]); boxes[1].core != had {
		t.Errorf("it moved from %d to %d without need", had, boxes[1].core)
	}
	c.leave(envs[0])
	c.leave(envs[1])
}

func TestBrief(t *testing.T) {
	c, envs, boxes := coresWorld(t, 9)
	e := envs[0]
	after := func(took, used time.Duration, beside int) int {
		e.pin.count()
		for _, o := range envs[1 : 1+beside] {
			c.enter(o)
		}
		c.enter(e)
		e.pin.begun = time.Now().Add(-took)
		boxes[0].used += used
		c.leave(e)
		for _, o := range envs[1 : 1+beside] {
			c.leave(o)
		}
		return e.pin.brief
	}
	for _, tt := range []struct {
		before     int
		took, used time.Duration
		beside     int
		want       int
	}{
		{0, 0, 0, 0, 1},
		{1, 0, 0, 0, 2},
		{5, brief + time.Millisecond, brief, 0, -1},
		{5, brief + time.Millisecond, 0, 0, 5},            // it has waited
		{0, time.Second, time.Second / 8, 0, 0},           // most of the time
		{5, brief + time.Millisecond, brief, 3, -1},       // each had a core
		{5, brief + time.Millisecond, brief, 8, 6},        // nine shared four
		{5, 3*brief + time.Millisecond, 2 * brief, 8, -1}, // and more than that was its own
		{-penance, 0, 0, 0, -penance + 1},
		{-penance, time.Second, time.Second, 0, -penance},
	} {
		e.pin.brief = tt.before
		if got := after(tt.took, tt.used, tt.beside); got != tt.want {
			t.Errorf("%d after %v beside %d others: %d, want %d", tt.before, tt.took, tt.beside, got, tt.want)
		}
	}
}

// One that computes on a core of ours gets all, and has to be brief for a while before it is on one again.
func TestComputingLeavesItsCore(t *testing.T) {
	c, envs, boxes := coresWorld(t, 2)
	for _, e := range envs {
		c.enter(e)
	}
	for i := range 2 {
		boxes[0].used += computing
		boxes[1].used += computing / 2
		c.look(time.Now().Add(long + time.Duration(i+1)*tick))
	}
	if boxes[0].core != sandbox.AnyCore || envs[0].pin.brief != -penance {
		t.Errorf("one that computes is on core %d, with %d", boxes[0].core, envs[0].pin.brief)
	}
	if boxes[1].core == sandbox.AnyCore {
		t.Error("one that waits has lost its core")
	}
	for _, e := range envs {
		c.leave(e)
	}
}

// When others compute all sandboxes get all cores, until they have not for a while.
func TestOthersCompute(t *testing.T) {
	c, envs, boxes := coresWorld(t, 1)
	e := envs[0]
	c.enter(e)
	c.usage.others = othersGlances
	c.judge(time.Now())
	eventually(t, "its core is taken", func() bool {
		e.pin.moving.Lock()
		defer e.pin.moving.Unlock()
		return boxes[0].core == sandbox.AnyCore
	})
	c.leave(e)
	c.usage.others, c.usage.alone = 0, aloneGlances-1
	c.judge(time.Now())
	if c.enter(e); boxes[0].core != sandbox.AnyCore {
		t.Error("it has a core again too soon")
	}
	c.leave(e)
	c.usage.alone++
	c.judge(time.Now())
	e.pin.brief = 1
	if c.enter(e); boxes[0].core == sandbox.AnyCore {
		t.Error("it has no core again")
	}
	c.leave(e)
}

// When ours are full while others have room, the kernel decides: if more run there than there are cores.
func TestOursAreFull(t *testing.T) {
	c, envs, boxes := coresWorld(t, 3)
	now := time.Now()
	for i, e := range envs {
		c.enter(e)
		c.usage.full = fullGlances
		c.judge(now)
		if spread := now.Before(c.spread); spread != (i == 2) {
			t.Errorf("with %d on two cores the kernel decides: %v", i+1, spread)
		}
	}
	eventually(t, "their cores are taken", func() bool {
		for i, e := range envs {
			e.pin.moving.Lock()
			core := boxes[i].core
			e.pin.moving.Unlock()
			if core != sandbox.AnyCore {
				return false
			}
		}
		return true
	})
	for _, e := range envs {
		c.leave(e)
	}
}

// Where it does not work it is not tried again.
func TestPinFails(t *testing.T) {
	for _, err := range []error{sandbox.ErrUnsupported, errors.New("something else")} {
		c, envs, boxes := coresWorld(t, 1)
		boxes[0].err = err
		for range 2 {
			c.enter(envs[0])
			c.leave(envs[0])
		}
		if boxes[0].core != sandbox.AnyCore {
			t.Errorf("%v: tried again", err)
		}
	}
}

// counting says how many cores it may use, at first and in the end, and computes as long as it is asked to.
const counting = `import os, time
def handler(event, context):
    if event.get("exit"):
        os._exit(1)
    first = len(os.sched_getaffinity(0))
    until = time.time() + event.get("s", 0)
    while time.time() < until:
        pass
    return [first, len(os.sched_getaffinity(0))]
`

// A function whose invocations are brief has one core, and one that computes has all; the process that comes after it too.
func TestBriefFunctionHasOneCore(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.python(t, counting)
	f.MemoryMB = coreMB - 1
	call := func(event string) (got [2]int) {
		t.Helper()
		if resp := w.do(f, w.request(event)); json.Unmarshal(resp.Payload, &got) != nil {
			t.Fatalf("%s", resp.Payload)
		}
		return got
	}
	n := runtime.NumCPU()
	if got := call(`{}`); got != [2]int{n, n} {
		t.Fatalf("a new one may use %v cores, want %d", got, n)
	}
	e := w.longestIdle()[0]
	if e.pin.box == nil {
		t.Skip("this host has one core, or cores that are not alike, or this user may make no control groups")
	}
	entitle := func() { // what else this machine does meanwhile is not at issue
		w.cores.mu.Lock()
		defer w.cores.mu.Unlock()
		w.cores.others, w.cores.spread, e.pin.brief = false, time.Time{}, 1
	}
	// kept calls it when it may have a core, until it has one.
	kept := func(event string) (got [2]int) {
		t.Helper()
		for range 50 {
			entitle()
			if got = call(event); got[0] == 1 {
				break
			}
		}
		return got
	}
	if got := kept(`{}`); got != [2]int{1, 1} {
		if e.pin.off && os.Getuid() != 0 {
			t.Skip("this user may not pin a sandbox's processes")
		}
		t.Fatalf("a brief one has %v cores", got)
	}
	if got := kept(`{"s":1}`); got != [2]int{1, n} {
		t.Errorf("one that computes has %v cores, want %d in the end", got, n)
	}
	kept(`{}`)
	if resp := w.do(f, w.request(`{"exit":1}`)); resp.ErrorType != "Runtime.ExitError" {
		t.Errorf("%+v", resp)
	}
	entitle()
	if got := call(`{}`); got != [2]int{n, n} {
		t.Errorf("the process after may use %v cores, want %d", got, n)
	}
}

// The threads of a core are beside each other, and where cores are not alike none are chosen.
func TestArranged(t *testing.T) {
	threads := map[string]string{} // of four cores, as many machines number them
	for n := range 8 {
		threads[fmt.Sprintf("system/cpu/cpu%d/topology/thread_siblings_list", n)] = fmt.Sprintf("%d,%d\n", n%4, n%4+4)
	}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []int
	}{
		{"nothing is known", nil, all},
		{"threads", threads, []int{0, 4, 1, 5, 2, 6, 3, 7}},
		{"two kinds", map[string]string{"cpu_atom/cpus": "4-7\n"}, nil},
		{"a little faster", map[string]string{"system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "4700000\n", "system/cpu/cpu1/cpufreq/cpuinfo_max_freq": "4500000\n"}, all},
		{"much faster", map[string]string{"system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "4700000\n", "system/cpu/cpu7/cpufreq/cpuinfo_max_freq": "3200000\n"}, nil},
		{"big and little", map[string]string{"system/cpu/cpu0/cpu_capacity": "446\n", "system/cpu/cpu7/cpu_capacity": "1024\n"}, nil},
		{"no number", map[string]string{"system/cpu/cpu0/cpu_capacity": "", "system/cpu/cpu7/cpu_capacity": "much"}, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := t.TempDir()
			for name, text := range tt.files {
				name = filepath.Join(sys, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if got := arranged(sys, slices.Clone(all)); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
