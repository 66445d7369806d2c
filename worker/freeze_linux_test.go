package worker

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// ticking counts in the background, and answers with its count.
const ticking = `import threading, time
count = 0
def tick():
    global count
    while True:
        count += 1
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
def handler(event, context):
    return count
`

// frozen waits until the one sandbox of a pool stands still, and is that sandbox.
func (w *world) frozen(t *testing.T) *environment {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for _, e := range w.longestIdle() {
			if e.ice.box == nil {
				t.Skip("this host cannot freeze a sandbox")
			}
			e.ice.mu.Lock()
			done := e.ice.frozen
			e.ice.mu.Unlock()
			if done {
				return e
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no idle sandbox was frozen")
		}
	}
}

func (w *world) count(t *testing.T, f *Function) (n int) {
	t.Helper()
	if resp := w.do(f, w.request(`{}`)); json.Unmarshal(resp.Payload, &n) != nil {
		t.Fatalf("%s", resp.Payload)
	}
	return n
}

// Nothing of a function runs between its invocations, and it goes on where it was.
func TestIdleSandboxStandsStill(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.python(t, ticking)
	f.MemoryMB = 1769
	w.count(t, f)
	e := w.frozen(t)
	before := e.box.Usage().CPUTime
	time.Sleep(300 * time.Millisecond)
	if used := e.box.Usage().CPUTime - before; used > 20*time.Millisecond {
		t.Errorf("a frozen sandbox has used %v of processor time", used)
	}
	first := w.count(t, f)
	w.frozen(t)
	if second := w.count(t, f); second <= first {
		t.Errorf("it counted %d and then %d: it did not go on", first, second)
	}
	if s := w.Stats(); s.Cold != 1 {
		t.Errorf("%d cold starts, want one", s.Cold)
	}
}

// A sandbox that stands still can be retired: the world looks for what is left.
func TestFrozenSandboxEnds(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.python(t, ticking)
	w.count(t, f)
	e := w.frozen(t)
	w.Retire(f.Key)
	select {
	case <-e.process.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not die")
	}
}

// One that is invoked again and again is not frozen in between, and is queued once only.
func TestBusySandboxIsNotFrozen(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.python(t, ticking)
	f.MemoryMB = 1769
	for range 50 {
		w.count(t, f)
	}
	w.freezer.mu.Lock()
	n := len(w.freezer.queue)
	w.freezer.mu.Unlock()
	if n > 1 {
		t.Errorf("one sandbox is queued %d times", n)
	}
}

// Where the host's memory is short, idle sandboxes give back what they can; where it is shorter, they go, with those that wait.
func TestShortMemory(t *testing.T) {
	w := readyWorld(t)
	f := w.python(t, ticking)
	w.count(t, f)
	w.Expect(f)
	w.waitReady(1)
	w.frozen(t)
	w.relieve(reclaimBelow)
	if e := w.longestIdle()[0]; e.ice.shrunk {
		t.Error("memory was reclaimed without need")
	}
	w.relieve(reclaimBelow - 1)
	if e := w.longestIdle()[0]; !e.ice.shrunk {
		t.Error("no memory was reclaimed")
	}
	if s := w.Stats(); s.Idle != 1 || s.Ready == 0 {
		t.Errorf("%+v: nothing had to go yet", s)
	}
	w.count(t, f)
	w.relieve(stopBelow - 1)
	if s := w.Stats(); s.Idle != 0 || s.Ready != 0 {
		t.Errorf("%+v: all of them should have gone", s)
	}
	w.count(t, f)
}

func TestParseFree(t *testing.T) {
	for text, want := range map[string]int{
		"MemTotal:       1000 kB\nMemFree: 5 kB\nMemAvailable:    250 kB\n": 25,
		"MemTotal: 1000 kB\nMemAvailable: 2000 kB\n":                        -1,
		"": -1,
	} {
		got, err := parseFree([]byte(text))
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil || !strings.Contains(string(text), "MemAvailable") {
		t.Skip("this host does not say what memory is available")
	}
	if got, err := freeMemory(); err != nil || got <= 0 {
		t.Errorf("this host: %d %v", got, err)
	}
}
