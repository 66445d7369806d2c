package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/sandbox/namespace"
	"github.com/enfold-run/enfold/sandbox/process"
)

func TestMain(m *testing.M) {
	namespace.MaybeInit()
	code := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

var builtDir string

// built is the directory of the function that misbehaves on demand, as /var/task. It is built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "enfold-worker-test-")
	if err != nil {
		return "", err
	}
	builtDir = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-o", filepath.Join(dir, "bootstrap"), ".")
	c.Dir = "testdata/function"
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// world is a Pool on a real driver.
type world struct {
	*Pool
	t      testing.TB
	driver sandbox.Driver
	logs   *memory
	mark   string // in the environment of every process of a function
	broken atomic.Pointer[error]
	server *bytes.Buffer // what the pool logs about itself; read it after drain
	ids    atomic.Int64
}

// onBoth runs a test on every driver that works here.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("process", func(t *testing.T) { test(t, newWorld(t, "process", Deps{})) })
	t.Run("namespace", func(t *testing.T) { test(t, newWorld(t, "namespace", Deps{})) })
}

// sideBySide has a test run beside others: most of them wait, and worlds have nothing in common. A test may have several worlds.
func sideBySide(t testing.TB) {
	if test, ok := t.(*testing.T); ok {
		if _, again := parallel.LoadOrStore(test, true); !again {
			test.Parallel()
		}
	}
}

var parallel sync.Map

// newWorld makes a Pool. When the test ends it is drained, and nothing may be left.
func newWorld(t testing.TB, driver string, d Deps) *world {
	t.Helper()
	sideBySide(t)
	w := &world{t: t, logs: &memory{}, mark: "MARK_" + newID(), server: &bytes.Buffer{}}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if driver == "process" {
		w.driver, err = process.New(process.Options{StateDir: t.TempDir(), Log: quiet})
	} else {
		w.driver, err = namespace.New(namespace.Options{StateDir: t.TempDir(), Log: quiet, Stock: -1})
	}
	if errors.Is(err, sandbox.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Driver = failingDriver{w.driver, &w.broken}
	if d.ReadyMemory > 0 {
		d.Driver = warmingDriver{d.Driver, w.driver.(sandbox.Warmer)}
	}
	if d.Runtimes == nil {
		d.Runtimes = runtimes.New(runtimes.Options{DataDir: t.TempDir()})
	}
	d.Logger = w.logs
	d.Log = slog.New(slog.NewTextHandler(w.server, nil))
	if d.Credentials == nil {
		d.Credentials = func(context.Context, *Function) (Credentials, error) {
			return Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}, nil
		}
	}
	w.Pool = New(d)
	t.Cleanup(w.end)
	return w
}

// end drains the pool and looks for what is left.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w.Drain(ctx)
	if s := w.Stats(); s.Busy != 0 || s.Idle != 0 {
		w.t.Errorf("after Drain there are sandboxes: %+v", s)
	}
	if len(w.groups) != 0 || len(w.all) != 0 {
		w.t.Errorf("after Drain there are %d groups and %d sandboxes", len(w.groups), len(w.all))
	}
	if left := w.processes(); len(left) > 0 {
		w.t.Errorf("after Drain there are processes: %v", left)
	}
	if err := w.driver.Close(); err != nil {
		w.t.Error(err)
	}
}

// processes are the process ids of the functions of this world, on the host.
func (w *world) processes() []string {
	var found []string
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		env, err := os.ReadFile(name)
		if err == nil && bytes.Contains(env, []byte(w.mark)) {
			found = append(found, strings.Split(name, "/")[2])
		}
	}
	return found
}

// warmingDriver boots runtimes ahead, which failingDriver does not.
type warmingDriver struct {
	sandbox.Driver
	warmer sandbox.Warmer
}

func (d warmingDriver) Endpoints() (runtime, api string) { return d.warmer.Endpoints() }

func (d warmingDriver) Warm(ctx context.Context, m []sandbox.Mount, c sandbox.Command) (sandbox.Warmed, error) {
	return d.warmer.Warm(ctx, m, c)
}

// failingDriver fails to create while there is an error.
type failingDriver struct {
	sandbox.Driver
	err *atomic.Pointer[error]
}

func (d failingDriver) Create(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	if err := d.err.Load(); err != nil {
		return nil, *err
	}
	return d.Driver.Create(ctx, s)
}

