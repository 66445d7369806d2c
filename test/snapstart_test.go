package test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// snapStart makes a function and publishes it with SnapStart, in the first of the runtimes that the host has. It answers its version 1's
// name, and skips the test where there is no SnapStart.
func (s *server) snapStart(t *testing.T, in lambda.CreateFunctionInput, runtimes ...types.Runtime) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := s.lambda(t)
	in.Role, in.SnapStart = aws.String(role), &types.SnapStart{ApplyOn: types.SnapStartApplyOnPublishedVersions}
	in.Environment = &types.Environment{Variables: map[string]string{"ENFOLD_TEST_MARK": s.mark}}
	var err error
	for _, in.Runtime = range runtimes {
		if _, err = c.CreateFunction(ctx, &in); err != nil {
			break
		}
		w := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
		if err = w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: in.FunctionName}, time.Minute); err == nil {
			break
		}
		if _, err := c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: in.FunctionName}); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		if why := fault(err); strings.Contains(why, "SnapStart is not available on this host") || !strings.Contains(why, "Exception") {
			t.Skip(why) // there is no gVisor, or none of the runtimes
		}
		t.Fatal(err)
	}
	if _, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: in.FunctionName}); err != nil {
		t.Fatal(err)
	}
	w := lambda.NewPublishedVersionActiveWaiter(c, func(o *lambda.PublishedVersionActiveWaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	version := &lambda.GetFunctionConfigurationInput{FunctionName: in.FunctionName, Qualifier: aws.String("1")}
	if err := w.Wait(ctx, version, 2*time.Minute); err != nil {
		got, _ := c.GetFunctionConfiguration(ctx, version)
		t.Fatalf("wait for version 1: %v: %s\n%s", err, aws.ToString(got.StateReason), s.output)
	}
	got, err := c.GetFunctionConfiguration(ctx, version)
	if err != nil || got.SnapStart.OptimizationStatus != types.SnapStartOptimizationStatusOn {
		t.Errorf("version 1 has SnapStart %+v (%v)", got.SnapStart, err)
	}
	return *in.FunctionName + ":1"
}

// restored is what the functions of these tests say of themselves.
type restored struct {
	Told, Made  string
	Now         float64
	Differ      []string
	Credentials struct{ AccessKeyID, SecretAccessKey, Token string }
}

var restoreLine = regexp.MustCompile(`(?m)^REPORT RequestId: .*\tRestore Duration: [\d.]+ ms\tBilled Restore Duration: \d+ ms\t$`)

// twins invokes a function twice at once, so that it is restored twice.
func (s *server) twins(t *testing.T, function string) (twins [2]restored) {
	t.Helper()
	var both sync.WaitGroup
	for i := range twins {
		both.Go(func() {
			o, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: &function, Payload: []byte(`{"sleep": 2}`)})
			switch {
			case err != nil:
				t.Error(err)
			case o.failed != "":
				t.Error(o.payload)
			case !restoreLine.MatchString(o.log):
				t.Errorf("it was not restored: %s", o.log)
			}
			if err := json.Unmarshal([]byte(o.payload), &twins[i]); err != nil {
				t.Errorf("%s: %v", o.payload, err)
			}
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	now := float64(time.Now().UnixNano()) / 1e9
	for i, g := range twins {
		if g.Told != "before,after" || g.Now > now || now-g.Now > 60 {
			t.Errorf("%+v; it is %f", g, now)
		}
		if g.Made != twins[0].Made {
			t.Errorf("made at %s and %s: they are of two Init phases", g.Made, twins[0].Made)
		}
		for k, v := range g.Differ {
			if i > 0 && v == twins[0].Differ[k] {
				t.Errorf("both have %s", v)
			}
		}
	}
	return twins
}

// A Python function with SnapStart: restored twice at once, after a crash, with an identity of its own, and gone with its version.
func TestSnapStartPython(t *testing.T) {
	s := startServer(t)
	f := s.snapStart(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("snap"), Handler: aws.String("snap.handler"), MemorySize: aws.Int32(512), Timeout: aws.Int32(30),
		Code: &types.FunctionCode{ZipFile: zipOf(t, source(t, "snap.py"))},
	}, types.RuntimePython312, types.RuntimePython313, types.RuntimePython314)
	twins := s.twins(t, f)
	if twins[0].Credentials.AccessKeyID == twins[1].Credentials.AccessKeyID {
		t.Error("both have the same access key")
	}
	who := sts.New(sts.Options{BaseEndpoint: &s.url, Region: region, HTTPClient: httpClient, Credentials: credentials.NewStaticCredentialsProvider(
		twins[1].Credentials.AccessKeyID, twins[1].Credentials.SecretAccessKey, twins[1].Credentials.Token)})
	id, err := who.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	if want := "arn:aws:sts::" + account + ":assumed-role/lambda-role/snap"; err != nil || *id.Arn != want {
		t.Errorf("it acts as %v (%v), want %s", id, err, want)
	}
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if again := s.twins(t, f); again[0].Made != twins[0].Made {
		t.Errorf("after a crash it is restored from another snapshot: made at %s, before at %s", again[0].Made, twins[0].Made)
	}
	if _, err := s.lambda(t).DeleteFunction(context.Background(), &lambda.DeleteFunctionInput{FunctionName: aws.String("snap")}); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "snapshots", "*")); err != nil || len(left) > 0 {
		t.Errorf("left of the snapshots: %q (%v)", left, err)
	}
}

// A hook that fails after the restore is the caller's error.
func TestSnapStartHookFails(t *testing.T) {
	s := startServer(t)
	f := s.snapStart(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("snap"), Handler: aws.String("snap.handler"), MemorySize: aws.Int32(512), Timeout: aws.Int32(30),
		Code: &types.FunctionCode{ZipFile: zipOf(t, source(t, "snap.py"), file{"fail-after-restore", nil, 0})},
	}, types.RuntimePython312, types.RuntimePython313, types.RuntimePython314)
	_, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: &f})
	if got := fault(err); !strings.HasPrefix(got, "400 SnapStartException: The afterRestore() runtime hook encountered an error.") {
		t.Errorf("got %s", got)
	}
}

// A Java function with a second of work in its Init phase.
func TestSnapStartJava(t *testing.T) {
	if l := languageOf(t, "java"); l.runtime == "" {
		t.Skip("no java")
	}
	dir := t.TempDir()
	if out, err := exec.Command("javac", "--release", "11", "-d", dir, "testdata/functions/snap-java/Snap.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	class, err := os.ReadFile(filepath.Join(dir, "Snap.class"))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t)
	f := s.snapStart(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("snap"), Handler: aws.String("Snap::handleRequest"), MemorySize: aws.Int32(512), Timeout: aws.Int32(30),
		Code: &types.FunctionCode{ZipFile: zipOf(t, file{"Snap.class", class, 0})},
	}, types.Runtime(languageOf(t, "java").runtime))
	s.twins(t, f)
}
