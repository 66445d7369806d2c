package test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What functions do wrong, under both isolations, and what their caller gets: exactly AWS's words. After each, the same
// function serves the next call.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"namespace", "process"} {
		t.Run(isolation, func(t *testing.T) {
			asked := map[string]string{"namespace": "auto"}[isolation]
			s := startServer(t, "--isolation", cmp.Or(asked, isolation))
			if got := s.health(t).Isolation; got != isolation {
				t.Skipf("this host has no namespaces for us (isolation is %s): see enfold doctor", got)
			}
			misbehave(t, s, s.limits(isolation))
		})
	}
}

const noLimits = "needs limits of memory and processes: root with cgroups and --isolation namespace"

// limits says whether the server can limit what its functions take. Where it cannot, it must have said so at its start.
func (s *server) limits(isolation string) bool {
	return isolation == "namespace" && !strings.Contains(s.output.String(), "SANDBOXES HAVE NO LIMITS")
}

func misbehave(t *testing.T, s *server, limited bool) {
	code := &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}
	fn := aws.String("misbehave")
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: fn, Code: code, Timeout: aws.Int32(8), MemorySize: aws.Int32(256), EphemeralStorage: &types.EphemeralStorage{Size: aws.Int32(512)}, // a busy machine takes seconds to fill the memory at 14 % of a core
	})
	s.invoke(t, *fn, `{"do":"echo"}`)
	before := s.steady(t)

	const exited = `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited `
	for _, tt := range []struct {
		name, event string
		payload     string // exactly, ID standing for the request's; or a regular expression after ~
		failed      bool
		log         string // a line of it
		needLimits  bool
	}{
		{
			name: "returns 7 MB", event: `{"do":"huge","n":7340032}`, failed: true,
			payload: `{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`,
		},
		{name: "returns all that it may", event: `{"do":"huge","n":6291456}`, payload: `~^"x{1000}`},
		{name: "exits", event: `{"do":"exit","n":0}`, failed: true, payload: exited + `without providing a reason"}`, log: "Runtime.ExitError"},
		{
			name: "exits with a code", event: `{"do":"exit","n":3}`, failed: true, payload: exited + `with error: exit status 3"}`,
			log: "RequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n",
		},
		{name: "is killed", event: `{"do":"kill"}`, failed: true, payload: exited + `with error: signal: killed"}`},
		{
			name: "times out", event: `{"do":"sleep","n":60000}`, failed: true,
			payload: `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 8.00 seconds"}`, log: "ID Task timed out after 8.00 seconds\n\n",
		},
		{name: "floods its log", event: `{"do":"flood","n":64}`, payload: `"flooded"`, log: "flood flood"},
		{name: "writes a line of 3 MB", event: `{"do":"long-line","n":3145728}`, payload: `"said"`, log: "xxxxxxxx"},
		{name: "answers twice", event: `{"do":"twice"}`, payload: `"first"`},
		{name: "answers another invocation", event: `{"do":"other-id"}`, payload: `{"status":400}`},
		{name: "posts an error", event: `{"do":"error"}`, failed: true, payload: `{"errorType":"My.Error","errorMessage":"as told"}`},
		{name: "leaves a daemon", event: `{"do":"daemon"}`, payload: `~^\{"daemon":\d+\}$`},
		{name: "is deaf to SIGTERM", event: `{"do":"ignore-sigterm"}`, payload: `"deaf"`},
		{
			name: "deaf, times out", event: `{"do":"sleep","n":60000}`, failed: true,
			payload: `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 8.00 seconds"}`,
		},
		{name: "sends long headers to the Runtime API", event: `{"do":"garbage-headers","n":2097152}`, payload: `~^("survived")$|errorType`},
		{name: "opens files without end", event: `{"do":"open-files"}`, payload: `{"opened":false}`, needLimits: true},
		{
			name: "takes all memory", event: `{"do":"oom"}`, failed: true, needLimits: true,
			payload: `~^\{"errorType":"Runtime\.(OutOfMemory|ExitError)","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: killed"\}$`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.needLimits && !limited {
				t.Skip(noLimits)
			}
			begun := time.Now()
			o := s.invoke(t, *fn, tt.event)
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("the caller waited %v", took)
			}
			payload, log := strings.ReplaceAll(o.payload, o.id, "ID"), strings.ReplaceAll(o.log, o.id, "ID")
			if pattern, ok := strings.CutPrefix(tt.payload, "~"); ok && !regexp.MustCompile(pattern).MatchString(payload) || !ok && payload != tt.payload {
				t.Errorf("got  %.300s\nwant %s", payload, tt.payload)
			}
			if want := map[bool]string{true: "Unhandled"}[tt.failed]; o.failed != want && !strings.HasPrefix(tt.payload, "~^(") {
				t.Errorf("FunctionError is %q, want %q", o.failed, want)
			}
			if !strings.Contains(log, tt.log) || len(o.log) > 4096 {
				t.Errorf("the log (%d bytes) has no %q: %q", len(o.log), tt.log, log)
			}
			if again := s.invoke(t, *fn, `{"do":"echo"}`); again.failed != "" || member(t, again.payload, "pid") == "" {
				t.Errorf("the next invocation: %+v", again)
			}
		})
	}
	if got := s.health(t); got.Status != "ok" || got.Sandboxes.Busy != 0 {
		t.Errorf("afterwards: %+v", got)
	}
	t.Run("fills tmp", func(t *testing.T) { fillTmp(t, s, code, limited) })
	t.Run("forks without end", func(t *testing.T) { forkBomb(t, s, code, limited) })
	t.Run("init", func(t *testing.T) { misbehaveInInit(t, s) })
	t.Run("tmp outlives a timeout", func(t *testing.T) { tmpOutlivesTimeout(t, s, code) })
	t.Run("the log has it all", func(t *testing.T) { floodIsBounded(t, s, *fn) })
	if _, err := s.lambda(t).DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: fn}); err != nil {
		t.Error(err)
	}
	s.settle(t, before)
	if left := s.leftoversOfKilled(); len(left) > 0 {
		t.Errorf("processes of deleted functions: %q", left)
	}
}

