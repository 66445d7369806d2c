package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// promise is what the server has acknowledged about one function.
type promise struct {
	created  bool
	n        int // of the last acknowledged update; a later one may have happened unacknowledged
	versions int // published
	deleted  bool
}

// kill -9 under a load of creates, updates, publishes, deletes and invokes: on restart every acknowledged change is there,
// and of the killed server's functions no process is.
func TestKilledUnderLoad(t *testing.T) {
	s := startServer(t)
	for round := range 3 {
		promises := s.load(t, round, time.Duration(700+400*round)*time.Millisecond)
		if left := s.leftoversOfKilled(); len(left) > 0 {
			t.Errorf("round %d: of a killed server is left: %q", round, left)
		}
		begun := time.Now()
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d functions acknowledged, ready again after %v", round, len(promises), time.Since(begun).Round(time.Millisecond))
		s.verify(t, promises)
	}
}

// load runs until the server is killed, and answers what was acknowledged.
func (s *server) load(t *testing.T, round int, d time.Duration) map[string]promise {
	t.Helper()
	code := &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}
	c := s.lambda(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	promises := map[string]promise{}
	for worker := range 6 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				fn := fmt.Sprintf("r%d-w%d-%d", round, worker, i)
				s.work(ctx, c, fn, code, func(p promise) {
					mu.Lock()
					defer mu.Unlock()
					promises[fn] = p
				})
			}
		})
	}
	time.Sleep(d)
	s.kill()
	cancel()
	wg.Wait()
	if len(promises) == 0 {
		t.Error("nothing was acknowledged before the kill")
	}
	return promises
}

// work is the life of one function; keep is told after every answer.
func (s *server) work(ctx context.Context, c *lambda.Client, fn string, code *types.FunctionCode, keep func(promise)) {
	var p promise
	_, err := c.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &fn, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Role: aws.String(role), Code: code,
		Environment: &types.Environment{Variables: map[string]string{"ENFOLD_TEST_MARK": s.mark}}, Description: aws.String("0"),
	})
	if err != nil {
		return
	}
	p.created = true
	keep(p)
	w := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 20*time.Millisecond
	})
	if w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &fn}, 10*time.Second) != nil {
		return
	}
	if _, err := c.Invoke(ctx, &lambda.InvokeInput{FunctionName: &fn, Payload: []byte(`{"do":"echo"}`)}); err != nil {
		return
	}
	u := lambda.NewFunctionUpdatedV2Waiter(c, func(o *lambda.FunctionUpdatedV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 20*time.Millisecond
	})
	for n := 1; n <= 3; n++ {
		if _, err := c.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: &fn, Description: aws.String(fmt.Sprint(n))}); err != nil {
			return
		}
		p.n = n
		keep(p)
		if u.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &fn}, 10*time.Second) != nil {
			return
		}
		if _, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: &fn}); err != nil {
			return
		}
		p.versions++
		keep(p)
	}
	if strings.HasSuffix(fn, "0") || strings.HasSuffix(fn, "5") {
		if _, err := c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &fn}); err != nil {
			// It may have been deleted, and may not.
			p.created = false
			keep(p)
			return
		}
		p.deleted = true
		keep(p)
	}
}