// function is the one that misbehaves; env is pairs of name and value.
func (w *world) function(env ...string) *Function {
	w.t.Helper()
	dir, err := built()
	if err != nil {
		w.t.Fatal(err)
	}
	f := &Function{
		Key: newID(), Owner: "000000000000/us-east-1/misbehave/$LATEST", Account: "000000000000", Region: "us-east-1",
		Name: "misbehave", Version: "$LATEST", Runtime: "provided.al2023", Handler: "main.handler",
		MemoryMB: 128, Timeout: 10 * time.Second, TmpMB: 512, Task: dir, LogGroup: "/aws/lambda/misbehave", LogFormat: "Text",
		Env: map[string]string{w.mark: "1"},
	}
	for i := 0; i+1 < len(env); i += 2 {
		f.Env[env[i]] = env[i+1]
	}
	return f
}

// request is an invocation with an event, which is JSON or a word.
func (w *world) request(event string) *Request {
	if !strings.HasPrefix(event, "{") {
		event = `{"do":"` + event + `"}`
	}
	return &Request{RequestID: fmt.Sprintf("00000000-0000-4000-8000-%012d", w.ids.Add(1)), Payload: []byte(event), Tail: true}
}

// run invokes and fails the test if there is no answer.
func (w *world) run(f *Function, event string) *Response {
	w.t.Helper()
	return w.do(f, w.request(event))
}

func (w *world) do(f *Function, r *Request) *Response {
	w.t.Helper()
	resp, err := w.Run(context.Background(), f, r)
	if err != nil {
		w.t.Fatalf("%s: %v", r.Payload, err)
	}
	return resp
}

// good invokes and fails the test if the function fails.
func (w *world) good(f *Function, event string) *Response {
	w.t.Helper()
	resp := w.run(f, event)
	if resp.FunctionError != "" {
		w.t.Fatalf("%s: %s %s\n%s", event, resp.FunctionError, resp.Payload, w.logs.text())
	}
	return resp
}

// state is what the function knows of itself.
type state struct{ Calls, Disk, PID int }

func (w *world) state(f *Function) state {
	w.t.Helper()
	var s state
	if err := json.Unmarshal(w.good(f, "state").Payload, &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// alive asserts that the function works and says whether the sandbox and the process are still those of before.
func (w *world) alive(f *Function, before state) (sameSandbox, sameProcess bool) {
	w.t.Helper()
	now := w.state(f)
	return now.Disk > before.Disk, now.Calls > before.Calls
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 5*time.Second; {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not in five seconds: %s", what)
}

// failed asserts what the caller of a failed invocation gets.
func failed(t testing.TB, resp *Response, kind, payload string) {
	t.Helper()
	if resp.FunctionError != "Unhandled" || resp.ErrorType != kind || string(resp.Payload) != payload || resp.ContentType != "application/json" {
		t.Errorf("FunctionError %q, type %q, content type %q, payload\n%s\nwant Unhandled, %q, application/json,\n%s",
			resp.FunctionError, resp.ErrorType, resp.ContentType, resp.Payload, kind, payload)
	}
}

// platform is the payload that AWS makes up.
func platform(kind string, r *Request, text string) string {
	return `{"errorType":"` + kind + `","errorMessage":"RequestId: ` + r.RequestID + ` Error: ` + text + `"}`
}

// report takes the REPORT line off a log: its fields by name.
func report(t testing.TB, log, id string) map[string]string {
	t.Helper()
	_, line, ok := strings.Cut(log, "REPORT RequestId: "+id+"\t")
	if !ok {
		t.Fatalf("no REPORT of %s in\n%s", id, log)
	}
	line, _, _ = strings.Cut(line, "\n")
	if !strings.HasSuffix(line, "\t") {
		t.Errorf("REPORT does not end with a tab: %q", line)
	}
	fields := map[string]string{}
	for f := range strings.SplitSeq(strings.TrimRight(line, "\t"), "\t") {
		k, v, _ := strings.Cut(f, ": ")
		fields[k] = v
	}
	return fields
}

// ms reads "12.34 ms".
func ms(t testing.TB, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, " ms"), 64)
	if err != nil {
		t.Errorf("not milliseconds: %q", s)
	}
	return v
}
