package test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestNodeFailures has Node functions fail where it is easily lost, each in cold starts of new functions: waiting processes and launched
// ones. A failure is what it is every time.
func TestNodeFailures(t *testing.T) {
	s, node := sharedServer(t), languageOf(t, "node")
	for _, c := range []struct {
		name, file, code string
		times            int
		payload          string // a regular expression
	}{
		{
			"rejects", "app.js", `Promise.reject(new Error("rejinit")); exports.h = async () => "RAN"`, 8,
			`^\{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: rejinit","trace":\[.*\]\}$`,
		},
		{
			"throws in a timer", "app.js", `setTimeout(() => { throw new RangeError("x") }, 0); exports.h = async () => 1`, 8,
			`^\{"errorType":"RangeError","errorMessage":"x","trace":\[.*\]\}$`,
		},
		{
			"waits for ever", "app.mjs", `await new Promise(() => {}); export const h = async () => 1`, 2,
			`^\{"errorType":"Runtime.ExitError","errorMessage":"RequestId: \S+ Error: Runtime exited with error: exit status 13"\}$`,
		},
		{
			"streams nothing", "app.js", `exports.h = awslambda.streamifyResponse(async () => { throw new TypeError("early") })`, 1,
			`^\{"errorType":"TypeError","errorMessage":"early","trace":\[.*\]\}$`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.times {
				name := fmt.Sprint(name(t), "-", i)
				s.create(t, lambda.CreateFunctionInput{
					FunctionName: &name, Runtime: types.Runtime(node.runtime), Handler: aws.String("app.h"), Timeout: aws.Int32(3), MemorySize: aws.Int32(512),
					Code: &types.FunctionCode{ZipFile: zipOf(t, file{c.file, []byte(c.code), 0})},
				})
				for range 2 {
					o := s.invoke(t, name, `{}`)
					if o.failed != "Unhandled" || !regexp.MustCompile(c.payload).MatchString(o.payload) {
						t.Errorf("%s %s\n%s", o.failed, o.payload, o.log)
					}
				}
			}
		})
	}
}

// TestApplicationLogLevel: what a function prints is filtered by its level, and what it leaves without end does not reach into the
// platform's records.
func TestApplicationLogLevel(t *testing.T) {
	s, python := sharedServer(t), languageOf(t, "python")
	name := name(t)
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.Runtime(python.runtime), Handler: aws.String("app.h"), MemorySize: aws.Int32(512),
		LoggingConfig: &types.LoggingConfig{LogFormat: types.LogFormatJson, ApplicationLogLevel: types.ApplicationLogLevelError},
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{"app.py", []byte(`
def h(event, context):
    for level in "DEBUG", "error":
        print('{"level":"%s","timestamp":"2024-01-01T00:00:00.000Z","message":"%s me"}' % (level, "drop" if level == "DEBUG" else "keep"))
    print("text", end="", flush=True)
`), 0})},
	})
	if log := s.invoke(t, name, `{}`).log; strings.Contains(log, "drop me") || !strings.Contains(log, `keep me"}`+"\ntext\n{\"time\":") {
		t.Errorf("log is\n%s", log)
	}
}

// TestNodeLogsMuch: all that a Node function prints is in the log before END, though it is more than a pipe holds, and in no later invocation.
func TestNodeLogsMuch(t *testing.T) {
	s, node := sharedServer(t), languageOf(t, "node")
	const lines = 1000
	code := `exports.h = async (e) => {
		for (let i = 0; i < e.n; i++) (i % 2 ? console.error : console.log)('line ' + i + ' ' + 'x'.repeat(1000));
		process.stdout.write('last\n');
	}`
	fn := aws.String(name(t))
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: fn, Runtime: types.Runtime(node.runtime), Handler: aws.String("app.h"), Timeout: aws.Int32(20), MemorySize: aws.Int32(512),
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{"app.js", []byte(code), 0})},
	})
	for range 2 { // cold and warm
		o := s.invoke(t, *fn, fmt.Sprintf(`{"n":%d}`, lines))
		if !regexp.MustCompile(`(?s)line 999 x+\nlast\nEND RequestId: ` + o.id + `\nREPORT`).MatchString(o.log) {
			t.Fatalf("the tail of the log:\n%s", o.log)
		}
		s.waitForLog(t, *fn, "REPORT RequestId: "+o.id)
		all, _, err := s.enfold(t, "logs", *fn)
		if err != nil {
			t.Fatal(err)
		}
		_, of, _ := strings.Cut(all, "START RequestId: "+o.id)
		of, rest, _ := strings.Cut(of, "END RequestId: "+o.id)
		if n := strings.Count(of, "\nline ") + strings.Count(of, "\tline "); n != lines || strings.Contains(rest, "line ") {
			t.Errorf("%d lines are between START and END, want %d; behind END:\n%.200s", n, lines, rest)
		}
	}
}

// TestForgottenErrors: what a Node.js function has begun, not waited for and fails ends its process, and neither the invocation that has been
// answered nor the next one, as on AWS.
func TestForgottenErrors(t *testing.T) {
	s, node := sharedServer(t), languageOf(t, "node")
	for kind, code := range map[string]string{
		"rejection":  `(async () => { throw new Error('forgotten'); })();`,
		"later":      `(async () => { await 0; await 0; await 0; throw new Error('forgotten'); })();`,
		"tick":       `process.nextTick(() => { throw new Error('forgotten'); });`,
		"immediate":  `setImmediate(() => { throw new Error('forgotten'); });`,
		"exit":       `setImmediate(() => process.exit(7));`,
		"big answer": `x = 'x'.repeat(4e6); (async () => { throw new Error('forgotten'); })();`,
	} {
		t.Run(kind, func(t *testing.T) {
			fn := name(t)
			s.create(t, lambda.CreateFunctionInput{
				FunctionName: &fn, Runtime: types.Runtime(node.runtime), Handler: aws.String("app.h"), MemorySize: aws.Int32(1769),
				Code: &types.FunctionCode{ZipFile: zipOf(t, file{"app.js", []byte(`exports.h = async (i) => { let x = i; if (i % 2) { ` + code + ` } return x; };`), 0})},
			})
			for i := range 12 {
				if o := s.invoke(t, fn, strconv.Itoa(i)); o.failed != "" {
					t.Errorf("call %d, of which every second one forgets an error: %s %.200s", i, o.failed, o.payload)
				}
			}
		})
	}
}
