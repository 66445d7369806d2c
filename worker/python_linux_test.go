package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/runtimes"
)

const pythonCode = `import json, os, sys, time
print("static code")
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if "print" in event: print(event["print"])
    if event.get("do") == "sleep": time.sleep(60)
    if event.get("do") == "raise": raise ValueError("bad <luck>")
    if event.get("do") == "exit": sys.exit(event["code"])
    if event.get("do") == "die": os.kill(os.getpid(), 9)
    if event.get("do") == "env": return dict(os.environ)
    return {"calls": calls, "id": context.aws_request_id, "left": context.get_remaining_time_in_millis()}
`

// python is a function of the newest Python on this host.
func (w *world) python(t *testing.T, code string) *Function {
	t.Helper()
	name := ""
	for _, found := range w.deps.Runtimes.Found() {
		if found.OK && runtimes.FamilyOf(found.Runtime) == runtimes.Python {
			name = found.Runtime
		}
	}
	if name == "" {
		t.Skip("this host has no Python")
	}
	f := w.function()
	f.Runtime, f.Handler, f.Task = name, "app.handler", publicDir(t)
	if err := os.WriteFile(filepath.Join(f.Task, "app.py"), []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPython(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.python(t, pythonCode)
		f.Timeout, f.MemoryMB = 3*time.Second, 1769 // with less, a start takes its time
		calls := func() (n int) {
			t.Helper()
			r := w.request(`{"print":"hello"}`)
			resp := w.do(f, r)
			var got struct {
				Calls int
				ID    string
				Left  int
			}
			if err := json.Unmarshal(resp.Payload, &got); err != nil {
				t.Fatalf("%s: %v", resp.Payload, err)
			}
			if got.ID != r.RequestID || got.Left <= 0 || got.Left > 3000 {
				t.Errorf("payload is %s", resp.Payload)
			}
			want := "START RequestId: " + r.RequestID + " Version: $LATEST\nhello\nEND "
			if got.Calls == 1 {
				want = "static code\n" + want // by the new process
			}
			if !strings.HasPrefix(string(resp.LogTail), want) {
				t.Errorf("log is %q", resp.LogTail)
			}
			return got.Calls
		}
		if calls() != 1 || calls() != 2 {
			t.Error("the second invocation was not in the same process")
		}
		if !strings.HasPrefix(w.logs.text(), "static code\nSTART ") {
			t.Errorf("log is %q", w.logs.text())
		}

		r := w.request(`{"do":"sleep"}`)
		failed(t, w.do(f, r), "Sandbox.Timedout", platform("Sandbox.Timedout", r, "Task timed out after 3.00 seconds"))
		if calls() != 1 {
			t.Error("memory outlived a timeout")
		}
		r = w.request(`{"do":"exit","code":0}`)
		failed(t, w.do(f, r), "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited without providing a reason"))
		r = w.request(`{"do":"exit","code":3}`)
		failed(t, w.do(f, r), "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited with error: exit status 3"))
		r = w.request(`{"do":"die","print":"last words"}`)
		resp := w.do(f, r)
		failed(t, resp, "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited with error: signal: killed"))
		if !strings.Contains(string(resp.LogTail), "\nlast words\nRequestId: ") {
			t.Errorf("log is %q", resp.LogTail)
		}
		calls()
		resp = w.run(f, `{"do":"raise"}`)
		if resp.FunctionError != "Unhandled" || !regexp.MustCompile(
			`^\{"errorMessage": "bad <luck>", "errorType": "ValueError", "requestId": "[0-9a-f-]{36}", "stackTrace": \[.*\]\}$`).Match(resp.Payload) {
			t.Errorf("FunctionError %q, payload %s", resp.FunctionError, resp.Payload)
		}
		if calls() != 3 {
			t.Error("an exception ended the process")
		}
		if s := w.Stats(); s.Cold != 1 {
			t.Errorf("%d cold starts, want 1", s.Cold)
		}
		left := strings.Count(w.logs.text(), "Connection")
		w.end()
		if now := strings.Count(w.logs.text(), "Connection"); now != left {
			t.Errorf("the function has logged the end of its sandbox: %q", w.logs.text())
		}
	})
}

// Static code that fails: the error that the runtime posts is what the caller gets.
func TestPythonInitError(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.python(t, "raise Exception('no luck')\n")
		resp := w.run(f, "{}")
		if resp.FunctionError != "Unhandled" || !regexp.MustCompile(
			`^\{"errorMessage": "no luck", "errorType": "Exception", "requestId": "", "stackTrace": \[.*\]\}$`).Match(resp.Payload) {
			t.Errorf("FunctionError %q, payload %s", resp.FunctionError, resp.Payload)
		}
		if n := strings.Count(w.logs.text(), "INIT_REPORT"); n != 2 {
			t.Errorf("log is %s", w.logs.text())
		}
	})
	t.Run("exit 0", func(t *testing.T) {
		w := newWorld(t, "process", Deps{})
		f := w.python(t, "import sys\nsys.exit(0)\n")
		r := w.request("{}")
		failed(t, w.do(f, r), "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited without providing a reason"))
	})
	t.Run("wrapper not found", func(t *testing.T) {
		onBoth(t, func(t *testing.T, w *world) {
			f := w.python(t, pythonCode)
			f.Env["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/wrapper"
			r := w.request("{}")
			failed(t, w.do(f, r), "Runtime.ExitError", platform("Runtime.ExitError", r, "Runtime exited with error: exit status 127"))
		})
	})
}

func TestPythonEnvironment(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.python(t, pythonCode)
	var got map[string]string
	if err := json.Unmarshal(w.run(f, `{"do":"env"}`).Payload, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"AWS_EXECUTION_ENV": "AWS_Lambda_" + f.Runtime, "PYTHONPATH": "/var/runtime", "PWD": "/var/task", "SHLVL": "0",
		"LC_CTYPE": "C.UTF-8", "LAMBDA_TASK_ROOT": "/var/task", "_HANDLER": "app.handler",
	}
	if !regexp.MustCompile(`^python3\.1[2-9]$`).MatchString(f.Runtime) {
		delete(want, "LC_CTYPE")
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	for _, name := range []string{"HOME", "USER", "LOGNAME", "HOSTNAME", "PYTHONHOME"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s=%s is there", name, value)
		}
	}
}
