package runtimes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const pythonCode = `
import collections, decimal, json, logging, os, sys, threading

P = collections.namedtuple("P", "x y")

class Odd(Exception):
    def __str__(self):
        return "odd ☃"

def handler(event, context):
    return {"got": event}

def nothing(event, context):
    pass

def raw(event, context):
    return b"\x00\xff raw"

def kinds(event, context):
    return {"d": decimal.Decimal("1.10"), "big": decimal.Decimal(2) ** 70, "p": P(1, [P(2, 3)]), "t": (1, 2), "b": b"bytes", b"k": 1, "u": "é☃", "n": float("nan")}

def members(event, context):
    c, i = context.client_context, context.identity
    left = context.get_remaining_time_in_millis()
    return [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb,
            context.log_group_name, context.log_stream_name, context.invoked_function_arn, context.tenant_id, 0 < left <= 5000,
            c and [c.client.installation_id, c.client.app_title, c.custom, c.env], i.cognito_identity_id, i.cognito_identity_pool_id]

def fail(event, context):
    inner()

def inner():
    raise Odd()

def fail_json(event, context):
    return {"o": object()}

def circle(event, context):
    a = []
    a.append(a)
    return a

def leave(event, context):
    sys.exit(event)

def log(event, context):
    print("printed é")
    sys.stdout.write("unfinished")
    logging.getLogger().setLevel(logging.INFO)
    logging.info("hello %s", "x")
    logging.getLogger("lib").warning("multi\nline", extra={"color": "red"})
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("caught")
    print("after")
    context.log("direct")
    context.log("two\r\nlines\n")
    print("own\nlines")

def env(event, context):
    return [os.environ.get(k) for k in event]

def where(event, context):
    return {"cwd": os.getcwd(), "path": sys.path, "argv": sys.argv[1:], "exit": callable(exit)}

class Nested:
    @staticmethod
    def handler(event, context):
        return "nested"
`

