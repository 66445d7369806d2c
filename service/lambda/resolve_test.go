package lambda

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

func TestResolve(t *testing.T) {
	w := newWorld(t)
	w.create("f", func(in *api.CreateFunctionInput) {
		in.MemorySize, in.Timeout, in.EphemeralStorage = new(256), new(9), &api.EphemeralStorage{Size: new(1024)}
		in.Environment = &api.Environment{Variables: map[string]string{"KEY": "value"}}
		in.LoggingConfig = &api.LoggingConfig{LogFormat: new("JSON"), ApplicationLogLevel: new("WARN")}
		in.Publish = new(true)
	})
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}))(t)
	for _, tt := range []struct{ name, qualifier, invoked, version string }{
		{"f", "", "f", "$LATEST"},
		{"f", "$LATEST", "f:$LATEST", "$LATEST"},
		{"f:1", "", "f:1", "1"},
		{"f", "live", "f:live", "1"},
		{fnArn + "f", "", "f", "$LATEST"},
		{fnArn + "f:live", "live", "f:live", "1"},
		{account + ":function:f", "1", "f:1", "1"},
	} {
		for range 2 { // cold, then warm
			got := must(w.resolve(w.ctx, &tt.name, &tt.qualifier))(t)
			if got.InvokedArn != fnArn+tt.invoked || got.Version != tt.version || got.FunctionArn != fnArn+"f" || got.Function.Version != tt.version {
				t.Errorf("%s %s: %+v", tt.name, tt.qualifier, got)
			}
		}
	}
	f := must(w.resolve(w.ctx, new("f"), nil))(t).Function
	if b, err := os.ReadFile(filepath.Join(f.Task, "index.py")); string(b) != "# f" {
		t.Errorf("task: %q %v", b, err)
	}
	if !maps.Equal(f.Env, map[string]string{"KEY": "value"}) {
		t.Errorf("environment %v", f.Env)
	}
	want := worker.Function{
		Key: f.Key, Task: f.Task, RuntimeVersionArn: f.RuntimeVersionArn, Env: f.Env,
		Owner: account + "/" + region + "/f/$LATEST", Account: account, Region: region, Name: "f", Version: "$LATEST",
		Runtime: "python3.12", Handler: "index.handler", MemoryMB: 256, Timeout: 9 * time.Second, TmpMB: 1024,
		RuntimeVersion: "python:3.12.v1", LogGroup: "/aws/lambda/f", LogFormat: "JSON", LogLevel: "WARN", SystemLog: "INFO",
	}
	if got, wantText := textOf(*f), textOf(want); got != wantText || f.Key == "" || !aRuntime.MatchString(f.RuntimeVersionArn) {
		t.Errorf("got  %s\nwant %s", got, wantText)
	}
}

func textOf(f worker.Function) string {
	var b strings.Builder
	for _, s := range []string{
		f.Key, f.Owner, f.Account, f.Region, f.Name, f.Version, f.Runtime, f.Handler, f.Task, f.RuntimeVersion, f.RuntimeVersionArn,
		f.LogGroup, f.LogFormat, f.LogLevel, f.SystemLog, f.Timeout.String(), strings.Join(f.Layers, ","),
	} {
		b.WriteString(s + "|")
	}
	b.WriteString(strings.Repeat("m", f.MemoryMB) + strings.Repeat("t", f.TmpMB))
	return b.String()
}

// Warm, a look-up is memory: it works when the store is gone, and costs no allocation.
func TestResolveWarmIsMemory(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	name := "f"
	must(w.resolve(w.ctx, &name, nil))(t)
	allocations := func() float64 { return testing.AllocsPerRun(100, func() { w.resolve(w.ctx, &name, nil) }) }
	n := allocations()
	for deadline := time.Now().Add(time.Minute); n > 0 && time.Now().Before(deadline); n = allocations() {
		time.Sleep(time.Millisecond) // the commit that made it Active is seen before it is over, and nothing is remembered until then
	}
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	known := w.cache.of(functionKey{store.Scope{Account: "123456789012", Region: "eu-west-1"}, name})
	w.eventually("who may use it is read ahead", func() bool { return known.access.Load() != nil }) // and has f forgotten if there is no store
	w.close()
	if _, err := w.resolve(w.ctx, &name, nil); err != nil {
		t.Error(err)
	}
}

