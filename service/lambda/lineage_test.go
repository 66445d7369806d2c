package lambda

import (
	"errors"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/lambda"
)

func TestFollow(t *testing.T) {
	f, g := &target{lineage: lineageOf("f")}, &target{lineage: lineageOf("g")}
	trace := "Root=1-5e1b4151-43a0913a12345678901234567;Sampled=0"
	for i := range maxLoops {
		for _, fn := range []*target{f, g} {
			next, err := follow(fn, trace)
			if err != nil {
				t.Fatalf("run %d: %v", i, err)
			}
			trace = next
		}
	}
	if !strings.HasPrefix(trace, "Root=1-5e1b4151-43a0913a12345678901234567;Sampled=0;Lineage=") || loops(trace) != maxLoops {
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
	f.Add("Root=1-5e1b4151-43a0913a12345678901234567;Sampled=0;Lineage=a87bd80c:0|68fd508a:5|c512fbe3:2")
	f.Add("Lineage=;Lineage=x")
	f.Add(strings.Repeat("Lineage=a87bd80c:16|", 60))
	f.Fuzz(func(t *testing.T, trace string) {
		fn := &target{lineage: lineageOf("f")}
		next, err := follow(fn, trace)
		if err != nil {
			return
		}
		if len(next) > 2*maxTrace || loops(next) < 1 {
			t.Errorf("%q makes %q", trace, next)
		}
	})
}