func TestPython(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		run := func(t *testing.T, handler string) *function {
			return start(t, code{runtime: runtime, handler: handler, files: map[string]string{"app.py": pythonCode, "pkg/sub/mod.py": pythonCode}})
		}
		escaped := compareVersions(runtime, "python3.12") < 0
		snowman := map[bool]string{true: `\u00e9\u2603`, false: "é☃"}[escaped]

		t.Run("shapes", func(t *testing.T) {
			f := run(t, "app.handler")
			f.ok(f.invoke(`{"a":"é☃","n":[1,2.5,null,true]}`), `{"got": {"a": "`+snowman+`", "n": [1, 2.5, null, true]}}`)
			f.ok(f.invoke(`""`), `{"got": ""}`)
			f.ok(f.invoke(`{"a":1}`, "Content-Type", "application/octet-stream"), `{"got": {"a": 1}}`)
			f.ok(run(t, "pkg/sub/mod.handler").invoke(`1`), `{"got": 1}`)
			f.ok(run(t, "pkg.sub.mod.handler").invoke(`1`), `{"got": 1}`)
			f.ok(run(t, "app.nothing").invoke(`{}`), `null`)
			f.ok(run(t, "app.kinds").invoke(`{}`), `{"d": 1.10, "big": 1180591620717411303424, "p": {"x": 1, "y": [{"x": 2, "y": 3}]}, "t": [1, 2], "b": "bytes", "k": 1, "u": "`+snowman+`", "n": NaN}`)
			a := run(t, "app.raw").invoke(`{}`)
			f.ok(a, "\x00\xff raw")
			if got := a.header.Get("Content-Type"); got != "application/unknown" {
				t.Errorf("content type of bytes is %q", got)
			}
		})
		t.Run("context", func(t *testing.T) {
			f := run(t, "app.members")
			f.ok(f.invoke(`{}`), `["8476a536-e9f4-11e8-9739-2dfe598c3fcd", "f", "$LATEST", "512", "/aws/lambda/f", "2026/01/01/[$LATEST]0", "arn:aws:lambda:eu-west-1:123456789012:function:f:live", null, true, null, null, null]`)
			f.ok(f.invoke(`{}`,
				"Lambda-Runtime-Client-Context", `{"client":{"installation_id":"i1","app_title":"t"},"custom":{"k":"v"},"env":{"e":1}}`,
				"Lambda-Runtime-Cognito-Identity", `{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}`, "Lambda-Runtime-Aws-Tenant-Id", "tenant"),
				`["8476a536-e9f4-11e8-9739-2dfe598c3fcd", "f", "$LATEST", "512", "/aws/lambda/f", "2026/01/01/[$LATEST]0", "arn:aws:lambda:eu-west-1:123456789012:function:f:live", "tenant", true, ["i1", "t", {"k": "v"}, {"e": 1}], "id", "pool"]`)
			a := f.invoke(`{}`, "Lambda-Runtime-Client-Context", `{`)
			if a.field(t, "errorType") != "Runtime.LambdaContextUnmarshalError" {
				t.Errorf("bad client context: %s", a.body)
			}
		})
		t.Run("errors", func(t *testing.T) {
			f := run(t, "app.fail")
			message := map[bool]string{true: `odd \u2603`, false: "odd ☃"}[escaped]
			want := `{"errorMessage": "` + message + `", "errorType": "Odd", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "stackTrace": ["  File \"TASK/app.py\", line 30, in fail\n    inner()\n", "  File \"TASK/app.py\", line 33, in inner\n    raise Odd()\n"]}`
			a := f.invoke(`{}`)
			f.failed(a, want)
			if got := a.header.Get("Lambda-Runtime-Function-Error-Type"); got != "Odd" {
				t.Errorf("error type header %q", got)
			}
			f.failed(f.invoke(`{}`), want) // and the process lives
			f.logs("[ERROR] Odd: odd ☃\rTraceback (most recent call last):\r\u00a0\u00a0File \"TASK/app.py\", line 30, in fail\r\u00a0\u00a0\u00a0\u00a0inner()\r", "\r\u00a0\u00a0\u00a0\u00a0raise Odd()\n[ERROR] ")
			f = run(t, "app.fail_json")
			f.failed(f.invoke(`{}`), `{"errorMessage": "Unable to marshal response: Object of type object is not JSON serializable", "errorType": "Runtime.MarshalError", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "stackTrace": []}`)
			f = run(t, "app.circle")
			f.failed(f.invoke(`{}`), `{"errorMessage": "Unable to marshal response: Circular reference detected", "errorType": "Runtime.MarshalError", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "stackTrace": []}`)
			a = run(t, "app.handler").invoke(`{"cut`)
			if a.field(t, "errorType") != "Runtime.UnmarshalError" || !strings.HasPrefix(a.field(t, "errorMessage").(string), "Unable to unmarshal input: ") {
				t.Errorf("bad event: %s", a.body)
			}
		})
		t.Run("exit", func(t *testing.T) {
			for event, want := range map[string]int{`0`: 0, `3`: 3} {
				f := run(t, "app.leave")
				f.send(event)
				if got := f.exit(); got != want {
					t.Errorf("sys.exit(%s) ended with %d", event, got)
				}
				if len(f.api.answers) > 0 {
					t.Errorf("sys.exit(%s) posted %s", event, (<-f.api.answers).body)
				}
			}
		})
		t.Run("init errors", func(t *testing.T) { pythonInitErrors(t, runtime) })
		t.Run("text log", func(t *testing.T) {
			f := run(t, "app.log")
			f.ok(f.invoke(`{}`), `null`)
			f.logs("printed é\n", "unfinished", "[INFO]\t20", "Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\thello x\n", "[WARNING]\t", "\tmulti\rline\n",
				"\tcaught\rTraceback (most recent call last):\r  File \"TASK/app.py\", line ", "\rZeroDivisionError: division by zero\nafter\ndirect\ntwo\rlines\nown\nlines\n")
		})
		t.Run("JSON log", func(t *testing.T) {
			f := start(t, code{runtime: runtime, handler: "app.log", files: map[string]string{"app.py": pythonCode}, env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}})
			f.ok(f.invoke(`{}`), `null`)
			f.logs(`"level": "INFO", "message": "hello x", "logger": "root", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"}`+"\n",
				`"message": "multi\nline", "logger": "lib"`, `"color": "red"`, `"errorType": "ZeroDivisionError"`, `"location": "TASK/app.py:log:`, "\"}\nafter\n")
			f = start(t, code{runtime: runtime, handler: "app.fail", files: map[string]string{"app.py": pythonCode}, env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON"}})
			f.invoke(`{}`)
			f.logs(`"level": "ERROR", "errorMessage": "odd `, "\\n\"]}\n")
		})
		t.Run("environment", func(t *testing.T) {
			f := run(t, "app.env")
			f.ok(f.invoke(`["_X_AMZN_TRACE_ID","AWS_EXECUTION_ENV"]`, "Lambda-Runtime-Trace-Id", "Root=1-2-3"), `["Root=1-2-3", "AWS_Lambda_`+runtime+`"]`)
			f.ok(f.invoke(`["_X_AMZN_TRACE_ID","HOME"]`), `[null, null]`)
			// The interpreter itself would set it on a host that has no such locale.
			odd := map[string]string{"LANG": "xx_XX.UTF-8"}
			f = start(t, code{runtime: runtime, handler: "app.env", files: map[string]string{"app.py": pythonCode}, env: odd})
			f.ok(f.invoke(`["LC_CTYPE"]`), map[bool]string{true: `[null]`, false: `["C.UTF-8"]`}[escaped])
			odd["LC_CTYPE"] = "C.utf8"
			f = start(t, code{runtime: runtime, handler: "app.env", files: map[string]string{"app.py": pythonCode}, env: odd})
			f.ok(f.invoke(`["LC_CTYPE"]`), `["C.utf8"]`)
		})
	})
}

