package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// AWS kills the process of an invocation that takes too long. /tmp stays, memory does not.
func TestTimeout(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		f.Timeout = time.Second
		before := w.state(f)
		for _, how := range []string{"hang", "ignore-term", `{"do":"daemon","n":2,"text":"hang"}`} {
			r := w.request(how)
			resp := w.do(f, r)
			failed(t, resp, "Sandbox.Timedout", platform("Sandbox.Timedout", r, "Task timed out after 1.00 seconds"))

			want := regexp.MustCompile(`^START RequestId: ID Version: \$LATEST\n` +
				`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ID Task timed out after 1\.00 seconds\n\n` +
				`END RequestId: ID\n` +
				`REPORT RequestId: ID\tDuration: 1000\.00 ms\tBilled Duration: 1000 ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\tStatus: timeout\t\n$`)
			if log := strings.ReplaceAll(string(resp.LogTail), r.RequestID, "ID"); !want.MatchString(log) {
				t.Errorf("log is\n%q", log)
			}
			if left := w.processes(); len(left) > 0 {
				t.Errorf("%s: after the timeout there are processes: %v", how, left)
			}
			box, process := w.alive(f, before)
			if !box || process {
				t.Errorf("%s: same sandbox %v, same process %v; want a fresh process in the same sandbox", how, box, process)
			}
		}
		if s := w.Stats(); s.Cold != 1 {
			t.Errorf("%d cold starts, want 1", s.Cold)
		}
	})
}

func TestProcessEnds(t *testing.T) {
	for _, c := range []struct{ name, event, kind, text string }{
		{"exit 0", `{"do":"exit"}`, "Runtime.ExitError", "Runtime exited without providing a reason"},
		{"exit 1", `{"do":"exit","n":1}`, "Runtime.ExitError", "Runtime exited with error: exit status 1"},
		{"exit 127", `{"do":"exit","n":127}`, "Runtime.ExitError", "Runtime exited with error: exit status 127"},
		{"killed", `{"do":"signal","n":9}`, "Runtime.ExitError", "Runtime exited with error: signal: killed"},
		{"segmentation fault", `{"do":"signal","n":11}`, "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"},
		{"terminated", `{"do":"signal","n":15}`, "Runtime.ExitError", "Runtime exited with error: signal: terminated"},
		{"exit leaving daemons", `{"do":"daemon","n":3,"text":"exit"}`, "Runtime.ExitError", "Runtime exited without providing a reason"},
		{"exit in the middle of the response", `{"do":"stream-exit","n":1,"text":"half"}`, "Runtime.ExitError", "Runtime exited with error: exit status 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				before := w.state(f)
				r := w.request(strings.TrimSuffix(c.event, "}") + `,"print":"last words\nwithout end"}`)
				resp := w.do(f, r)
				failed(t, resp, c.kind, platform(c.kind, r, c.text))
				want := fmt.Sprintf("START RequestId: %[1]s Version: $LATEST\nlast words\nwithout end\n"+
					"RequestId: %[1]s Error: %[2]s\n%[3]s\nEND RequestId: %[1]s\nREPORT RequestId: %[1]s\t", r.RequestID, c.text, c.kind)
				if log := string(resp.LogTail); !strings.HasPrefix(log, want) {
					t.Errorf("log is\n%q, want it to begin with\n%q", log, want)
				}
				fields := report(t, string(resp.LogTail), r.RequestID)
				if fields["Status"] != "error" || fields["Error Type"] != c.kind || fields["Init Duration"] != "" {
					t.Errorf("REPORT has %v", fields)
				}
				if left := w.processes(); len(left) > 0 {
					t.Errorf("there are processes: %v", left)
				}
				if box, process := w.alive(f, before); !box || process {
					t.Errorf("same sandbox %v, same process %v; want a fresh process in the same sandbox", box, process)
				}
			})
		})
	}
}

func TestOutOfMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs a limit of memory: root with control groups")
	}
	w := newWorld(t, "namespace", Deps{})
	f := w.function()
	before := w.state(f)
	r := w.request("oom")
	resp := w.do(f, r)
	if resp.ErrorType == "Runtime.ExitError" && strings.Contains(string(resp.Payload), "8 GiB") {
		t.Skip("this host gives sandboxes no memory limit")
	}
	failed(t, resp, "Runtime.OutOfMemory", platform("Runtime.OutOfMemory", r, "Runtime exited with error: signal: killed"))
	fields := report(t, string(resp.LogTail), r.RequestID)
	if fields["Status"] != "error" || fields["Error Type"] != "Runtime.OutOfMemory" || fields["Max Memory Used"] != "128 MB" {
		t.Errorf("REPORT has %v", fields)
	}
	// /tmp counts as memory, and the next process must have all of it.
	if box, process := w.alive(f, before); box || process {
		t.Errorf("same sandbox %v, same process %v; want a fresh sandbox", box, process)
	}
	eventually(t, "the sandbox is gone", func() bool { return len(w.processes()) == 1 })
}

// The death of a process that has answered is nobody's fault.
func TestProcessEndsAfterTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name, event, want string
		wait              time.Duration
	}{
		{"without reading that it was taken", `{"do":"answer-exit","n":10}`, `"zzzzzzzzzz"`, 0},
		{"with a large answer, without reading that it was taken", `{"do":"answer-exit","n":5000000}`, `"` + strings.Repeat("z", 5000000) + `"`, 0},
		{"as soon as it has asked for the next event", `{"do":"next-exit","n":0}`, `"going"`, 300 * time.Millisecond},
		{"while it is idle", `{"do":"next-exit","n":20}`, `"going"`, 400 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				before := w.state(f)
				for range 5 {
					if got := w.good(f, c.event); string(got.Payload) != c.want {
						t.Fatalf("payload is %.100q, want %.100q", got.Payload, c.want)
					}
					time.Sleep(c.wait)
					if box, process := w.alive(f, before); !box || process {
						t.Fatalf("same sandbox %v, same process %v", box, process)
					}
				}
				if s := w.Stats(); s.Cold != 1 {
					t.Errorf("%d cold starts, want 1", s.Cold)
				}
				if c.name == "while it is idle" && strings.Count(w.logs.text(), "gone while idle\n") != 5 {
					t.Errorf("what was written while it was idle is lost: %q", w.logs.text())
				}
			})
		})
	}
}

// The function's own error reaches the caller as it is, also if the process ends with it, as Go's runtime does in a panic.
func TestFunctionError(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		body := `{"errorMessage":"hé <&>","errorType":"ValueError","requestId":"x","stackTrace":["a","b"]}`
		for _, do := range []string{"error", "error-exit"} {
			event, err := json.Marshal(map[string]string{"do": do, "text": body})
			if err != nil {
				t.Fatal(err)
			}
			failed(t, w.run(f, string(event)), "Function.Oops", body)
			w.state(f)
		}
	})
}

func TestResponseTooLarge(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		if resp := w.good(f, `{"do":"large","n":6291556}`); len(resp.Payload) != 6291556 {
			t.Errorf("the largest answer came as %d bytes", len(resp.Payload))
		}
		resp := w.run(f, `{"do":"large","n":6291557}`)
		tooLarge := `{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`
		failed(t, resp, "Function.ResponseSizeTooLarge", tooLarge)
		w.state(f)
		// The limit is that of what the function posts, however it is read.
		r := w.request(`{"do":"large","n":6291557}`)
		r.Stream = io.Discard
		resp, err := w.Run(context.Background(), f, r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.FunctionError == "" || string(resp.Payload)+string(resp.StreamError) != tooLarge {
			t.Errorf("read as a stream: %q %s %s", resp.FunctionError, resp.Payload, resp.StreamError)
		}
		w.state(f)
	})
}

