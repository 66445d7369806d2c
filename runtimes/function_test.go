package runtimes

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// function is a bootstrap that runs a function as a bare process.
type function struct {
	t    *testing.T
	api  *fakeAPI
	cmd  *exec.Cmd
	dir  string // its task
	opt  string // its layers
	done chan struct{}
	mu   sync.Mutex
	log  bytes.Buffer
	// booted is closed when a waiting process has said that it waits. Nil if the process does not wait.
	booted  chan struct{}
	waited  bool     // it began by waiting
	channel *os.File // a connection that the process has from its start, or nil
}

// code is a function to be run: files by name, relative to the task, or to the layer if they begin with "opt/".
type code struct {
	runtime, handler string
	files            map[string]string
	env              map[string]string
	wrapper          string
	task             string // used instead of files
	waiting          bool   // its process waits for it, if it can
	channel          *os.File
}

func (f *function) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(p)
	if f.booted != nil && f.log.Len() == 0 && n > 0 && p[0] == 0 {
		close(f.booted)
		f.booted, p = nil, p[1:]
	}
	f.log.Write(p)
	return n, nil
}

func (f *function) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

func start(t *testing.T, c code) *function {
	t.Helper()
	f, l, entries := newFunction(t, c)
	if (c.waiting || isWaiting(t)) && l.Warm != nil {
		code := hide(t, f.dir, f.opt)
		config := f.wait(l.Warm, f.api.Listener.Addr().String())
		code.restore()
		f.configure(config, entries)
		return f
	}
	f.run(l.Args, entries, nil)
	return f
}

// prepare is a function that is not started, the process that could wait for it, and its configuration.
func prepare(t *testing.T, c code) (f *function, w *Warm, entries []string) {
	t.Helper()
	f, l, entries := newFunction(t, c)
	if l.Warm == nil {
		t.Fatalf("no process can wait for %v", c)
	}
	return f, l.Warm, entries
}