func pythonInitErrors(t *testing.T, runtime string) {
	files := map[string]string{
		"app.py": "handler = 1", "broken.py": "def f(:\n  pass", "needs.py": "import missing_module",
		"raises.py": "raise Exception('at start')", "leaves.py": "import sys\nsys.exit(4)",
	}
	for _, c := range []struct {
		handler string
		kind    string
		want    string // with which the document begins
	}{
		{"app", "Runtime.MalformedHandlerName", `{"errorMessage": "Bad handler 'app': not enough values to unpack (expected 2, got 1)", "errorType": "Runtime.MalformedHandlerName", "requestId": "", "stackTrace": []}`},
		{"sys.handler", "Runtime.BuiltInModuleConflict", `{"errorMessage": "Cannot use built-in module sys as a handler module", "errorType": "Runtime.BuiltInModuleConflict", "requestId": "", "stackTrace": []}`},
		{"none.handler", "Runtime.ImportModuleError", `{"errorMessage": "Unable to import module 'none': No module named 'none'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}`},
		{"needs.handler", "Runtime.ImportModuleError", `{"errorMessage": "Unable to import module 'needs': No module named 'missing_module'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}`},
		{"broken.handler", "Runtime.UserCodeSyntaxError", `{"errorMessage": "Syntax error in module 'broken': invalid syntax (broken.py, line 1)", "errorType": "Runtime.UserCodeSyntaxError", "requestId": "", "stackTrace": ["  File \"TASK/broken.py\" Line 1\n    def f(:\n"]}`},
		{"app.other", "Runtime.HandlerNotFound", `{"errorMessage": "Handler 'other' missing on module 'app'", "errorType": "Runtime.HandlerNotFound", "requestId": "", "stackTrace": []}`},
		{"raises.handler", "Exception", `{"errorMessage": "at start", "errorType": "Exception", "requestId": "", "stackTrace": ["  File \"`},
	} {
		f := start(t, code{runtime: runtime, handler: c.handler, files: files})
		a := f.answer()
		if a.path != "init/error" || a.header.Get("Lambda-Runtime-Function-Error-Type") != c.kind {
			t.Errorf("%s: %s %v", c.handler, a.path, a.header)
		}
		if got := strings.ReplaceAll(a.body, f.dir, "TASK"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n %s\nwant\n %s", c.handler, got, c.want)
		}
		if got := f.exit(); got != 1 {
			t.Errorf("%s: exit status %d", c.handler, got)
		}
		f.logs("[WARNING]\t", "Z\t\tLAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. ", "runtimes-update.html\n[ERROR] "+c.kind+": ")
	}
	f := start(t, code{runtime: runtime, handler: "leaves.handler", files: files})
	if got := f.exit(); got != 4 || len(f.api.answers) > 0 {
		t.Errorf("sys.exit at start: status %d, %d posts", got, len(f.api.answers))
	}
}