// A process that answers for others, or twice, is told so, and nobody gets what it said.
func TestAnswersOutOfTurn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		if got := string(w.good(f, "twice").Payload); got != `"one"` {
			t.Errorf("payload is %s", got)
		}
		if got := string(w.good(f, "other-id").Payload); got != `"mine"` {
			t.Errorf("payload is %s", got)
		}
		const bad = `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
		var told []string
		if err := json.Unmarshal(w.good(f, "told").Payload, &told); err != nil {
			t.Fatal(err)
		}
		if len(told) != 6 {
			t.Fatalf("it was told %q", told)
		}
		if diff := cmp.Diff([]string{"202 Accepted", "400 Bad Request", "400 Bad Request"}, []string{told[0], told[2], told[4]}); diff != "" {
			t.Error(diff)
		}
		for _, body := range []string{told[3], told[5]} {
			var got, want map[string]string
			if json.Unmarshal([]byte(body), &got) != nil || json.Unmarshal([]byte(bad), &want) != nil || !cmp.Equal(got, want) {
				t.Errorf("it was told %s, want %s", body, bad)
			}
		}
	})
}

// A process that does not ask for the next event has the rest of its invocation's time. Then it is replaced, and the next
// invocation has all of its own time.
func TestNeverAsksForTheNextEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		f.Timeout = time.Second
		before := w.state(f)
		begun := time.Now()
		w.good(f, "never-next")
		if box, process := w.alive(f, before); !box || process {
			t.Errorf("same sandbox %v, same process %v", box, process)
		}
		if took := time.Since(begun); took < 900*time.Millisecond {
			t.Errorf("it was replaced after %v, want a second", took)
		}
		log := w.logs.text()
		if strings.Contains(log, "timed out") {
			t.Errorf("log is\n%s", log)
		}
	})
}

func TestFlood(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		w.good(f, "flood")
		for range 3 {
			if resp := w.good(f, "state"); resp.Duration > 3*time.Second {
				t.Errorf("an invocation took %v", resp.Duration)
			}
		}
		w.Retire(f.Key)
		eventually(t, "the function is gone", func() bool { return len(w.processes()) == 0 })
		w.logs.forget()
	})
}

// Daemons live as long as the process that started them, and no longer.
func TestDaemons(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		w.good(f, `{"do":"daemon","n":3}`)
		eventually(t, "four processes run", func() bool { return len(w.processes()) == 4 })
		w.good(f, "state")
		if n := len(w.processes()); n != 4 {
			t.Errorf("%d processes after another invocation, want 4", n)
		}
		w.run(f, `{"do":"exit","n":1}`)
		if left := w.processes(); len(left) > 0 {
			t.Errorf("there are processes: %v", left)
		}
	})
}

// A pipe can hold 1 MiB when its writer is killed, most of it not read yet.
func TestLastWordsOfAKilledProcess(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function()
		for range 3 {
			w.logs.forget()
			w.run(f, `{"do":"big-pipe","n":9000,"text":"first line\n"}`)
			log := w.logs.text()
			_, log, _ = strings.Cut(log, "first line\n")
			log, _, _ = strings.Cut(log, "RequestId: ")
			if n := strings.Count(log, "y\n"); n != 9000 || !strings.HasSuffix(log, "y\nlast line\n") {
				t.Fatalf("%d of 9000 lines are in the log, or not the last", n)
			}
		}
	})
}

func TestCallerGoesAway(t *testing.T) {
	for _, how := range []string{"canceled", "its own deadline"} {
		t.Run(how, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				w.state(f)
				ctx, cancel := context.WithCancel(context.Background())
				if how != "canceled" {
					ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
				} else {
					time.AfterFunc(100*time.Millisecond, cancel)
				}
				defer cancel()
				begun := time.Now()
				resp, err := w.Run(ctx, f, w.request(`{"do":"daemon","n":2,"text":"hang"}`))
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				if resp.FunctionError == "" {
					t.Errorf("payload is %s", resp.Payload)
				}
				eventually(t, "the sandbox is gone", func() bool { return len(w.processes()) == 0 && w.Stats() == Stats{Cold: 1, Warm: 1} })
				if now := w.state(f); now.Calls != 1 || now.Disk != 1 {
					t.Errorf("the next invocation is in a used sandbox: %+v", now)
				}
				if bytes.Contains(w.server.Bytes(), []byte("ERROR")) {
					t.Errorf("the server's log has an error: %s", w.server)
				}
			})
		})
	}
	t.Run("before the invocation", func(t *testing.T) {
		w := newWorld(t, "process", Deps{})
		f := w.function()
		before := w.state(f)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := w.Run(ctx, f, w.request("state")); err == nil {
			t.Error("it ran")
		}
		if box, process := w.alive(f, before); !box || !process {
			t.Error("a warm sandbox was destroyed for somebody who had gone before")
		}
	})
}
