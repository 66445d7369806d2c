package runtimes

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

const nodeCode = `
exports.handler = async (event, context) => ({ got: event });
exports.nested = { deep: { handler: async () => 'deep' } };
exports.sync = (event) => 'ignored before 24';
exports.nothing = async () => {};
exports.members = async (event, context) => [
  context.awsRequestId, context.functionName, context.functionVersion, context.memoryLimitInMB, context.logGroupName,
  context.logStreamName, context.invokedFunctionArn, context.tenantId ?? null, context.clientContext ?? null, context.identity ?? null,
  context.getRemainingTimeInMillis() > 0 && context.getRemainingTimeInMillis() <= 5000,
];
class Odd extends Error { constructor(m) { super(m); this.name = 'Odd'; this.detail = 7; } }
exports.fail = async () => { throw new Odd('odd ☃'); };
exports.reject = () => Promise.reject('just text');
exports.never = async () => new Promise(() => {});
exports.circle = async () => { const a = []; a.push(a); return a; };
exports.callback = (event, context, callback) => setTimeout(() => callback(null, { got: event }), 1);
exports.callbackError = (event, context, callback) => callback(new Odd('by callback'));
exports.forgot = (event, context, callback) => { };
let fired = 0;
exports.waits = (event, context, callback) => { setTimeout(() => fired++, 30); callback(null, fired); };
exports.hurries = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => fired++, 3000); callback(null, 'now'); };
exports.done = (event, context, callback) => context.done(null, 'done');
exports.succeed = (event, context, callback) => { context.succeed('first'); context.fail(new Error('second')); };
exports.thrown = (event, context) => { throw new Odd('thrown'); };
exports.uncaught = (event, context, callback) => setTimeout(() => { throw new Odd('later'); }, 1);
exports.unhandled = async () => { Promise.reject(new Odd('loose')); await new Promise((r) => setTimeout(r, 1000)); };
exports.leave = async (code) => process.exit(code);
exports.env = async (names) => names.map((n) => process.env[n] ?? null);
exports.log = async () => {
  console.log('hello %s', 'x', { a: 1 });
  console.warn('two\nlines');
  console.info('%s', 'win\r\ndows\n');
  console.debug('debug');
  console.error(new Odd('logged'));
  process.stdout.write('raw\n');
};
exports.cwd = async () => process.cwd();
exports.number = 7;
`

