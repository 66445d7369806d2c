package runtimes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const pythonSeen = `
import os, signal, subprocess, sys, threading, time, traceback

START = traceback.format_stack()

def handler(event, context):
    def child(*command):
        return sorted(subprocess.run(command, stdin=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode().split("\0"))
    return {
        "env": dict(os.environ), "posix": {k.decode(): v.decode() for k, v in os.environb.items()}, "child": child("/usr/bin/env", "-0"),
        "stdin": os.readlink("/proc/self/fd/0"), "inherits": os.get_inheritable(0), "read": sys.stdin.read(),
        "stream": [repr(sys.stdin), sys.stdin.seekable(), sys.stdin.errors, sys.stdin.mode, sys.__stdin__ is sys.stdin],
        "child reads": child("/bin/sh", "-c", "cat && echo end"), "argv": sys.argv, "path": sys.path, "cwd": os.getcwd(),
        "zone": [time.tzname, time.timezone, time.localtime(0).tm_hour], "flags": list(sys.flags),
        "meta_path": [repr(f).split(" at ")[0] for f in sys.meta_path], "encodings": [sys.getfilesystemencoding(), sys.stdout.encoding],
        "start": START, "threads": threading.active_count(), "signals": [str(signal.getsignal(s)) for s in (2, 13, 15)],
        "main": sorted(vars(sys.modules["__main__"])), "exit": repr(exit), "file": __file__, "agent": os.environ.get("AGENT"),
    }
`

const nodeSeen = `
const fs = require('fs');
const start = new Error('start').stack;
const before = Reflect.ownKeys(globalThis).map(String).sort();
exports.handler = async () => {
  const { execFileSync } = require('child_process');
  const child = (file, ...args) => execFileSync(file, args, { stdio: [0, 'pipe', 'inherit'] }).toString().split('\0').sort();
  return {
    env: process.env, child: child('/usr/bin/env', '-0'), stdin: fs.readlinkSync('/proc/self/fd/0'), read: fs.readFileSync(0, 'utf8'),
    childReads: child('/bin/sh', '-c', 'cat && echo end'), argv: process.argv, execArgv: process.execArgv, cwd: process.cwd(),
    modulePaths: module.paths, globalPaths: require('module').globalPaths, main: require.main.filename, start,
    cache: Object.keys(require.cache).filter((f) => /task|rehears/.test(f)), parent: module.parent?.filename,
    siblings: module.parent?.children.map((m) => m.filename),
    before, globals: Reflect.ownKeys(globalThis).map(String).sort(), events: process.eventNames().map(String).sort(), title: process.title,
    zone: [new Date(0).getTimezoneOffset(), Intl.DateTimeFormat().resolvedOptions().timeZone],
    resources: process.getActiveResourcesInfo?.().filter((r) => r === 'Timeout' || r === 'Immediate').length, exitCode: process.exitCode ?? null,
  };
};
`