// fillTmp writes more than /tmp holds: with memory enough it is told so, and can go on when it has made room. Where /tmp is
// in memory and there is less of that, the function may be killed for it, but the next invocation must work.
func fillTmp(t *testing.T, s *server, code *types.FunctionCode, limited bool) {
	if !limited {
		t.Skip(noLimits)
	}
	const full = `^\{"written":5\d\d,"error":"write /tmp/full: no space left on device"\}$`
	rich, poor := "fill-tmp-rich", "fill-tmp-poor"
	s.create(t, lambda.CreateFunctionInput{FunctionName: &rich, Code: code, Timeout: aws.Int32(20), MemorySize: aws.Int32(1769)})
	if o := s.invoke(t, rich, `{"do":"fill-tmp","n":700}`); !regexp.MustCompile(full).MatchString(o.payload) {
		t.Errorf("with much memory: %+v", o)
	}
	if o := s.invoke(t, rich, `{"do":"empty-tmp"}`); o.payload != `{"error":"<nil>"}` {
		t.Errorf("after making room: %+v", o)
	}
	s.create(t, lambda.CreateFunctionInput{FunctionName: &poor, Code: code, Timeout: aws.Int32(20)})
	if o := s.invoke(t, poor, `{"do":"fill-tmp","n":700}`); !regexp.MustCompile(full + `|"Runtime.OutOfMemory"`).MatchString(o.payload) {
		t.Errorf("with little memory: %+v", o)
	}
	for range 3 {
		if o := s.invoke(t, poor, `{"do":"echo"}`); o.failed != "" {
			t.Errorf("the next invocation: %+v", o)
		}
	}
}

// forkBomb runs into the limit of 1,024 processes, with a whole core so that it gets there.
func forkBomb(t *testing.T, s *server, code *types.FunctionCode, limited bool) {
	if !limited {
		t.Skip(noLimits)
	}
	fn := "fork-bomb"
	s.create(t, lambda.CreateFunctionInput{FunctionName: &fn, Code: code, Timeout: aws.Int32(20), MemorySize: aws.Int32(1769)})
	if o := s.invoke(t, fn, `{"do":"fork-bomb"}`); o.payload != `{"forked":false}` {
		t.Errorf("got %+v", o)
	}
	if o := s.invoke(t, fn, `{"do":"echo"}`); o.failed != "" {
		t.Errorf("the next invocation: %+v", o)
	}
}