// verify holds the restarted server to what was acknowledged.
func (s *server) verify(t *testing.T, promises map[string]promise) {
	t.Helper()
	ctx, c := t.Context(), s.lambda(t)
	invoked := 0
	for fn, p := range promises {
		got, err := c.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &fn})
		switch {
		case p.deleted:
			if err == nil {
				t.Errorf("%s was deleted and is there", fn)
			}
			continue
		case !p.created:
			continue
		case err != nil:
			t.Errorf("%s was created: %v", fn, err)
			continue
		}
		if d := aws.ToString(got.Description); d != fmt.Sprint(p.n) && d != fmt.Sprint(p.n+1) {
			t.Errorf("%s: description %s, acknowledged %d", fn, d, p.n)
		}
		versions, err := c.ListVersionsByFunction(ctx, &lambda.ListVersionsByFunctionInput{FunctionName: &fn})
		if err != nil {
			t.Errorf("versions of %s: %v", fn, err)
		} else if n := len(versions.Versions) - 1; n != p.versions && n != p.versions+1 {
			t.Errorf("%s has %d versions, acknowledged %d", fn, n, p.versions)
		}
		if invoked < 5 {
			// One that was Pending or being updated goes on where it was.
			w := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 10 * time.Millisecond })
			if err := w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &fn}, 20*time.Second); err != nil {
				t.Errorf("%s does not become active after the restart: %v", fn, err)
				continue
			}
			s.waitUpdated(t, fn)
			if o := s.invoke(t, fn, `{"do":"echo"}`); o.failed != "" {
				t.Errorf("invoke %s: %+v", fn, o)
			}
			invoked++
		}
	}
}

// leftoversOfKilled are the processes of functions and the mounts, five seconds after the server was killed or should have
// ended them. Cgroups and folders a killed server may leave to the next one.
func (s *server) leftoversOfKilled() (left []string) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left = append(s.functionProcesses(), s.mounts()...)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// Logs of invocations that were answered a while ago are there after kill -9, and the next server reads on where the last
// one wrote.
func TestLogsAfterKill(t *testing.T) {
	s := startServer(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}})
	s.invoke(t, "f", `{"name":"before"}`)
	time.Sleep(2 * time.Second) // logs may lag the disk by a second
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.invoke(t, "f", `{"name":"after"}`)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, diag, err := s.enfold(t, "logs", "f")
		if err == nil && strings.Contains(out, "hello from the log, before\n") && strings.Contains(out, "hello from the log, after\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v %s\n%s", err, diag, out)
		}
	}
}

// Ctrl-C waits for what runs, refuses what comes, and leaves nothing. startServer looks for what is left.
func TestCtrlCDrains(t *testing.T) {
	s := startServer(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}, Timeout: aws.Int32(10)})
	s.invoke(t, "f", `{"do":"daemon"}`)
	done := make(chan error, 1)
	go func() {
		o, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`{"do":"sleep","n":2000}`)})
		if err == nil && o.payload != `"slept"` {
			err = fmt.Errorf("answered %s", o.payload)
		}
		done <- err
	}()
	time.Sleep(700 * time.Millisecond)
	begun := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the running invocation: %v", err)
	}
	if took := time.Since(begun); took < time.Second || took > 10*time.Second {
		t.Errorf("the server stopped after %v; the invocation had 1.3 s to go", took)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "endpoint")); err == nil {
		t.Error("the file that says where the server listens is still there")
	}
}

// SIGTERM is what service managers send.
func TestSIGTERM(t *testing.T) {
	s := startServer(t)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		if s.err != nil {
			t.Error(s.err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server did not stop within 10 s of SIGTERM")
	}
}

// Two servers do not share a directory, and one that is damaged or foreign is refused in plain words.
func TestStartRefuses(t *testing.T) {
	s := startServer(t)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a directory in use", []string{"--data", s.dir}, ""},
		{"an address in use", []string{"--listen", strings.TrimPrefix(s.url, "http://")}, "address already in use"},
		{"an address that others reach", []string{"--listen", "0.0.0.0:0"}, "--insecure-plaintext"},
		{"a bad account", []string{"--account", "12"}, "12 digits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, tt.args...)
			begun := time.Now()
			out, diag, err := s.enfold(t, args...)
			if err == nil || !strings.Contains(diag+out, tt.want) || time.Since(begun) > 10*time.Second {
				t.Errorf("%v after %v\n%s%s", err, time.Since(begun), out, diag)
			}
			if strings.Contains(diag+out, "goroutine ") {
				t.Errorf("it panics: %s", diag)
			}
		})
	}
	s.health(t)
}
