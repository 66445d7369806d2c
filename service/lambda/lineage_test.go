package lambda

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

func TestFollow(t *testing.T) {
	f, g := &target{lineage: lineageOf("f")}, &target{lineage: lineageOf("g")}
	trace := "Root=1-5e1b4151-43a0913a1234567890123456;Sampled=0"
	for i := range maxLoops {
		for _, fn := range []*target{f, g} {
			next, err := follow(fn, trace)
			if err != nil {
				t.Fatalf("run %d: %v", i, err)
			}
			trace = next
		}
	}
	if !strings.HasPrefix(trace, "Root=1-5e1b4151-43a0913a1234567890123456;Sampled=0;Lineage=") || loops(trace) != maxLoops {
		t.Errorf("after %d runs the header is %s", maxLoops, trace)
	}
	if _, err := follow(f, trace); !errors.Is(err, errLoop) {
		t.Errorf("the run after the last was not stopped: %v", err)
	}
	other := &target{lineage: lineageOf("h")}
	if _, err := follow(other, trace); err != nil {
		t.Errorf("another function was stopped: %v", err)
	}
	f.loops = true
	for range 2 * maxLoops {
		next, err := follow(f, trace)
		if err != nil {
			t.Fatalf("a function that may loop was stopped: %v", err)
		}
		trace = next
	}
}

// TestFollowGarbage: a function is told what is well-formed of what its caller says, and nothing of a chain without a Root.
func TestFollowGarbage(t *testing.T) {
	fn := &target{lineage: lineageOf("f")}
	const root, parent = "Root=1-5e1b4151-43a0913a1234567890123456", "Parent=53995c3f42cd8ad8"
	run := ";Lineage=" + fn.lineage + ":1"
	fresh := regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=` + fn.lineage + `:1$`)
	for trace, want := range map[string]string{
		root: root + run,
		root + ";" + parent + ";Sampled=1;Lineage=a87bd80c:0|68fd508a:5":                  root + ";" + parent + ";Sampled=1;Lineage=a87bd80c:0|68fd508a:5|" + fn.lineage + ":1",
		"Self=1-67891234-12456789abcdef012345678; Sampled=0; " + root + "; " + parent:     root + ";" + parent + ";Sampled=0" + run,
		"garbage;;" + root + ";x=y;Parent=no;Sampled=?;Lineage=<script>:1|a87bd80c:x|:|;": root + run,
		root + ";Parent=53995c3f42cd8ad\x10;Lineage=a87bd80\x18:1|a87bd80c:+1":            root + run,
		"":                    "",
		"garbage;;x":          "",
		parent + ";Sampled=1": "",
		root[:len(root)-1]:    "",
		root + "0":            "",
		"Root=2-" + root[7:]:  "",
		"Root=1-5e1b4151-43a0913a123456789012345g;" + parent:                "",
		"Lineage=" + fn.lineage + ":16":                                     "",
		"Lineage=" + fn.lineage + ":99;Root=1-5e1b4151-x":                   "",
		root + ";Lineage=" + strings.Repeat("a87bd80c:1|", 100) + "tooLong": "",
	} {
		got, err := follow(fn, trace)
		if err != nil || want != "" && got != want || want == "" && (!fresh.MatchString(got) || strings.HasPrefix(got, root)) {
			t.Errorf("%q goes on as %q, %v, want %q", trace, got, err, want)
		}
	}
}

// TestGarbageTrace: the caller is told which chain its invocation began instead.
func TestGarbageTrace(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	for _, kind := range []string{api.InvocationTypeRequestResponse, api.InvocationTypeEvent} {
		ctx := callIn(account, region)
		call(ctx).TraceID = "garbage;;x"
		if _, err := w.Invoke(ctx, &api.InvokeInput{FunctionName: new("f"), InvocationType: &kind}); err != nil {
			t.Fatal(err)
		}
		if said := call(ctx).TraceID; !strings.HasPrefix(said, "Root=1-") {
			t.Errorf("%s: the caller is told %q", kind, said)
		}
	}
	if ran := w.lastTrace(); !strings.HasPrefix(ran, "Root=1-") || strings.Contains(ran, "garbage") {
		t.Errorf("the function is told %q", ran)
	}
}

func TestInvokeStopsLoops(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	trace := ""
	invoke := func() error {
		ctx := callIn(account, region)
		call(ctx).TraceID = trace
		_, err := w.Invoke(ctx, &api.InvokeInput{FunctionName: new("f")})
		return err
	}
	for i := range maxLoops + 2 {
		err := invoke()
		if stopped := err != nil; stopped != (i >= maxLoops) {
			t.Fatalf("run %d: %v", i+1, err)
		}
		if err != nil && !strings.HasPrefix(coded(err), "400 RecursiveInvocationException") {
			t.Errorf("got %s", coded(err))
		}
		if err == nil {
			trace = w.lastTrace()
		}
	}
	if _, err := w.PutFunctionRecursionConfig(w.ctx, &api.PutFunctionRecursionConfigInput{FunctionName: new("f"), RecursiveLoop: new("Allow")}); err != nil {
		t.Fatal(err)
	}
	if err := invoke(); err != nil {
		t.Errorf("a function that may loop was stopped: %v", err)
	}
}

func FuzzFollow(f *testing.F) {
	f.Add("Root=1-5e1b4151-43a0913a1234567890123456;Sampled=0;Lineage=a87bd80c:0|68fd508a:5|c512fbe3:2")
	f.Add("Lineage=;Lineage=x")
	f.Add(strings.Repeat("Lineage=a87bd80c:16|", 60))
	f.Add("garbage;;Root=1-5e1b4151-43a0913a1234567890123456;Parent=x;Sampled=?")
	clean := regexp.MustCompile(`^Root=1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}(;Parent=[0-9a-fA-F]{16})?(;Sampled=[01])?;Lineage=([0-9a-fA-F]{8}:[0-9]+\|)*[0-9a-f]{8}:[0-9]+$`)
	f.Fuzz(func(t *testing.T, trace string) {
		fn := &target{lineage: lineageOf("f")}
		next, err := follow(fn, trace)
		if err != nil {
			return
		}
		if len(next) > 2*maxTrace || len(next) <= maxTrace && loops(next) < 1 || !clean.MatchString(next) {
			t.Errorf("%q makes %q", trace, next)
		}
	})
}