// misbehaveInInit are functions that fail before they take an event.
func misbehaveInInit(t *testing.T, s *server) {
	for _, tt := range []struct{ handler, payload, log string }{
		{"init-exit", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 7"}`, "Status: error\tError Type: Runtime.ExitError"},
		{"init-error", `{"errorType":"My.Init","errorMessage":"no luck"}`, ""},
		{"never-next", `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 1.00 seconds"}`, "Status: timeout"},
	} {
		t.Run(tt.handler, func(t *testing.T) {
			s.create(t, lambda.CreateFunctionInput{
				FunctionName: &tt.handler, Handler: &tt.handler, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(1),
			})
			begun := time.Now()
			o := s.invoke(t, tt.handler, `{}`)
			if got := strings.ReplaceAll(o.payload, o.id, "ID"); got != tt.payload || o.failed != "Unhandled" || !strings.Contains(o.log, tt.log) {
				t.Errorf("got %s %s\nwant %s\nlog %q", o.failed, got, tt.payload, o.log)
			}
			// Init has ten seconds, then once more the function's timeout.
			if took := time.Since(begun); took > 14*time.Second {
				t.Errorf("the caller waited %v", took)
			}
		})
	}
}

// After a timeout the sandbox lives on with its /tmp, but the process is another.
func tmpOutlivesTimeout(t *testing.T, s *server, code *types.FunctionCode) {
	fn := "remember"
	s.create(t, lambda.CreateFunctionInput{FunctionName: &fn, Code: code, Timeout: aws.Int32(1)})
	if o := s.invoke(t, fn, `{"do":"remember"}`); !strings.Contains(o.payload, "Sandbox.Timedout") {
		t.Errorf("got %s", o.payload)
	}
	if o := s.invoke(t, fn, `{"do":"recall"}`); member(t, o.payload, "tmp") != "here" {
		t.Errorf("after a timeout: %s", o.payload)
	}
}

// floodIsBounded reads the flooded log: it is there, at most an event is 1 MB, and the server's memory has not grown with it.
func floodIsBounded(t *testing.T, s *server, fn string) {
	c := s.logs(t)
	group := aws.String("/aws/lambda/" + fn)
	events, longest := 0, 0
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String("?flood ?xxxxxxxx ?dropped")}
	for {
		out, err := c.FilterLogEvents(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			events, longest = events+1, max(longest, len(*e.Message))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if events < 1000 || longest > 1<<20 {
		t.Errorf("%d events, the longest of %d bytes", events, longest)
	}
	if memory := s.memory(t); memory > 400<<20 {
		t.Errorf("the server has %d MB after a flood", memory>>20)
	}
}

// Warm invocations, failures and timeouts, over and over: nothing piles up.
func TestNothingPilesUp(t *testing.T) {
	s := startServer(t)
	fn := aws.String("f")
	s.create(t, lambda.CreateFunctionInput{FunctionName: fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(1)})
	round := func() {
		for _, event := range []string{`{"do":"echo"}`, `{"do":"exit","n":1}`, `{"do":"daemon"}`, `{"do":"echo"}`, `{"do":"kill"}`} {
			s.invoke(t, *fn, event)
		}
	}
	round()
	s.invoke(t, *fn, `{"do":"sleep","n":5000}`)
	s.invoke(t, *fn, `{"do":"echo"}`)
	before := s.steady(t)
	for range 20 {
		round()
	}
	s.invoke(t, *fn, `{"do":"sleep","n":5000}`)
	s.invoke(t, *fn, `{"do":"echo"}`)
	s.settle(t, before)
	for i := range 5 {
		_, err := s.lambda(t).UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
			FunctionName: fn, Environment: &types.Environment{Variables: map[string]string{"ROUND": fmt.Sprint(i), "ENFOLD_TEST_MARK": s.mark}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.waitUpdated(t, *fn)
		s.invoke(t, *fn, `{"do":"echo"}`)
	}
	s.settle(t, before)
}

func (s *server) waitUpdated(t testing.TB, fn string) {
	t.Helper()
	w := lambda.NewFunctionUpdatedV2Waiter(s.lambda(t), func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 10 * time.Millisecond })
	if err := w.Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: &fn}, time.Minute); err != nil {
		t.Fatalf("wait for the update of %s: %v", fn, err)
	}
}
