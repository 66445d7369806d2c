package test

import (
	"fmt"
	"regexp"
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
