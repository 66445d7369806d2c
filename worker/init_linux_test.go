package worker

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

// logIs asserts what the log says; ID stands for the request id, and every number of milliseconds is N.
func (w *world) logIs(r *Request, want string) {
	w.t.Helper()
	got := strings.ReplaceAll(w.logs.text(), r.RequestID, "ID")
	got = regexp.MustCompile(`[\d.]+ ms`).ReplaceAllString(got, "N ms")
	got = regexp.MustCompile(`Used: \d+ MB`).ReplaceAllString(got, "Used: N MB")
	if got != want {
		w.t.Errorf("log is\n%q, want\n%q", got, want)
	}
}

// tailIsAll asserts that the caller of an invocation has seen all of the log.
func (w *world) tailIsAll(resp *Response) {
	w.t.Helper()
	if tail, log := string(resp.LogTail), w.logs.text(); tail != log {
		w.t.Errorf("the tail is\n%q, the log\n%q", tail, log)
	}
}

const reportHead = "REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: 128 MB\tMax Memory Used: N MB\t"

func TestColdAndWarmLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function("INIT", "print")
		f.RuntimeVersion, f.RuntimeVersionArn = "provided:al2023.v1", "arn:aws:lambda:us-east-1::runtime:0123"
		r := w.request(`{"do":"echo","print":"hello\n"}`)
		cold := w.do(f, r)
		w.logIs(r, "INIT_START Runtime Version: provided:al2023.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:0123\n"+
			"static code\nSTART RequestId: ID Version: $LATEST\nhello\nEND RequestId: ID\n"+reportHead+"Init Duration: N ms\t\n")
		if cold.Init <= 0 || cold.Duration <= 0 || cold.MaxMemory <= 0 && os.Geteuid() == 0 {
			t.Errorf("cold: Init %v, Duration %v, MaxMemory %d", cold.Init, cold.Duration, cold.MaxMemory)
		}
		if _, want, _ := strings.Cut(w.logs.text(), "\n"); string(cold.LogTail) != want { // all but INIT_START
			t.Errorf("cold: LogTail %q, want %q", cold.LogTail, want)
		}
		w.logs.forget()
		r = w.request(`{"do":"echo","print":"hello\n"}`)
		warm := w.do(f, r)
		w.logIs(r, "START RequestId: ID Version: $LATEST\nhello\nEND RequestId: ID\n"+reportHead+"\n")
		if warm.Init != 0 {
			t.Errorf("warm: Init %v", warm.Init)
		}
		r = w.request("echo")
		r.Tail = false
		if resp := w.do(f, r); resp.LogTail != nil {
			t.Errorf("a tail that nobody asked for: %q", resp.LogTail)
		}
	})
}

// An Init phase that fails is repeated inside the invocation, whose caller gets how that ended.
func TestInitFails(t *testing.T) {
	const posted = `{"errorMessage":"no luck","errorType":"BadInit","requestId":"","stackTrace":[]}`
	for _, c := range []struct{ name, init, kind, payload, output, line string }{
		{"error posted", "error", "Runtime.BadInit", posted, "", ""},
		{"error posted, and not read that it was taken", "error:1", "Runtime.BadInit", posted, "", ""},
		{
			"exit 0", "exit", "Runtime.ExitError",
			`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`,
			"about to exit\n", "RequestId: ID Error: Runtime exited without providing a reason\nRuntime.ExitError\n",
		},
		{
			"exit 4", "exit:4", "Runtime.ExitError",
			`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 4"}`,
			"about to exit\n", "RequestId: ID Error: Runtime exited with error: exit status 4\nRuntime.ExitError\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function("INIT", c.init)
				r := w.request("echo")
				resp := w.do(f, r)
				failed(t, resp, c.kind, strings.ReplaceAll(c.payload, "ID", r.RequestID))
				w.tailIsAll(resp)
				w.logIs(r, c.output+"INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: "+c.kind+"\n"+
					c.output+"INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: "+c.kind+"\n"+
					"START RequestId: ID Version: $LATEST\n"+c.line+"END RequestId: ID\n"+
					reportHead+"Status: error\tError Type: "+c.kind+"\t\n")
				if left := w.processes(); len(left) > 0 {
					t.Errorf("there are processes: %v", left)
				}

				w.logs.forget()
				r = w.request("echo")
				resp = w.do(f, r)
				failed(t, resp, c.kind, strings.ReplaceAll(c.payload, "ID", r.RequestID))
				w.tailIsAll(resp)
				if n := strings.Count(w.logs.text(), "INIT_REPORT"); n != 1 {
					t.Errorf("the next invocation has %d INIT_REPORTs, want 1", n)
				}
				if s := w.Stats(); s.Cold != 1 || s.Warm != 1 {
					t.Errorf("the sandbox was not kept: %+v", s)
				}
			})
		})
	}
}

