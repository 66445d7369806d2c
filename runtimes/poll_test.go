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