// seen is what a function reports about its process, made comparable: places differ between two starts, and what a runtime passes on
// of itself does not count.
func seen(t *testing.T, c code, asWaiting bool) map[string]any {
	t.Helper()
	c.waiting, c.env = asWaiting, maps.Clone(c.env)
	f := start(t, c)
	a := f.invoke(`{}`)
	if !strings.HasSuffix(a.path, "/response") {
		t.Fatalf("%s %s", a.path, a.body)
	}
	if asWaiting != f.waited {
		t.Fatalf("the process waited: %v, want %v", f.waited, asWaiting)
	}
	text := strings.ReplaceAll(a.body, f.api.Listener.Addr().String(), "API")
	text = strings.ReplaceAll(strings.ReplaceAll(text, f.dir, "TASK"), filepath.Dir(f.opt), "ROOT")
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A function cannot see whether its process has been waiting for it.
func TestWaitingIsNotSeen(t *testing.T) {
	customer := map[string]string{"CUSTOM": "é= x", "EMPTY": "", "HTTP_PROXY": "http://p:1"}
	zone := map[string]string{"TZ": "Asia/Tokyo"}
	for _, c := range []struct {
		family Family
		code   code
		envs   []map[string]string
	}{
		{Python, code{handler: "app.handler", files: map[string]string{"app.py": pythonSeen, "agent/sitecustomize.py": "import os; os.environ['AGENT'] = 'on'"}}, []map[string]string{
			customer, zone, {"PYTHONPATH": "TASK/agent:/opt/x", "HOME": "/tmp"},
		}},
		{Node, code{handler: "app.handler", files: map[string]string{"app.js": nodeSeen}}, []map[string]string{
			customer, zone, {"NODE_PATH": "TASK/x:/opt/y", "HOME": "/tmp", "NODE_ENV": "production"},
		}},
		{Java, code{handler: "seen.Seen"}, []map[string]string{customer}},
	} {
		eachInterpreter(t, c.family, func(t *testing.T, runtime string) {
			c.code.runtime = runtime
			if c.family == Java {
				c.code.task = javac(t, runtime, "testdata/java/seen/Seen.java")
			}
			for _, env := range c.envs {
				c.code.env = env
				launched, waited := seen(t, c.code, false), seen(t, c.code, true)
				for name, want := range launched {
					if got := waited[name]; !same(got, want) {
						t.Errorf("with %v a function that was waited for sees %s\n %v\nwant\n %v", env, name, got, want)
					}
				}
				for name, value := range env {
					// Java reads what is not ASCII as the host's locale has it.
					if got := waited["env"].(map[string]any)[name]; got != value && (c.family != Java || name != "CUSTOM") {
						t.Errorf("%s is %v, want %q", name, got, value)
					}
				}
				if got := waited["stdin"]; got != "/dev/null" {
					t.Errorf("standard input is %v", got)
				}
			}
		})
	}
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// waitingFunctions are functions that answer the length of the variable BIG.
var waitingFunctions = map[Family]code{
	Python: {handler: "app.handler", files: map[string]string{"app.py": "import os\ndef handler(e, c): return len(os.environ['BIG'])"}},
	Node:   {handler: "app.handler", files: map[string]string{"app.js": "exports.handler = async () => process.env.BIG.length"}},
	Java:   {handler: "fn.App$Big"},
}

func eachWaiting(t *testing.T, test func(t *testing.T, c code)) {
	for _, family := range []Family{Python, Node, Java} {
		eachInterpreter(t, family, func(t *testing.T, runtime string) {
			c := waitingFunctions[family]
			c.runtime, c.waiting = runtime, true
			if family == Java {
				c.task = javac(t, runtime, "testdata/java/fn/App.java")
			}
			test(t, c)
		})
	}
}

func TestWaitingLargestConfiguration(t *testing.T) {
	eachWaiting(t, func(t *testing.T, c code) {
		const size = 64 << 10
		f, w, entries := prepare(t, c)
		big := size - len(strings.Join(entries, "\x00")+"\x00BIG=\x00")
		config := f.wait(w, f.api.Listener.Addr().String())
		f.configure(config, append(entries, "BIG="+strings.Repeat("x", big)))
		f.ok(f.invoke(`{}`), fmt.Sprint(big))
	})
}

// A pool that has gone away leaves nothing behind.
func TestWaitingForNobody(t *testing.T) {
	eachWaiting(t, func(t *testing.T, c code) {
		f, w, _ := prepare(t, c)
		config := f.wait(w, f.api.Listener.Addr().String())
		config.Close()
		if got := f.exit(); got != 0 || f.logged() != "" || len(f.api.answers) > 0 {
			t.Errorf("exit status %d, %d posts, log %q", got, len(f.api.answers), f.logged())
		}
	})
}

// The connection that was made ahead is no more than a help.
func TestWaitingConnections(t *testing.T) {
	eachWaiting(t, func(t *testing.T, c code) {
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		other := closed.Addr().String()
		for name, ahead := range map[string]string{"none": "", "refused": "127.0.0.1:1", "another": other} {
			f, w, entries := prepare(t, c)
			config := f.wait(w, ahead)
			f.configure(config, append(entries, "BIG=x"))
			if a := f.invoke(`{}`); a.body != "1" {
				t.Errorf("%s: %s", name, a.body)
			}
		}
		closed.Close()

		f, w, entries := prepare(t, c)
		config := f.wait(w, f.api.Listener.Addr().String())
		f.api.CloseClientConnections()
		f.configure(config, append(entries, "BIG=x"))
		if a := f.invoke(`{}`); a.body != "1" {
			t.Errorf("closed while it waited: %s", a.body)
		}
	})
}

func TestWarm(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/plain/app.py", "", 0o644)
	write(t, root+"/jars/lib/x.jar", "", 0o644)
	write(t, root+"/shared/lib/libx.so.1", "", 0o644)
	for _, c := range []struct {
		name     string
		families []Family // of those that can wait
		q        Request
	}{
		{"plain", []Family{Python, Node, Java}, Request{}},
		{"own variables", []Family{Python, Node, Java}, Request{Env: map[string]string{"A": "b", "PATH": "/x", "NODE_ENV": "production", "JAVA_HOME": "/x", "NODE_PATH": "/x", "PYTHONPATH": "/x:/y"}}},
		{"wrapper", nil, Request{Wrapper: "/opt/wrapper"}},
		{"wrapper among the variables", nil, Request{Env: map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}}},
		{"jars", []Family{Python, Node, Java}, Request{Task: "jars"}},
		{"shared libraries", nil, Request{Task: "shared"}},
		{"shared libraries of a layer", nil, Request{Layers: []string{"plain", "shared"}}},
		{"LD_PRELOAD", nil, Request{Env: map[string]string{"LD_PRELOAD": "x"}}},
		{"LANG", nil, Request{Env: map[string]string{"LANG": "x"}}},
		{"LC_ALL", nil, Request{Env: map[string]string{"LC_ALL": "x"}}},
		{"MALLOC_ARENA_MAX", nil, Request{Env: map[string]string{"MALLOC_ARENA_MAX": "2"}}},
		{"TZ", []Family{Python, Node}, Request{Env: map[string]string{"TZ": "Asia/Tokyo"}}},
		{"HOME", []Family{Python, Node}, Request{Env: map[string]string{"HOME": "/tmp"}}},
		{"PYTHONUNBUFFERED", []Family{Node, Java}, Request{Env: map[string]string{"PYTHONUNBUFFERED": "1"}}},
		{"relative PYTHONPATH", []Family{Node, Java}, Request{Env: map[string]string{"PYTHONPATH": "/x:y"}}},
		{"NODE_OPTIONS", []Family{Python, Java}, Request{Env: map[string]string{"NODE_OPTIONS": "x"}}},
		{"NODE_EXTRA_CA_CERTS", []Family{Python, Java}, Request{Env: map[string]string{"NODE_EXTRA_CA_CERTS": "x"}}},
		{"SSL_CERT_FILE", []Family{Python, Java}, Request{Env: map[string]string{"SSL_CERT_FILE": "x"}}},
		{"UV_THREADPOOL_SIZE", []Family{Python, Java}, Request{Env: map[string]string{"UV_THREADPOOL_SIZE": "8"}}},
		{"JAVA_TOOL_OPTIONS", []Family{Python, Node}, Request{Env: map[string]string{"JAVA_TOOL_OPTIONS": "x"}}},
		{"_JAVA_OPTIONS", []Family{Python, Node}, Request{Env: map[string]string{"_JAVA_OPTIONS": "x"}}},
		{"JDK_JAVA_OPTIONS", []Family{Python, Node}, Request{Env: map[string]string{"JDK_JAVA_OPTIONS": "x"}}},
		{"most variables", []Family{Python, Node, Java}, Request{Env: numbered(maxVariables)}},
		{"too many variables", nil, Request{Env: numbered(maxVariables + 1)}},
	} {
		c.q.Task = filepath.Join(root, c.q.Task)
		for i := range c.q.Layers {
			c.q.Layers[i] = filepath.Join(root, c.q.Layers[i])
		}
		for _, family := range []Family{Python, Node, Java} {
			why := beforeConfiguration(family, c.q)
			if can := slices.Contains(c.families, family); can != (why == "") {
				t.Errorf("%s: %s can wait: %v, want %v: %s", c.name, family, why == "", can, why)
			}
		}
	}
}

func numbered(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("V%d", i)] = "x"
	}
	return m
}

