package test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestLogFlood: while functions of one account write without end, every line of another account's function is kept, on a disk
// with room and on one that the flood would fill.
func TestLogFlood(t *testing.T) {
	for _, tt := range []struct {
		name string
		dir  func(t *testing.T) string
		most int64 // bytes that logs.db may have in the end
	}{
		{"a disk with room", dataDir, 100 << 20},
		{"a small disk", smallDisk, 40 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tt.dir(t)
			s := startServerIn(t, dir)
			logFlood(t, s)
			s.healthTellsLoss(t)
			if got := sizeOf(t, filepath.Join(dir, "data", "logs.db")); got > tt.most {
				t.Errorf("logs.db has %d MiB after the flood", got>>20)
			}
		})
	}
}

// smallDisk is a directory with room for 120 MiB.
func smallDisk(t *testing.T) string {
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting a file system needs root")
	}
	dir := dataDir(t)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=120m,mode=700", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("skipped: this machine mounts no tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v: %s", err, out)
		}
	})
	inside := filepath.Join(dir, "inside") // a mount of the server's own would lie below
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	return inside
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// logFlood invokes a polite function of a new account while two sandboxes of another flood, and afterwards.
func logFlood(t *testing.T, s *server) {
	const rounds, lines = 40, 10
	code := &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}
	loud := "loud"
	s.create(t, lambda.CreateFunctionInput{FunctionName: &loud, Code: code, Timeout: aws.Int32(20), MemorySize: aws.Int32(1769)})
	polite := s.politeFunction(t, code)

	var floods sync.WaitGroup
	for range 2 {
		floods.Go(func() {
			o, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: &loud, Payload: []byte(`{"do":"flood-for","n":6000}`)})
			if err != nil || o.payload != `"flooded"` || !strings.Contains(o.log, "flood flood") || !strings.Contains(o.log, "REPORT RequestId: "+o.id) {
				t.Errorf("a flood ends with %v: %.200s, log %.500q", err, o.payload, o.log)
			}
		})
	}
	for i := range rounds {
		if i == rounds*3/4 {
			floods.Wait()
		}
		o, err := s.tryInvoke(t, polite.lambda, &lambda.InvokeInput{FunctionName: aws.String("polite"), Payload: []byte(`{"do":"say","n":` + strconv.Itoa(lines) + `}`)})
		if err != nil || o.payload != `"said"` {
			t.Fatalf("invocation %d of the polite function: %v, %s", i, err, o.payload)
		}
		time.Sleep(200 * time.Millisecond)
	}
	floods.Wait()
	count := func(c *cloudwatchlogs.Client, fn, pattern string) (n int, last string) {
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + fn), FilterPattern: &pattern}
		for pages := cloudwatchlogs.NewFilterLogEventsPaginator(c, in); pages.HasMorePages(); {
			out, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Events {
				n, last = n+1, *e.Message
			}
		}
		return n, last
	}
	until(t, "the polite function's last lines are there", func() bool { n, _ := count(polite.logs, "polite", "polite"); return n >= rounds*lines })
	if n, _ := count(polite.logs, "polite", "REPORT"); n != rounds {
		t.Errorf("%d REPORT lines of %d polite invocations", n, rounds)
	}
	until(t, "the flood's REPORT lines are there", func() bool { n, _ := count(s.logs(t), loud, "REPORT"); return n == 2 })
	told := regexp.MustCompile(`^\[enfold\] \d+ log events were dropped, of \d+ bytes: the function writes `)
	if n, last := count(s.logs(t), loud, "dropped"); n < 2 || n > 10 || !told.MatchString(last) {
		t.Errorf("the flooded log tells %d times what is lost, at last %q", n, last)
	}
}

// tenant is clients of an account.
type tenant struct {
	lambda *lambda.Client
	logs   *cloudwatchlogs.Client
}

// politeFunction makes an account with a function.
func (s *server) politeFunction(t *testing.T, code *types.FunctionCode) tenant {
	t.Helper()
	who := s.newAccount(t, "polite")
	keys := credentialsOf(who.key, who.secret)
	made, err := s.iam(keys).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: aws.String(lambdaTrust)})
	if err != nil {
		t.Fatal(err)
	}
	c := lambda.New(lambda.Options{BaseEndpoint: &s.url, Region: region, Credentials: keys, RetryMaxAttempts: 1, HTTPClient: httpClient})
	if _, err := c.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("polite"), Code: code, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Role: made.Role.Arn,
		Environment: &types.Environment{Variables: map[string]string{"ENFOLD_TEST_MARK": s.mark}}, Timeout: aws.Int32(20),
	}); err != nil {
		t.Fatal(err)
	}
	return tenant{c, cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &s.url, Region: region, Credentials: keys, HTTPClient: httpClient})}
}

// healthTellsLoss wants health and metrics to say that logs were lost.
func (s *server) healthTellsLoss(t *testing.T) {
	t.Helper()
	if h := s.health(t); h.Status != "ok" || !h.LogsLost {
		t.Errorf("after a flood health is %+v", h)
	}
	resp, err := httpClient.Get(s.url + "/_enfold/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !regexp.MustCompile(`(?m)^enfold_lambda_log_bytes_dropped_total\{reason="share"\} [1-9]`).Match(text) {
		t.Errorf("the metrics do not tell what a flood lost: %v", err)
	}
}