// TestNodeRunsOnce is TestPythonRunsOnce.
func TestNodeRunsOnce(t *testing.T) {
	eachRuntime(t, Node, func(t *testing.T, runtime string) {
		runsOnce(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": `
exports.handler = async (event) => {
  console.log('ran', event);
  return null;
};
`}})
	})
}

// TestNodeEndsConnection: a function that ends the connection of its runtime, as daemons do with all that they have open, is answered for,
// once.
func TestNodeEndsConnection(t *testing.T) {
	eachRuntime(t, Node, func(t *testing.T, runtime string) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": `
const fs = require('fs'), net = require('net');
let runs = 0;
exports.handler = async ({ how }) => {
  runs++;
  if (how === 'close') {
    for (let fd = 3; fd < 256; fd++) {
      try {
        if (fs.fstatSync(fd).isSocket()) fs.closeSync(fd);
      } catch {}
    }
  }
  if (how === 'end') for (const h of process._getActiveHandles()) if (h instanceof net.Socket && h.remoteAddress) h.destroy();
  return how + runs;
};
`}})
		for i, how := range []string{"end", "close", "keep", "close", "end", "end"} {
			f.ok(f.invoke(`{"how":"`+how+`"}`), fmt.Sprintf("%q", how+strconv.Itoa(i+1)))
		}
	})
}

func TestNode(t *testing.T) {
	eachRuntime(t, Node, func(t *testing.T, runtime string) {
		v24 := compareVersions(runtime, "nodejs24") >= 0
		run := func(t *testing.T, handler string) *function {
			return start(t, code{runtime: runtime, handler: handler, files: map[string]string{"app.js": nodeCode, "dir/sub/app.js": nodeCode}})
		}
		t.Run("shapes", func(t *testing.T) {
			f := run(t, "app.handler")
			f.ok(f.invoke(`{"a":"é☃","n":[1,2.5,null,true]}`), `{"got":{"a":"é☃","n":[1,2.5,null,true]}}`)
			f.ok(f.invoke(`""`), `{"got":""}`)
			f = run(t, "dir/sub/app.nested.deep.handler")
			f.ok(f.invoke(`1`), `"deep"`)
			f = run(t, "app.nothing")
			f.ok(f.invoke(`1`), `null`)
			f = run(t, "app.sync")
			f.ok(f.invoke(`1`), map[bool]string{true: `"ignored before 24"`, false: `null`}[v24])
			f = run(t, "app.cwd")
			f.ok(f.invoke(`1`), `"TASK"`)
		})
		t.Run("context", func(t *testing.T) {
			f := run(t, "app.members")
			f.ok(f.invoke(`{}`), `["8476a536-e9f4-11e8-9739-2dfe598c3fcd","f","$LATEST","512","/aws/lambda/f","2026/01/01/[$LATEST]0","arn:aws:lambda:eu-west-1:123456789012:function:f:live",null,null,null,true]`)
			f.ok(f.invoke(`{}`, "Lambda-Runtime-Client-Context", `{"custom":{"k":"é"}}`, "Lambda-Runtime-Cognito-Identity", `{"cognitoIdentityId":"i"}`, "Lambda-Runtime-Aws-Tenant-Id", "blue"),
				`["8476a536-e9f4-11e8-9739-2dfe598c3fcd","f","$LATEST","512","/aws/lambda/f","2026/01/01/[$LATEST]0","arn:aws:lambda:eu-west-1:123456789012:function:f:live","blue",{"custom":{"k":"é"}},{"cognitoIdentityId":"i"},true]`)
			f = run(t, "app.env")
			f.ok(f.invoke(`["_X_AMZN_TRACE_ID","AWS_EXECUTION_ENV"]`, "Lambda-Runtime-Trace-Id", "Root=1-2-3"), `["Root=1-2-3","AWS_Lambda_`+runtime+`"]`)
			f.ok(f.invoke(`["_X_AMZN_TRACE_ID","HOME"]`), `[null,null]`)
		})
		t.Run("errors", func(t *testing.T) {
			f := run(t, "app.fail")
			for range 2 {
				a := f.invoke(`{}`)
				if !strings.HasPrefix(a.body, `{"errorType":"Odd","errorMessage":"odd ☃","trace":["Odd: odd ☃","    at exports.fail [as handler] (`+f.dir+`/app.js:12:36)",`) || a.header.Get("Lambda-Runtime-Function-Error-Type") != "Odd" {
					t.Errorf("error: %s %v", a.body, a.header)
				}
			}
			f.logs("\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tERROR\tInvoke Error \t{\"errorType\":\"Odd\",\"errorMessage\":\"odd ☃\",\"name\":\"Odd\",\"detail\":7,\"stack\":[\"Odd: odd ☃\",")
			f = run(t, "app.reject")
			f.failed(f.invoke(`{}`), `{"errorType":"string","errorMessage":"just text","trace":[]}`)
			f = run(t, "app.never")
			a := f.invoke(`{}`)
			if a.field(t, "errorType") != "Runtime.NodeJsExit" {
				t.Errorf("a promise that never settles: %s", a.body)
			}
			f = run(t, "app.circle")
			if a = f.invoke(`{}`); a.field(t, "errorMessage") != "Unable to stringify response body" {
				t.Errorf("circle: %s", a.body)
			}
			f = run(t, "app.handler")
			if a = f.invoke(`{"cut`); a.field(t, "errorType") != "SyntaxError" {
				t.Errorf("bad event: %s", a.body)
			}
			f = run(t, "app.thrown")
			if a = f.invoke(`{}`); a.field(t, "errorMessage") != "thrown" {
				t.Errorf("thrown: %s", a.body)
			}
		})
		t.Run("ends", func(t *testing.T) {
			for handler, want := range map[string]struct {
				kind string
				code int
			}{"app.unhandled": {"Runtime.UnhandledPromiseRejection", 128}} {
				f := run(t, handler)
				if a := f.invoke(`{}`); a.field(t, "errorType") != want.kind || !strings.HasSuffix(a.path, "/error") {
					t.Errorf("%s: %s", handler, a.body)
				}
				if got := f.exit(); got != want.code {
					t.Errorf("%s: exit status %d", handler, got)
				}
			}
			f := run(t, "app.leave")
			f.send(`5`)
			if got := f.exit(); got != 5 || len(f.api.answers) > 0 {
				t.Errorf("process.exit(5): status %d, %d posts", got, len(f.api.answers))
			}
		})
		t.Run("callbacks", func(t *testing.T) {
			if v24 {
				f := run(t, "app.callback")
				if a := f.answer(); a.path != "init/error" || a.field(t, "errorType") != "Runtime.CallbackHandlerDeprecated" {
					t.Errorf("callback on 24: %s %s", a.path, a.body)
				}
				return
			}
			nodeCallbacks(t, run)
		})
		t.Run("init errors", func(t *testing.T) { nodeInitErrors(t, runtime) })
		t.Run("loose init", func(t *testing.T) { nodeLooseInit(t, runtime) })
		t.Run("modules", func(t *testing.T) { nodeModules(t, runtime) })
		t.Run("streaming", func(t *testing.T) { nodeStreaming(t, runtime) })
		t.Run("log", func(t *testing.T) {
			f := run(t, "app.log")
			f.ok(f.invoke(`{}`), `null`)
			f.logs("Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tINFO\thello x { a: 1 }\n", "\tWARN\ttwo\rlines\n", "\tINFO\twin\rdows\r\n", "\tDEBUG\tdebug\n", "\tERROR\tOdd: logged\r    at ", "\nraw\n")
			f = start(t, code{runtime: runtime, handler: "app.log", files: map[string]string{"app.js": nodeCode}, env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}})
			f.ok(f.invoke(`{}`), `null`)
			f.logs(`","level":"WARN","requestId":"8476a536-e9f4-11e8-9739-2dfe598c3fcd","message":"two\nlines"}`, `"message":{"errorType":"Odd","errorMessage":"logged","stackTrace":["Odd: logged",`)
			if strings.Contains(f.logged(), "hello") {
				t.Errorf("a message below the level was written: %s", f.logged())
			}
		})
		t.Run("wrapper", func(t *testing.T) { wrappers(t, runtime, "app.handler", map[string]string{"app.js": nodeCode}) })
		t.Run("load", func(t *testing.T) {
			load(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": "exports.handler = async (e) => e"}})
		})
	})
}

func nodeCallbacks(t *testing.T, run func(*testing.T, string) *function) {
	f := run(t, "app.callback")
	f.ok(f.invoke(`1`), `{"got":1}`)
	f.ok(f.invoke(`2`), `{"got":2}`)
	f = run(t, "app.callbackError")
	if a := f.invoke(`1`); a.field(t, "errorMessage") != "by callback" {
		t.Errorf("callback(error): %s", a.body)
	}
	f = run(t, "app.forgot")
	f.ok(f.invoke(`1`), `null`)
	f.ok(f.invoke(`1`), `null`)
	f = run(t, "app.waits") // the answer is held until the timer fired, but was given before
	f.ok(f.invoke(`1`), `0`)
	f.ok(f.invoke(`1`), `1`)
	f = run(t, "app.hurries")
	f.ok(f.invoke(`1`), `"now"`)
	f = run(t, "app.done")
	f.ok(f.invoke(`1`), `"done"`)
	f = run(t, "app.succeed")
	f.ok(f.invoke(`1`), `"first"`)
	f.ok(f.invoke(`1`), `"first"`)
	f = run(t, "app.uncaught")
	if a := f.invoke(`{}`); a.field(t, "errorType") != "Odd" || !strings.HasSuffix(a.path, "/error") {
		t.Errorf("uncaught: %s", a.body)
	}
	if got := f.exit(); got != 129 {
		t.Errorf("uncaught: exit status %d", got)
	}
	f.logs("Uncaught Exception \t{\"errorType\":\"Odd\"")
}

func nodeInitErrors(t *testing.T, runtime string) {
	files := map[string]string{
		"app.js": nodeCode, "broken.js": "exports.handler = (", "needs.js": "require('missing-module')", "raises.js": "throw new TypeError('at start')",
		"bad.mjs": "import 'missing-module'; export const handler = 1",
	}
	for _, c := range []struct{ handler, kind, message string }{
		{"app", "Runtime.MalformedHandlerName", "Bad handler"},
		{"../app.handler", "Runtime.MalformedHandlerName", "'../app.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names."},
		{"none.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'none'\nRequire stack:\n- "},
		{"needs.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'missing-module'\nRequire stack:\n- TASK/needs.js\n- "},
		{"broken.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"},
		{"app.other", "Runtime.HandlerNotFound", "app.other is undefined or not exported"},
		{"app.number", "Runtime.HandlerNotFound", "app.number is not a function"},
		{"raises.handler", "TypeError", "at start"},
		{"bad.handler", "Error", "Cannot find package 'missing-module' imported from TASK/bad.mjs"},
	} {
		f := start(t, code{runtime: runtime, handler: c.handler, files: files})
		a := f.answer()
		message := strings.ReplaceAll(a.field(t, "errorMessage").(string), f.dir, "TASK")
		if a.path != "init/error" || a.field(t, "errorType") != c.kind || !strings.HasPrefix(message, c.message) {
			t.Errorf("%s: %s %s", c.handler, a.path, a.body)
		}
		if got := f.exit(); got != 129 {
			t.Errorf("%s: exit status %d", c.handler, got)
		}
		f.logs("\tundefined\tERROR\tUncaught Exception \t{\"errorType\":\"" + c.kind + `"`)
	}
}

// What static code leaves behind and nobody handles is an error of Init, each time: no event is asked for after it.
func nodeLooseInit(t *testing.T, runtime string) {
	const handler = "; exports.handler = async () => 'ran'"
	for name, c := range map[string]struct {
		code, kind string
		exit       int
	}{
		"rejection":           {"Promise.reject(new TypeError('loose'))" + handler, "Runtime.UnhandledPromiseRejection", 128},
		"two rejections":      {"Promise.reject(new TypeError('loose')); Promise.reject(new Error('second'))" + handler, "Runtime.UnhandledPromiseRejection", 128},
		"rejected later":      {"(async () => { await 0; await 0; throw new TypeError('loose'); })()" + handler, "Runtime.UnhandledPromiseRejection", 128},
		"thrown in a tick":    {"process.nextTick(() => { throw new TypeError('loose'); })" + handler, "TypeError", 129},
		"thrown in immediate": {"setImmediate(() => { throw new TypeError('loose'); })" + handler, "TypeError", 129},
		"thrown in timer":     {"setTimeout(() => { throw new TypeError('loose'); }, 0)" + handler, "TypeError", 129},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{"app.js": c.code}})
				ended := make(chan bool)
				go func() {
					select {
					case f.api.events <- event{id: "1", body: "{}"}:
						ended <- true
					case <-f.done:
						ended <- false
					}
				}()
				a := f.answer()
				if a.path != "init/error" || a.field(t, "errorType") != c.kind || !strings.HasSuffix(a.field(t, "errorMessage").(string), "loose") {
					t.Errorf("%s %s", a.path, a.body)
				}
				if got := f.exit(); got != c.exit {
					t.Errorf("exit status %d, want %d", got, c.exit)
				}
				if <-ended {
					t.Error("it asked for an event all the same")
				}
				if len(f.api.answers) > 0 {
					t.Errorf("it posted %s too", (<-f.api.answers).path)
				}
			}
		})
	}
	t.Run("handled", func(t *testing.T) {
		f := start(t, code{runtime: runtime, handler: "app.handler", files: map[string]string{
			"app.js": "const p = Promise.reject(new Error()); queueMicrotask(() => p.catch(() => {})); setInterval(() => {}, 3600e3); globalThis.setTimeout = () => {}" + handler,
		}})
		f.ok(f.invoke(`{}`), `"ran"`)
	})
}