func TestWarmKey(t *testing.T) {
	for _, family := range []Family{Python, Node, Java} {
		eachInterpreter(t, family, func(t *testing.T, runtime string) {
			warm := func(q Request) *Warm {
				t.Helper()
				q.Runtime, q.Task = runtime, t.TempDir()
				l, err := hostSet(t).Launch(context.Background(), q)
				if err != nil {
					t.Fatal(err)
				}
				return l.Warm
			}
			one := warm(Request{MemoryMB: 128})
			if other := warm(Request{MemoryMB: 128, Env: map[string]string{"A": "b"}}); one.Key != other.Key {
				t.Errorf("keys of two functions: %s, %s", one.Key, other.Key)
			}
			if large := warm(Request{MemoryMB: 1024}); (one.Key == large.Key) != (family == Python) {
				t.Errorf("keys of two memory sizes: %s, %s", one.Key, large.Key)
			}
			if !strings.HasPrefix(one.Key, runtime+" ") {
				t.Errorf("key %s does not begin with %s", one.Key, runtime)
			}
			if none := warm(Request{Wrapper: "/opt/x"}); none != nil {
				t.Errorf("a wrapper is started by %v", none.Args)
			}
		})
	}
	task := t.TempDir()
	write(t, task+"/bootstrap", "x", 0o755)
	l, err := hostSet(t).Launch(context.Background(), Request{Runtime: "provided.al2023", Task: task})
	if err != nil || l.Warm != nil {
		t.Errorf("provided.al2023: %+v, %v", l.Warm, err)
	}
}
