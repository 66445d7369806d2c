package runtimes

import (
	"strconv"
	"testing"
	"time"
)

// pollCode answers whether its runtime has looked for this event again and again, and found something that way.
const pollCode = `
import enfold_client
found = []
poll = enfold_client.Client.poll
def counted(self, deadline):
    data = poll(self, deadline)
    found.append(data is not None)
    return data
enfold_client.Client.poll = counted
def handler(event, context):
    result = [len(found) > 0, any(found)]
    found.clear()
    return result
`

// stoppedCode stops the clock, and answers how many milliseconds of the processor its process has used since the event before.
const stoppedCode = `
import time
used = time.process_time
before = 0.0
time.monotonic = lambda: 1.0
def handler(event, context):
    global before
    before, last = used(), before
    return int((before - last) * 1000)
`

// TestPollWithStoppedClock: who stops the clock, as libraries for tests do, does not have the client look without end.
func TestPollWithStoppedClock(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": stoppedCode}})
		for range 4 {
			f.invoke(`{}`, "Enfold-Poll-Micros", "500")
		}
		time.Sleep(500 * time.Millisecond)
		used := f.invoke(`{}`, "Enfold-Poll-Micros", "500")
		if ms, err := strconv.Atoi(used.body); err != nil || ms > 200 {
			t.Errorf("%q ms of the processor while it waited for half a second: %v", used.body, err)
		}
	})
}

// idleCode answers for how many milliseconds its event loop has slept since the event before.
const idleCode = `
const { performance } = require('perf_hooks');
const idle = () => performance.nodeTiming.idleTime;
performance.now = () => 1; // as libraries for tests do
let before = 0;
exports.handler = async () => {
  const last = before;
  before = idle();
  return before - last;
};
`

// TestNodePoll: the event loop of Node.js does not sleep before the next event for as long as the platform allows, if what it waited for last
// came within that time. It misses none that comes later.
func TestNodePoll(t *testing.T) {
	const header = "Enfold-Poll-Micros"
	eachRuntime(t, Node, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": idleCode}})
		slept := func(headers ...string) float64 {
			t.Helper()
			time.Sleep(5 * time.Millisecond) // libuv looks once by itself before it sleeps
			ms, err := strconv.ParseFloat(f.invoke(`{}`, headers...).body, 64)
			if err != nil {
				t.Fatal(err)
			}
			return ms
		}
		const long, short = "5000000", "50000"
		slept()
		for range 3 {
			if slept() == 0 {
				t.Error("it looked without being allowed to")
			}
		}
		slept(header, long)
		slept(header, long)
		if ms := slept(header, short); ms != 0 {
			t.Errorf("it slept for %g ms before an event that came soon", ms)
		}
		time.Sleep(200 * time.Millisecond) // longer than it may look
		if ms := slept(header, long); ms < 50 || ms > 180 {
			t.Errorf("it slept for %g of 200 ms, of which it might look for 50", ms)
		}
		if slept(header, long) == 0 {
			t.Error("it looked though the event before had come late")
		}
		if ms := slept(); ms != 0 {
			t.Errorf("it slept for %g ms before an event that came soon", ms)
		}
		if slept() == 0 {
			t.Error("it looked though it was not allowed to any more")
		}
	})
}

// TestPoll: Python's client looks for the next event for as long as the platform allows, if what it waited for last came within that time.
// It misses none that comes later.
func TestPoll(t *testing.T) {
	const header = "Enfold-Poll-Micros"
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": pollCode}})
		micros := strconv.FormatInt((5 * time.Second).Microseconds(), 10)
		for range 3 {
			f.ok(f.invoke(`{}`), "[false, false]") // not allowed
		}
		f.ok(f.invoke(`{}`, header, micros), "[false, false]")
		f.invoke(`{}`, header, micros)
		f.ok(f.invoke(`{}`, header, "50000"), "[true, true]")
		time.Sleep(200 * time.Millisecond) // longer than it may look
		f.invoke(`{}`, header, micros)
		f.invoke(`{}`, header, micros)
		f.ok(f.invoke(`{}`), "[true, true]")
		f.ok(f.invoke(`{}`), "[false, false]") // not allowed any more
	})
}
