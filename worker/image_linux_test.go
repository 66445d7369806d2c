package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/enfold-run/enfold/runtimes"
)

// image is the function that misbehaves as a container image.
func (w *world) image(env ...string) *Function {
	w.t.Helper()
	f := w.function(env...)
	top := w.t.TempDir()
	if err := os.Chmod(top, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(top, "work"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	f.Image = &runtimes.Image{
		Layers: []string{f.Task, top}, EntryPoint: []string{"/bootstrap"}, Command: []string{"app.handler", "more"}, WorkingDirectory: "/work",
		Env: []string{"PATH=/image/bin", "GREETING=the image's", "OWN=1", "LAMBDA_TASK_ROOT=/work", "AWS_REGION=mars-1", "AWS_LAMBDA_X=image"},
	}
	f.Task, f.Runtime, f.Handler = "", "", ""
	return f
}

// An image's runtime interface client gets what AWS gives it: the image's environment, below the function's, below what is reserved.
func TestImageEnvironment(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	got := w.environ(w.image("GREETING", "the function's", "AWS_LAMBDA_X", "function"))
	want := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
		"AWS_LAMBDA_FUNCTION_NAME": "misbehave", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
		"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/misbehave",
		"AWS_LAMBDA_LOG_STREAM_NAME": got["AWS_LAMBDA_LOG_STREAM_NAME"], "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
		"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
		"_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1", "_AWS_XRAY_DAEMON_PORT": "2000",
		"LAMBDA_TASK_ROOT": "/work", "LAMBDA_RUNTIME_DIR": "/var/runtime", "TZ": ":UTC", "PATH": "/image/bin", "_HANDLER": "app.handler",
		"GREETING": "the function's", "AWS_LAMBDA_X": "function", "OWN": "1", w.mark: "1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What is wrong with an image is told to whoever invokes it.
func TestImageThatCannotStart(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	for _, tc := range []struct {
		name       string
		change     func(*runtimes.Image)
		kind, text string
	}{
		{
			"no entry point", func(i *runtimes.Image) { i.EntryPoint, i.Command = nil, nil },
			"Runtime.InvalidEntrypoint", "The container image has neither an entry point nor a command",
		},
		{
			"a program that is missing", func(i *runtimes.Image) { i.EntryPoint = []string{"/lambda-entrypoint.sh"} },
			"Runtime.InvalidEntrypoint", "fork/exec /lambda-entrypoint.sh: no such file or directory",
		},
		{
			"a program that is nowhere in PATH", func(i *runtimes.Image) { i.EntryPoint = []string{"python3"} },
			"Runtime.InvalidEntrypoint", "fork/exec python3: no such file or directory",
		},
		{
			"a program of another architecture", func(i *runtimes.Image) { i.EntryPoint = []string{"/wrong"} },
			"Runtime.InvalidEntrypoint", "fork/exec /wrong: exec format error",
		},
		{
			"a working directory that is missing", func(i *runtimes.Image) { i.WorkingDirectory = "/var/task" },
			"Runtime.InvalidWorkingDir", "chdir /var/task: no such file or directory",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := w.image()
			if err := os.WriteFile(filepath.Join(f.Image.Layers[1], "wrong"), []byte("\x7fELF of another world"), 0o755); err != nil {
				t.Fatal(err)
			}
			tc.change(f.Image)
			r := w.request("echo")
			failed(t, w.do(f, r), tc.kind, platform(tc.kind, r, tc.text))
		})
	}
}

// A program that is no runtime interface client never asks for an event.
func TestImageWithoutRuntimeClient(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	w.initLimit = 200 * time.Millisecond
	f := w.image("INIT", "hang")
	f.Timeout = time.Second
	resp := w.run(f, "echo")
	if resp.ErrorType != "Sandbox.Timedout" || !strings.Contains(string(resp.Payload), "Task timed out after 1.00 seconds") {
		t.Errorf("%s %s", resp.ErrorType, resp.Payload)
	}
	if log := w.logs.text(); !strings.Contains(log, "INIT_REPORT Init Duration: ") || !strings.Contains(log, "Status: timeout") {
		t.Errorf("the log does not tell of the Init phase:\n%s", log)
	}
}

// After a crash the next process starts in the same image, and /tmp is kept.
func TestImageAgain(t *testing.T) {
	w := newWorld(t, "namespace", Deps{})
	f := w.image()
	before := w.state(f)
	if resp := w.run(f, "exit"); resp.FunctionError == "" {
		t.Fatal("it did not exit")
	}
	if box, process := w.alive(f, before); !box || process {
		t.Errorf("same sandbox %v, same process %v", box, process)
	}
}