func nodeModules(t *testing.T, runtime string) {
	const esm = "import './other.mjs'; export const handler = async (e) => ({ esm: import.meta.url.startsWith('file:'), e });"
	for name, files := range map[string]map[string]string{
		"mjs":        {"app.mjs": esm, "other.mjs": ""},
		"type":       {"app.js": esm, "other.mjs": "", "package.json": `{"type":"module"}`},
		"type above": {"lib/app.js": esm, "lib/other.mjs": "", "package.json": `{"type":"module"}`},
		"cjs":        {"app.cjs": "exports.handler = async (e) => ({ esm: true, e })"},
		"own module": {"node_modules/app/index.js": "exports.handler = async (e) => ({ esm: true, e })"},
		"top await": {"app.mjs": "globalThis.ran = (globalThis.ran ?? 0) + 1; await new Promise((r) => setTimeout(r, 20)); " +
			"export const handler = async (e) => ({ esm: ran === 1, e })"},
		"for require": {"app.mjs": "export const handler = async (e) => ({ esm: true, e }); const other = {}; export { other as 'module.exports' }"},
		"layer by require": {
			"app.js": "const x = require('fromlayer'); exports.handler = async (e) => ({ esm: x, e })",
			"opt/nodejs/node_modules/fromlayer/index.js": "module.exports = true",
		},
		"layer by import": {
			"app.mjs": "import x from 'fromlayer'; const y = (await import('other')).default; export const handler = async (e) => ({ esm: x && y, e })",
			"opt/nodejs/node_modules/fromlayer/index.js": "module.exports = true",
			"opt/nodejs/node" + strings.TrimSuffix(strings.TrimPrefix(runtime, "nodejs"), ".x") + "/node_modules/other/index.mjs":    "export default true",
			"opt/nodejs/node" + strings.TrimSuffix(strings.TrimPrefix(runtime, "nodejs"), ".x") + "/node_modules/other/package.json": `{"exports":"./index.mjs"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			handler := "app.handler"
			if name == "type above" {
				handler = "lib/app.handler"
			}
			f := start(t, code{runtime: runtime, handler: handler, files: files})
			f.ok(f.invoke(`[1]`), `{"esm":true,"e":[1]}`)
		})
	}
}

const streamCode = `
const s = awslambda.streamifyResponse;
exports.plain = s(async (event, stream, context) => {
  stream.setContentType('text/plain');
  stream.write('one '); stream.write(Buffer.from('two ')); stream.write({ three: 3 });
  await new Promise((r) => setTimeout(r, 5));
  stream.end(' end ☃');
});
exports.http = s(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' }, cookies: ['c=d'] });
  stream.write('body'); stream.end();
});
exports.empty = s(async (event, stream) => stream.end());
exports.midway = s(async (event, stream) => { stream.write('some'); await new Promise((r) => setTimeout(r, 5)); throw new TypeError('midway'); });
exports.early = s(async () => { throw new TypeError('early'); });
exports.big = s(async (event, stream) => {
  const block = Buffer.alloc(1 << 20, 'x');
  for (let i = 0; i < event; i++) if (!stream.write(block)) await new Promise((r) => stream.once('drain', r));
  stream.end();
});
exports.piped = s(async (event, stream) => {
  await require('stream/promises').pipeline(require('stream').Readable.from(['a', 'b', 'c']), stream);
});
`

func nodeStreaming(t *testing.T, runtime string) {
	run := func(t *testing.T, handler string) *function {
		return start(t, code{runtime: runtime, handler: handler, files: map[string]string{"app.js": streamCode}})
	}
	for _, c := range []struct{ handler, kind, body string }{
		{"app.plain", "text/plain", `one two {"three":3} end ☃`},
		{"app.http", "application/vnd.awslambda.http-integration-response", `{"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00body"},
		{"app.empty", "application/octet-stream", ""},
		{"app.piped", "application/octet-stream", "abc"},
	} {
		f := run(t, c.handler)
		for range 2 {
			a := f.invoke(`{}`)
			f.ok(a, c.body)
			if a.header.Get("Content-Type") != c.kind || a.header.Get("Lambda-Runtime-Function-Response-Mode") != "streaming" || len(a.trailer.Get("Lambda-Runtime-Function-Error-Type")) > 0 {
				t.Errorf("%s: %v %v", c.handler, a.header, a.trailer)
			}
		}
	}
	for handler, body := range map[string]string{"app.midway": "some", "app.early": ""} {
		f := run(t, handler)
		for range 2 {
			a := f.invoke(`{}`)
			f.ok(a, body)
			doc, err := base64.StdEncoding.DecodeString(a.trailer.Get("Lambda-Runtime-Function-Error-Body"))
			want := `{"errorType":"TypeError","errorMessage":"` + strings.TrimPrefix(handler, "app.") + `","trace":["TypeError: `
			if err != nil || a.trailer.Get("Lambda-Runtime-Function-Error-Type") != "TypeError" || !strings.HasPrefix(string(doc), want) {
				t.Errorf("%s: trailers %v: %s %v", handler, a.trailer, doc, err)
			}
		}
	}
	f := run(t, "app.big")
	if a := f.invoke(`20`); len(a.body) != 20<<20 {
		t.Errorf("20 MB arrived as %d bytes", len(a.body))
	}
}