// TestPythonEndsConnection: a function that ends the connection of its runtime, as daemons do with all that they have open, is answered for.
func TestPythonEndsConnection(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": `
import os, socket, stat
def sockets():
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                yield fd
        except OSError:
            pass
def handler(event, context):
    for fd in list(sockets()):
        if event["how"] == "shut":
            s = socket.socket(fileno=fd)
            s.shutdown(socket.SHUT_RDWR)
            s.detach()
        elif event["how"] == "close":
            os.close(fd)
    return event["how"]
`}})
		for _, how := range []string{"shut", "close", "keep", "close", "shut", "shut"} {
			f.ok(f.invoke(`{"how":"`+how+`"}`), `"`+how+`"`)
		}
	})
}

func TestPythonPaths(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		version := strings.TrimPrefix(runtime, "python")
		files := map[string]string{
			"app.py":                pythonCode + "\nimport both, layered, deep, started\ndef who(e, c): return [both.X, layered.X, deep.X, started.X]",
			"both.py":               "X = 'task'",
			"opt/python/both.py":    "X = 'layer'",
			"opt/python/layered.py": "X = 'layer'",
			"opt/python/lib/python" + version + "/site-packages/deep.py": "X = 'deep'",
			"hidden/started.py": "X = 'pth'",
			"own.pth":           "hidden\n",
		}
		f := start(t, code{runtime: runtime, handler: "app.who", files: files})
		f.ok(f.invoke(`{}`), `["task", "layer", "deep", "pth"]`)

		f = start(t, code{runtime: runtime, handler: "app.where", files: map[string]string{"app.py": pythonCode}})
		a := f.invoke(`{}`)
		if got := a.field(t, "cwd"); got != f.dir {
			t.Errorf("working directory %v, want %s", got, f.dir)
		}
		if path := a.field(t, "path").([]any); path[0] != f.dir || !strings.HasSuffix(path[1].(string), "/opt/python/lib/python"+version+"/site-packages") || !strings.HasSuffix(path[2].(string), "/opt/python") {
			t.Errorf("sys.path begins with %v", path)
		}
		if a.field(t, "exit") != true {
			t.Error("exit() is missing")
		}

		f = start(t, code{
			runtime: runtime, handler: "app.env", env: map[string]string{"PYTHONPATH": "TASK/agent"},
			files: map[string]string{"app.py": pythonCode, "agent/sitecustomize.py": "import os; os.environ['AGENT'] = 'on'"},
		})
		f.ok(f.invoke(`["AGENT"]`), `["on"]`)
	})
}

// Modules of any size are read, bytecode is kept where it can be, and no try is made where it never can. A module that comes later is seen.
func TestPythonImports(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{
			"app.py": `import os, sys, tempfile, exact, larger, largest
elsewhere = tempfile.mkdtemp()
with open(elsewhere + "/kept.py", "w") as f: f.write("X = 1")
sys.path.append(elsewhere)
import kept
def handler(e, c):
    for m in "missing", "unreadable":
        try: __import__(m)
        except Exception as e: print(type(e).__name__)
    with open(os.path.dirname(__file__) + "/late.py", "w") as f: f.write("X = 'late'")
    os.utime(os.path.dirname(__file__), (1, 1))
    import late
    return [len(m.X) for m in (exact, larger, largest)] + [os.listdir(elsewhere + "/__pycache__") != [], "__pycache__" in os.listdir(os.path.dirname(__file__)), late.X]`,
			"exact.py":               "X = '" + strings.Repeat("x", 8192-7) + "'\n", // as much as is read at first
			"larger.py":              "X = '" + strings.Repeat("x", 10_000) + "'",
			"largest.py":             "X = '" + strings.Repeat("x", 3_000_000) + "'",
			"unreadable.py/empty.py": "",
		}})
		f.ok(f.invoke(`{}`), `[8185, 10000, 3000000, true, false, "late"]`)
		f.logs("ModuleNotFoundError\n", "ModuleNotFoundError\n")
	})
}

func TestPythonWrapper(t *testing.T) {
	eachInterpreter(t, Python, func(t *testing.T, runtime string) {
		wrappers(t, runtime, "app.handler", map[string]string{"app.py": pythonCode})
	})
}

// wrappers checks AWS_LAMBDA_EXEC_WRAPPER.
func wrappers(t *testing.T, runtime, handler string, files map[string]string) {
	files["opt/wrapper"] = "#!/bin/sh\necho wrapped\nexec \"$@\"\n"
	f := start(t, code{runtime: runtime, handler: handler, files: files, wrapper: "/opt/wrapper"})
	if a := f.invoke(`{}`); !strings.HasSuffix(a.path, "/response") {
		t.Errorf("wrapped: %s %s", a.path, a.body)
	}
	f.logs("wrapped\n")
	f = start(t, code{runtime: runtime, handler: handler, files: files, wrapper: "/opt/none"})
	if got := f.exit(); got != 127 {
		t.Errorf("missing wrapper: exit status %d", got)
	}
	f.logs("/none: does not exist\n")
}

func TestPythonLoad(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		load(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": "def handler(e, c): return e"}})
	})
}

// load sends a function that returns its event large ones, and many.
func load(t *testing.T, c code) {
	f := start(t, c)
	big := `"` + strings.Repeat("0123456789abcdef", 6<<20/16-1) + `"`
	for range 2 {
		if a := f.invoke(big); a.body != big {
			t.Fatalf("6 MB came back as %d bytes: %.100q", len(a.body), a.body)
		}
	}
	for range 300 {
		f.ok(f.invoke(`[1]`), `[1]`)
	}
}

// The SDK that was installed for a runtime wins over what the host's interpreter has.
func TestPythonSDKPath(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		r, _ := lookup(runtime)
		sdk := hostSet(t).sdkPath(r)
		t.Cleanup(func() { os.RemoveAll(sdk) })
		made := t.TempDir()
		write(t, made+"/files/boto3/__init__.py", "X = 'pinned'", 0o644)
		if err := os.MkdirAll(filepath.Dir(sdk), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := publishSDK(made, sdk, []string{"boto3==1"}); err != nil {
			t.Fatal(err)
		}
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{
			"app.py": "import boto3, os, sys\ndef handler(e, c): return {'boto3': boto3.X, 'path': sys.path, 'lib': os.path.dirname(os.__file__)}",
		}})
		a := f.invoke(`{}`)
		if got := a.field(t, "boto3"); got != "pinned" {
			t.Errorf("boto3 is %v", got)
		}
		path := a.field(t, "path").([]any)
		at := slices.Index(path, any(sdk))
		if lib := slices.Index(path, a.field(t, "lib")); lib < 0 || at < lib {
			t.Errorf("the SDK is at %d of sys.path, want it after the standard library at %d: %v", at, lib, path)
		}
		host := slices.IndexFunc(path, func(p any) bool {
			return strings.HasSuffix(p.(string), "-packages") && !strings.Contains(p.(string), "/opt/python/")
		})
		if host < 0 {
			t.Skipf("%s has no packages of its own, so there is nothing to come before", runtime)
		}
		if at > host {
			t.Errorf("the SDK is at %d of sys.path, want it before the host's packages at %d: %v", at, host, path)
		}
	})
}

// TestPythonRunsOnce: a process whose answer the platform does not take runs no event again, and asks for no other.
func TestPythonRunsOnce(t *testing.T) {
	eachRuntime(t, Python, func(t *testing.T, runtime string) {
		runsOnce(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": `
def handler(event, context):
    print("ran", event, flush=True)
`}})
	})
}

// runsOnce refuses the answer to the event 2.
func runsOnce(t *testing.T, c code) {
	f := start(t, c)
	f.api.refused.Store("2")
	f.ok(f.invoke(`1`), "null")
	f.send(`2`)
	if got := f.exit(); got == 0 || strings.Count(f.logged(), "ran 2") != 1 {
		t.Errorf("exit status %d, log\n%s", got, f.logged())
	}
}