// What a commit changes is seen by the next look-up, however many run beside it.
func TestResolveSeesCommits(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	ctx, cancel := context.WithCancel(w.ctx)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := w.resolve(w.ctx, new("f"), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	keys := map[string]bool{}
	for i := range 30 {
		must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f"), MemorySize: new(200 + i)}))(t)
		w.wait("f")
		got := must(w.resolve(w.ctx, new("f"), nil))(t)
		if got.Function.MemoryMB != 200+i {
			t.Fatalf("after %d updates a look-up still says %d MB", i+1, got.Function.MemoryMB)
		}
		keys[got.Function.Key] = true
	}
	cancel()
	readers.Wait()
	if len(keys) != 30 {
		t.Errorf("30 updates made %d keys", len(keys))
	}
	must(w.DeleteFunction(w.ctx, &api.DeleteFunctionInput{FunctionName: new("f")}))(t)
	if _, err := w.resolve(w.ctx, new("f"), nil); coded(err) != "404 ResourceNotFoundException: Function not found: "+fnArn+"f:$LATEST" {
		t.Errorf("after deleting: %v", err)
	}
}

func TestResolveUnsettled(t *testing.T) {
	t.Run("Pending is waited for", func(t *testing.T) {
		w := newWorld(t)
		release := w.host.hold()
		defer release()
		must(w.CreateFunction(w.ctx, w.simple("f")))(t)
		time.AfterFunc(50*time.Millisecond, release)
		if got := must(w.resolve(w.ctx, new("f"), nil))(t); got.Function == nil {
			t.Error("no function")
		}
	})
	t.Run("the caller may give up", func(t *testing.T) {
		w := newWorld(t)
		release := w.host.hold()
		defer release()
		must(w.CreateFunction(w.ctx, w.simple("f")))(t)
		ctx, cancel := context.WithTimeout(w.ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := w.resolve(ctx, new("f"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("Pending for too long is 409", func(t *testing.T) {
		w := newWorld(t)
		release := w.host.hold()
		defer release()
		must(w.CreateFunction(w.ctx, w.simple("f")))(t)
		begin := time.Now()
		_, err := w.resolve(w.ctx, new("f"), nil)
		if got := coded(err); got != "409 ResourceConflictException: The operation cannot be performed at this time. The function is currently in the following state: Pending" {
			t.Errorf("got %s", got)
		}
		if d := time.Since(begin); d < settleTime {
			t.Errorf("waited %v", d)
		}
	})
	t.Run("Failed says why", func(t *testing.T) {
		w := newWorld(t)
		w.host.lose(api.RuntimePython312, "No Python 3.12 was found. Install it.")
		must(w.CreateFunction(w.ctx, w.simple("f")))(t)
		_, err := w.resolve(w.ctx, new("f"), nil)
		if got := coded(err); got != "409 ResourceConflictException: The operation cannot be performed at this time. The function is currently in the following state: Failed. No Python 3.12 was found. Install it." {
			t.Errorf("got %s", got)
		}
		w.host.install(api.RuntimePython312)
		must(w.UpdateFunctionConfiguration(w.ctx, &api.UpdateFunctionConfigurationInput{FunctionName: new("f")}))(t)
		must(w.resolve(w.ctx, new("f"), nil))(t)
	})
	t.Run("an update serves what was before", func(t *testing.T) {
		w := newWorld(t)
		w.create("f")
		before := must(w.resolve(w.ctx, new("f"), nil))(t)
		release := w.host.hold()
		defer release()
		must(w.UpdateFunctionCode(w.ctx, &api.UpdateFunctionCodeInput{
			FunctionName: new("f"), ZipFile: archive(t, part{name: "index.py", body: "# new"}),
		}))(t)
		during := must(w.resolve(w.ctx, new("f"), nil))(t)
		if during.Function.Key != before.Function.Key || during.Function.Task != before.Function.Task {
			t.Errorf("serves %s during the update", during.Function.Task)
		}
		release()
		w.wait("f")
		for deadline := time.Now().Add(5 * time.Second); !w.pool.gone(before.Function.Key); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the old sandboxes were not retired")
			}
		}
		after := must(w.resolve(w.ctx, new("f"), nil))(t)
		if b, err := os.ReadFile(filepath.Join(after.Function.Task, "index.py")); string(b) != "# new" {
			t.Errorf("serves %q %v after the update", b, err)
		}
	})
}

func TestWeightedAlias(t *testing.T) {
	w := newWorld(t)
	w.create("f")
	w.publish("f", "one")
	w.publish("f", "two")
	must(w.CreateAlias(w.ctx, &api.CreateAliasInput{
		FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1"),
		RoutingConfig: &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.3}},
	}))(t)
	share := func() float64 {
		n := 0
		for range 10_000 {
			got := must(w.resolve(w.ctx, new("f:a"), nil))(t)
			if got.InvokedArn != fnArn+"f:a" || got.Function.Version != got.Version {
				t.Fatalf("%+v", got)
			}
			if got.Version == "2" {
				n++
			}
		}
		return float64(n) / 10_000
	}
	if got := share(); got < 0.26 || got > 0.34 { // 0.3 ± 9 standard deviations
		t.Errorf("version 2 got %v, want 0.3", got)
	}
	for weight, want := range map[float64]float64{0: 0, 1: 1} {
		must(w.UpdateAlias(w.ctx, &api.UpdateAliasInput{
			FunctionName: new("f"), Name: new("a"),
			RoutingConfig: &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": weight}},
		}))(t)
		if got := share(); got != want {
			t.Errorf("version 2 got %v, want %v", got, want)
		}
	}
}

func BenchmarkResolveWarm(b *testing.B) {
	w := newWorld(b)
	w.create("f")
	name := "f"
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.resolve(w.ctx, &name, nil); err != nil {
				b.Error(err)
			}
		}
	})
}