func newFunction(t *testing.T, c code) (f *function, l Launch, entries []string) {
	t.Helper()
	f = &function{t: t, api: newFakeAPI(t), done: make(chan struct{}), channel: c.channel}
	root := t.TempDir()
	f.dir = filepath.Join(root, "task")
	if c.task != "" {
		f.dir = c.task
	}
	f.opt = filepath.Join(root, "opt")
	writeFiles(t, c.files, f.dir, f.opt)
	custom := map[string]string{}
	for k, v := range c.env {
		custom[k] = strings.ReplaceAll(v, "TASK", f.dir)
	}
	l, err := hostSet(t).Launch(context.Background(), Request{
		Runtime: c.runtime, Task: f.dir, Layers: []string{f.opt}, MemoryMB: 512, Wrapper: c.wrapper, Env: custom,
		SnapStart: custom["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start",
	})
	if err != nil {
		t.Fatal(err)
	}
	mounts := append([]Mount{{Source: f.dir, Target: "/var/task"}, {Source: f.opt, Target: "/opt"}}, l.Mounts...)
	l = l.In(func(target string) string { return onHost(mounts, target) })
	env := map[string]string{
		"AWS_LAMBDA_RUNTIME_API": f.api.Listener.Addr().String(), "_HANDLER": c.handler, "LANG": "en_US.UTF-8", "TZ": ":UTC",
		"LAMBDA_TASK_ROOT": f.dir, "LAMBDA_RUNTIME_DIR": onHost(mounts, "/var/runtime"),
		"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f", "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
	}
	maps.Copy(env, l.Env)
	maps.Copy(env, custom)
	for k, v := range env {
		entries = append(entries, k+"="+v)
	}
	return f, l, entries
}

func writeFiles(t *testing.T, files map[string]string, task, opt string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(task, name)
		if rest, ok := strings.CutPrefix(name, "opt/"); ok {
			path = filepath.Join(opt, rest)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// hidden is what was in directories that are empty for now.
type hidden struct {
	t     *testing.T
	moved map[string]string
}

// hide empties directories, as they are before a function is mounted there. Directories that tests share stay as they are.
func hide(t *testing.T, dirs ...string) *hidden {
	t.Helper()
	h := &hidden{t: t, moved: map[string]string{}}
	for _, dir := range dirs {
		if !strings.HasPrefix(dir, filepath.Dir(dirs[1])+"/") {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		away := t.TempDir()
		for _, e := range entries {
			h.moved[filepath.Join(dir, e.Name())] = filepath.Join(away, e.Name())
		}
	}
	h.move(false)
	return h
}

func (h *hidden) restore() { h.t.Helper(); h.move(true) }

func (h *hidden) move(back bool) {
	h.t.Helper()
	for from, to := range h.moved {
		if back {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			h.t.Fatal(err)
		}
	}
}

// wait starts a process that waits for its configuration, and waits until it does. It knows an address of the Runtime API, or "".
// The result is its standard input.
func (f *function) wait(w *Warm, ahead string) io.WriteCloser {
	f.t.Helper()
	env := slices.Clone(w.Env)
	if ahead != "" {
		env = append(env, "AWS_LAMBDA_RUNTIME_API="+ahead)
	}
	stdin, config, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	booted := make(chan struct{})
	f.booted, f.waited = booted, true
	f.run(w.Args, env, stdin)
	stdin.Close()
	f.t.Cleanup(func() { config.Close() })
	select {
	case <-booted:
	case <-f.done:
		f.t.Fatalf("the runtime ended with %d instead of waiting", f.cmd.ProcessState.ExitCode())
	case <-time.After(patience):
		f.t.Fatal("the runtime did not wait")
	}
	return config
}

// configure hands a waiting process its environment.
func (f *function) configure(config io.WriteCloser, entries []string) {
	f.t.Helper()
	if _, err := io.WriteString(config, strings.Join(entries, "\x00")+"\x00"); err != nil {
		f.t.Fatal(err)
	}
	if err := config.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// run starts the process.
func (f *function) run(args, env []string, stdin *os.File) {
	f.t.Helper()
	f.cmd = exec.Command(args[0], args[1:]...)
	f.cmd.Dir, f.cmd.Env = f.dir, env
	f.cmd.Stdout, f.cmd.Stderr = f, f
	if stdin != nil {
		f.cmd.Stdin = stdin
	}
	if f.channel != nil {
		f.cmd.ExtraFiles = []*os.File{f.channel} // descriptor 3
	}
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		_ = f.cmd.Wait() // its exit code is looked at in exit
		close(f.done)
	}()
	f.t.Cleanup(func() {
		f.cmd.Process.Kill()
		<-f.done
		if f.t.Failed() {
			f.t.Logf("log of the function:\n%s", f.logged())
		}
	})
}

// onHost is what a driver without mounts says about a path of the sandbox.
func onHost(mounts []Mount, target string) string {
	best := Mount{}
	for _, m := range mounts {
		if (target == m.Target || strings.HasPrefix(target, m.Target+"/")) && len(m.Target) > len(best.Target) {
			best = m
		}
	}
	return best.Source + strings.TrimPrefix(target, best.Target)
}

// invoke hands one event to the function and returns its answer.
func (f *function) invoke(body string, headers ...string) answer {
	f.t.Helper()
	f.send(body, headers...)
	return f.answer()
}

func (f *function) send(body string, headers ...string) {
	f.t.Helper()
	e := event{id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", body: body, headers: map[string]string{}}
	for i := 0; i+1 < len(headers); i += 2 {
		e.headers[headers[i]] = headers[i+1]
	}
	select {
	case f.api.events <- e:
	case a := <-f.api.answers:
		f.t.Fatalf("the runtime posted %s %s instead of asking for an event", a.path, a.body)
	case <-f.done:
		f.t.Fatalf("the runtime ended with %d instead of asking for an event", f.cmd.ProcessState.ExitCode())
	case <-time.After(patience):
		f.t.Fatal("the runtime did not ask for an event")
	}
}

func (f *function) answer() answer {
	f.t.Helper()
	select {
	case a := <-f.api.answers:
		return a
	case <-f.done:
		select {
		case a := <-f.api.answers:
			return a
		default:
		}
		f.t.Fatalf("the runtime ended with %d instead of answering", f.cmd.ProcessState.ExitCode())
	case <-time.After(patience):
		f.t.Fatal("the runtime did not answer")
	}
	return answer{}
}

// exit waits for the end of the process.
func (f *function) exit() int {
	f.t.Helper()
	select {
	case <-f.done:
	case <-time.After(patience):
		f.t.Fatal("the runtime did not end")
	}
	return f.cmd.ProcessState.ExitCode()
}

// ok checks an answer and its body, with TASK for the task's directory.
func (f *function) ok(a answer, body string) {
	f.t.Helper()
	f.is(a, "invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response", body)
}

func (f *function) failed(a answer, body string) {
	f.t.Helper()
	f.is(a, "invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error", body)
}

func (f *function) is(a answer, path, body string) {
	f.t.Helper()
	if a.path != path {
		f.t.Errorf("posted to %s, want %s; body %s", a.path, path, a.body)
	}
	if got := strings.ReplaceAll(a.body, f.dir, "TASK"); got != body {
		f.t.Errorf("posted\n %s\nwant\n %s", got, body)
	}
}

// field is one member of an answer's JSON object.
func (a answer) field(t *testing.T, name string) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("answer %.200q: %v", a.body, err)
	}
	return m[name]
}

// logs waits until the function's log contains each text.
func (f *function) logs(texts ...string) {
	f.t.Helper()
	for _, text := range texts {
		deadline := time.Now().Add(patience / 4)
		for !strings.Contains(strings.ReplaceAll(f.logged(), f.dir, "TASK"), text) {
			if time.Now().After(deadline) {
				f.t.Fatalf("log does not contain %q:\n%q", text, f.logged())
			}
			time.Sleep(time.Millisecond)
		}
	}
}
