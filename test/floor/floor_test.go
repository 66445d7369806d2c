package floor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
	"go.uber.org/goleak"
)

// bin is where the programs are built, once for all tests.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		panic(err)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir, "./relay", "./echo", "./load", "./cold", "./testdata/hello")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func program(name string) string { return filepath.Join(bin, name) }

// serve starts a program and returns the address that it prints.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(args[0]), args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", args[0], err, stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// report runs load or cold.
func report(t *testing.T, env []string, args ...string) Report {
	t.Helper()
	cmd := exec.Command(program(args[0]), args[1:]...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", args[0], err, stderr.String())
	}
	var r Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return r
}

// sane checks what holds for every report without errors.
func (r *Report) sane(t *testing.T, clients, requests int) {
	t.Helper()
	if r.Errors != 0 || r.Clients != clients || requests > 0 && r.Requests != requests || r.Requests == 0 {
		t.Errorf("%+v", *r)
	}
	if !(0 < r.Min && r.Min <= r.P50 && r.P50 <= r.P90 && r.P90 <= r.P99 && r.P99 <= r.Max && r.Mean <= r.Max && r.PerSecond > 0) {
		t.Errorf("latencies: %+v", *r)
	}
}

func TestRelay(t *testing.T) {
	addr := serve(t, "relay", "--function", program("hello"), "--max", "3")
	for _, tt := range []struct{ name, body, want string }{
		{"answer", `{"name":"you"}`, `{"message":"Hello, you!"}`},
		{"failure", `{}`, `the function failed: {"errorMessage":"no name","errorType":"errorString"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := http.Post("http://"+addr+"/", "application/json", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if string(body) != tt.want {
				t.Errorf("%s: %s", resp.Status, body)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
	r := report(t, nil, "load", "--address", addr, "--clients", "8", "--count", "400", "--warmup", "2")
	r.sane(t, 8, 400)
	r = report(t, nil, "load", "--address", addr, "--count", "3", "--warmup", "0", "--body", "{}")
	if r.Errors != 3 || r.Requests != 3 || !strings.Contains(r.FirstError, "no name") || r.PerSecond != 0 {
		t.Errorf("failures: %+v", r)
	}
}

func TestEcho(t *testing.T) {
	addr := serve(t, "echo")
	resp, err := http.Post("http://"+addr+"/", "text/plain", strings.NewReader("hi"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if string(body) != "hi" {
		t.Errorf("%q", body)
	}
	r := report(t, nil, "load", "--address", addr, "--clients", "2", "--duration", "200ms")
	r.sane(t, 2, 0)
	if r.Seconds < 0.2 || r.Seconds > 5 {
		t.Errorf("took %v s", r.Seconds)
	}
}

func TestCold(t *testing.T) {
	r := report(t, nil, "cold", "--function", program("hello"), "--rounds", "5", "--warmup", "1")
	r.sane(t, 1, 5)
}

// keys knows one access key.
type keys struct{}

func (keys) Lookup(_ context.Context, id, token string) (sigv4.Key, error) {
	if id != "AKIDEXAMPLE" || token != "token" {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: []byte("secret"), Principal: &aws.Principal{}}, nil
}

// TestSigned: every request of --mode lambda is an Invoke that Enfold takes.
func TestSigned(t *testing.T) {
	verifier := sigv4.New(keys{})
	var seen sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Store(r.Header.Get("X-Amz-Date"), true)
		id, err := verifier.Verify(r, body)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusForbidden)
		case r.URL.Path != "/2015-03-31/functions/my:live/invocations" || string(body) != `{"a":1}` || id.Region != "eu-west-1" || id.Service != "lambda":
			http.Error(w, r.URL.Path, http.StatusBadRequest)
		}
	}))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	env := []string{"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token"}
	args := []string{"load", "--mode", "lambda", "--address", addr, "--function", "my:live", "--region", "eu-west-1", "--body", `{"a":1}`, "--clients", "2", "--duration", "1500ms"}
	r := report(t, env, args...)
	r.sane(t, 2, 0)
	signatures := 0
	seen.Range(func(any, any) bool { signatures++; return true })
	if signatures < 2 || signatures > 4 {
		t.Errorf("%d signatures in 1.5 seconds", signatures)
	}
	env[1] = "AWS_SECRET_ACCESS_KEY=wrong"
	if r := report(t, env, append(args, "--count", "2", "--warmup", "0")...); r.Errors != 2 || !strings.Contains(r.FirstError, "status 403") {
		t.Errorf("a wrong secret: %+v", r)
	}
}

// TestLoadCountsErrors: what is not a success must not pass for a fast one.
func TestLoadCountsErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		errors int // of 10
		first  string
	}{
		{"chunked is fine", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "b")
		}, 0, ""},
		{"closed is fine", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, 0, ""},
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, 10, "status 429"},
		{"function error", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorType":"Oops"}`)
		}, 10, `function error Unhandled: {"errorType":"Oops"}`},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
		}, 10, "read response"},
		{"every other one", alternate(), 5, "status 500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			r := report(t, nil, "load", "--address", srv.Listener.Addr().String(), "--count", "10", "--warmup", "0")
			if r.Requests != 10 || r.Errors != tt.errors || !strings.Contains(r.FirstError, tt.first) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func alternate() http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	r := report(t, nil, "load", "--address", "127.0.0.1:1", "--count", "3", "--warmup", "1")
	if r.Errors != 3 || r.PerSecond != 0 {
		t.Errorf("%+v", r)
	}
}

// TestPool: there are as many processes as events at once, and none is left.
func TestPool(t *testing.T) {
	p := NewPool(program("hello"), 3)
	var done sync.WaitGroup
	for range 30 {
		done.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if got, err := p.Invoke(ctx, []byte(`{"name":"x"}`)); err != nil || string(got) != `{"message":"Hello, x!"}` {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	done.Wait()
	if len(p.all) < 1 || len(p.all) > 3 || len(p.free) != len(p.all) {
		t.Errorf("%d processes, %d free", len(p.all), len(p.free))
	}
	p.Stop()
	for _, f := range p.all {
		if err := f.cmd.Process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("process %d is still there: %v", f.cmd.Process.Pid, err)
		}
	}
}

func TestPoolWithoutFunction(t *testing.T) {
	p := NewPool(program("nothing"), 1)
	for range 2 {
		if _, err := p.Invoke(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i+1) * time.Microsecond
	}
	for _, tt := range []struct {
		name    string
		sorted  []time.Duration
		percent int
		want    float64
	}{
		{"one", hundred[:1], 99, 1},
		{"median of two", hundred[:2], 50, 1},
		{"median of three", hundred[:3], 50, 2},
		{"p90", hundred, 90, 90},
		{"p99", hundred, 99, 99},
		{"p99 of few", hundred[:10], 99, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Quantile(tt.sorted, tt.percent); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestRelayRefuses: what is not its kind of request ends the connection.
func TestRelayRefuses(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
	} {
		if n, err := readHead(bufio.NewReader(strings.NewReader(in))); !errors.Is(err, errRequest) {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
}
