package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sigv4"
)

// The credentials of every server of the tests.
const (
	accessKey = "AKIAENFOLDTESTROOT00"
	secretKey = "enfold-test-secret"
	account   = "000000000000"
	region    = "us-east-1"
	role      = "arn:aws:iam::000000000000:role/lambda-role"

	lambdaTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

// server is a running `enfold serve`.
type server struct {
	dir    string // of its data
	usual  bool   // it is not told of it, but started beside it
	args   []string
	url    string
	mark   string // in the environment of every function it runs, so that a process that is left over is found
	cmd    *exec.Cmd
	output *safeBuffer
	exited chan struct{}
	err    error // of the exit, once exited is closed
	// family is what ran below it when it was told to end.
	family []process
}

// safeBuffer keeps the last of what is written to it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 1<<20 {
		b.buf.Next(b.buf.Len() - 1<<19)
	}
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var readyLine = regexp.MustCompile(`ready at (https?://\S+)`)

// launch starts a server on a directory. Its address is a free port of the loopback.
func launch(dir string, args ...string) (*server, error) {
	s := newServer(dir, args...)
	return s, s.start()
}

func newServer(dir string, args ...string) *server {
	return &server{dir: dir, args: args, mark: filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir), output: &safeBuffer{}}
}

func (s *server) start() error {
	s.exited = make(chan struct{})
	args := append([]string{"serve", "--listen", "127.0.0.1:0"}, s.args...)
	if !s.usual {
		args = append(args, "--data", s.dir)
	}
	s.cmd = exec.Command(binaries.enfold, args...)
	s.cmd.Dir = filepath.Dir(s.dir)
	s.cmd.Env = append(hostEnv(), "ENFOLD_ROOT_ACCESS_KEY_ID="+accessKey, "ENFOLD_ROOT_SECRET_ACCESS_KEY="+secretKey,
		"ENFOLD_TEST_HOST_SECRET=must-not-leak")
	s.cmd.Stderr = s.output
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(stdout, s.output))
		for lines.Scan() {
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	select {
	case s.url = <-ready:
		return s.makeRole()
	case <-s.exited:
		return fmt.Errorf("the server ended: %w\n%s", s.err, s.output)
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		return fmt.Errorf("the server was not ready after 20 s\n%s", s.output)
	}
}

// makeRole makes the execution role of the tests' functions, unless an earlier start of the server has.
func (s *server) makeRole() error {
	body := url.Values{
		"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"lambda-role"}, "AssumeRolePolicyDocument": {lambdaTrust},
	}.Encode()
	req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sigv4.Sign(req, []byte(body), sigv4.Credentials{
		AccessKeyID: accessKey, Secret: []byte(secretKey), Region: region, Service: "iam",
	}, time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("make the execution role: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusConflict {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("make the execution role: %s: %s", resp.Status, b)
	}
	return nil
}

// hostEnv is the environment less what would steer AWS clients or Enfold.
func hostEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "ENFOLD_") {
			env = append(env, v)
		}
	}
	return env
}

// startServer is a server of this test alone. It is stopped at the end as Ctrl-C does, and must leave nothing.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return startServerIn(t, dataDir(t), args...)
}

// startServerIn is startServer with its data below a directory.
func startServerIn(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s, err := launch(filepath.Join(dir, "data"), args...)
	if err != nil {
		t.Fatal(err)
	}
	s.endWith(t)
	return s
}

// endWith stops the server with a test.
func (s *server) endWith(t *testing.T) {
	t.Cleanup(func() {
		if s.running() {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}
		for _, left := range s.leftovers() {
			t.Error("left over: ", left)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", s.output)
		}
	})
}

// dataDir is like t.TempDir, but nothing in it keeps the test from ending well: what is in the way is reported by leftovers.
func dataDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "enfold-e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *server) running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// stop is Ctrl-C. The server must end by itself, and well.
func (s *server) stop() error {
	s.family = s.processes()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(40 * time.Second):
		s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("the server did not stop within 40 s of Ctrl-C\n%s", s.output)
	}
	if s.err != nil {
		return fmt.Errorf("the server ended with %w\n%s", s.err, s.output)
	}
	return nil
}

// dump makes the server print what its goroutines do, which ends it.
func (s *server) dump(t testing.TB) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		s.kill()
	}
}

// kill is kill -9.
func (s *server) kill() {
	s.family = s.processes()
	s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.exited
}

var shared struct {
	sync.Mutex
	server *server
	dir    string
	other  rootUser // of an account in which nothing is done
}

// sharedServer is one server for all tests that leave it as they found it.
func sharedServer(t *testing.T) *server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		var err error
		if shared.dir, err = os.MkdirTemp("", "enfold-e2e"); err != nil {
			t.Fatal(err)
		}
		if shared.server, err = launch(filepath.Join(shared.dir, "data")); err != nil {
			t.Fatal(err)
		}
		shared.other = shared.server.newAccount(t, "other")
	}
	s := shared.server
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", s.output)
		}
		if !s.running() {
			t.Errorf("the shared server ended: %v", s.err)
		}
	})
	return s
}

func stopShared() error {
	s := shared.server
	if s == nil {
		return nil
	}
	defer os.RemoveAll(shared.dir)
	var err error
	if s.running() {
		err = errors.Join(s.separate(shared.other), s.stop())
	}
	for _, left := range s.leftovers() {
		err = errors.Join(err, errors.New("left over: "+left))
	}
	return err
}

// health is what GET /_enfold/health says.
type health struct {
	Status    string `json:"status"`
	Version   string `json:"version"`
	Isolation string `json:"isolation"`
	LogsLost  bool   `json:"logsLost"`
	Sandboxes struct {
		Busy  int `json:"busy"`
		Idle  int `json:"idle"`
		Ready int `json:"ready"`
	} `json:"sandboxes"`
}

func (s *server) health(t testing.TB) health {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/_enfold/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal("health: ", err)
	}
	defer resp.Body.Close()
	var h health
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("health: %s, %v", resp.Status, err)
	}
	return h
}

// awsEnv is the environment of an AWS client of the server.
func (s *server) awsEnv(home string) []string {
	return append(hostEnv(),
		"HOME="+home, "AWS_CONFIG_FILE="+filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(home, "none"),
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ENDPOINT_URL="+s.url, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
	)
}

// enfold runs a command of the binary against the server.
func (s *server) enfold(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binaries.enfold, args...)
	cmd.Env = append(hostEnv(), "ENFOLD_DATA="+s.dir)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	err = cmd.Run()
	return out.String(), diag.String(), err
}