// The second attempt may succeed, be the first one slow or dead.
func TestInitIsRepeated(t *testing.T) {
	for _, c := range []struct{ init, output, status string }{
		{"hang-once", "hanging\n", "timeout"},
		{"exit-once:4", "", "error\tError Type: Runtime.ExitError"},
		{"error-once", "", "error\tError Type: Runtime.BadInit"},
	} {
		t.Run(c.init, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.initLimit = 300 * time.Millisecond
				how := strings.Replace(c.init, "exit-once:4", "exit-once", 1)
				f := w.function("INIT", how)
				r := w.request("state")
				resp := w.do(f, r)
				if resp.FunctionError != "" || resp.Init != 0 {
					t.Errorf("FunctionError %q, Init %v, payload %s", resp.FunctionError, resp.Init, resp.Payload)
				}
				w.tailIsAll(resp)
				if how == "exit-once" {
					c.output = "about to exit\n"
				}
				w.logIs(r, c.output+"INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: "+c.status+"\n"+
					"START RequestId: ID Version: $LATEST\nEND RequestId: ID\n"+reportHead+"\n")
				if now := w.state(f); now.Calls != 2 {
					t.Errorf("the process is not the one of the second attempt: %+v", now)
				}
			})
		})
	}
}

// The Init phase is not bounded by the function's timeout, but its repetition is.
func TestInitTimeout(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function("INIT", "sleep:700")
		f.Timeout = 500 * time.Millisecond
		if resp := w.good(f, "echo"); resp.Init < 700*time.Millisecond || resp.Duration > 400*time.Millisecond {
			t.Errorf("Init %v, Duration %v", resp.Init, resp.Duration)
		}

		w.initLimit = 200 * time.Millisecond
		f = w.function("INIT", "hang")
		f.Timeout = time.Second
		w.logs.forget()
		r := w.request("echo")
		resp := w.do(f, r)
		failed(t, resp, "Sandbox.Timedout", platform("Sandbox.Timedout", r, "Task timed out after 1.00 seconds"))
		log := w.logs.text()
		for _, want := range []string{"Phase: init\tStatus: timeout\n", "Phase: invoke\tStatus: timeout\n", "\tStatus: timeout\t\n"} {
			if !strings.Contains(log, want) {
				t.Errorf("%q is not in\n%q", want, log)
			}
		}
		if took := ms(t, report(t, log, r.RequestID)["Duration"]); took != 1000 {
			t.Errorf("Duration is %v ms", took)
		}
	})
}

// New really has AWS's limit.
func TestInitLimitIsTenSeconds(t *testing.T) {
	if w := newWorld(t, "process", Deps{}); w.initLimit != 10*time.Second {
		t.Errorf("the Init phase may take %v", w.initLimit)
	}
}

func TestBadEntrypoint(t *testing.T) {
	for _, c := range []struct {
		name    string
		make    func(dir string) error
		message string
	}{
		{"none", func(string) error { return nil }, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"},
		{
			"not executable", func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\n"), 0o644)
			},
			"fork/exec /var/task/bootstrap: permission denied",
		},
		{
			"not a program", func(dir string) error { return os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("hello"), 0o755) },
			"fork/exec /var/task/bootstrap: exec format error",
		},
		{
			"no interpreter", func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/nowhere/sh\n"), 0o755)
			},
			"fork/exec /var/task/bootstrap: no such file or directory",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				f := w.function()
				f.Task = publicDir(t)
				if err := c.make(f.Task); err != nil {
					t.Fatal(err)
				}
				r := w.request("echo")
				failed(t, w.do(f, r), "Runtime.InvalidEntrypoint", platform("Runtime.InvalidEntrypoint", r, c.message))
				const kind = "Status: error\tError Type: Runtime.InvalidEntrypoint"
				w.logIs(r, "INIT_REPORT Init Duration: N ms\tPhase: init\t"+kind+"\nINIT_REPORT Init Duration: N ms\tPhase: invoke\t"+kind+"\n"+
					"START RequestId: ID Version: $LATEST\nRequestId: ID Error: "+c.message+"\nRuntime.InvalidEntrypoint\n"+
					"END RequestId: ID\n"+reportHead+kind+"\t\n")
			})
		})
	}
}

// A sandbox with nothing to start is of no use once there is: it is not kept.
func TestUnlaunchableIsNotKept(t *testing.T) {
	w := newWorld(t, "process", Deps{})
	f := w.function()
	good := f.Task
	f.Task = publicDir(t)
	w.run(f, "echo")
	if s := w.Stats(); s.Idle != 0 {
		t.Errorf("it was kept: %+v", s)
	}
	if err := os.Link(filepath.Join(good, "bootstrap"), filepath.Join(f.Task, "bootstrap")); err != nil {
		t.Fatal(err)
	}
	w.good(f, "echo")
}

func TestMissingInterpreter(t *testing.T) {
	w := newWorld(t, "process", Deps{Runtimes: runtimes.New(runtimes.Options{
		DataDir: t.TempDir(), Map: map[string]string{"python3.12": "/nowhere/python3"},
	})})
	f := w.function()
	f.Runtime = "python3.12"
	resp := w.run(f, "echo")
	if resp.FunctionError != "Unhandled" || resp.ErrorType != "Runtime.InvalidEntrypoint" || !strings.Contains(string(resp.Payload), "--runtime-map") {
		t.Errorf("FunctionError %q, type %q, payload %s", resp.FunctionError, resp.ErrorType, resp.Payload)
	}
}

// publicDir is a temporary directory that a sandbox's user may read.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
