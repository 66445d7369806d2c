//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The function and its server. Memory is what gives a whole core on AWS: with less, the function itself would be slower by
// design than the bare process that it is held against.
const (
	functionName = "hello"
	memoryMB     = 1769
	keyID        = "AKIAENFOLDBENCH00000"
	secret       = "a-key-that-lives-as-long-as-the-benchmark"
	event        = `{"name":"x"}`
	lambdaTrust  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

// enfold is a running server with the function in it.
type enfold struct {
	*server
	client
	isolation string
	data      string
}

// deploy starts a server and makes the function.
func deploy(ctx context.Context, p *programs, t *table) (*enfold, error) {
	e, err := startEnfold(ctx, p, "namespace")
	if errors.Is(err, errNotReady) {
		t.note("SKIPPED: the targets are for --isolation namespace, which does not work here:\n  %s", err)
		t.note("Measured with --isolation process instead, and not judged.")
		t.foreign = true
		e, err = startEnfold(ctx, p, "process")
	}
	if err != nil {
		return nil, err
	}
	if err := e.create(ctx, p.path("hello")); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	t.note("%s", e.line)
	t.note("One Go function (aws-lambda-go, provided.al2023) of %d MB: less gives less than a core here as on AWS, and would measure that.", memoryMB)
	return e, nil
}

// startEnfold starts a server on the data directory of that isolation.
func startEnfold(ctx context.Context, p *programs, isolation string) (*enfold, error) {
	return startOn(ctx, p, isolation, filepath.Join(p.dir, "data-"+isolation))
}

// startOn starts a server on a data directory, on a port that was free a moment ago.
func startOn(ctx context.Context, p *programs, isolation, data string, args ...string) (*enfold, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	e := &enfold{client: client{address: address}, isolation: isolation, data: data}
	args = append([]string{"serve", "--listen", address, "--data", e.data, "--isolation", isolation}, args...)
	e.server, err = serve(ctx, append(environment(), "ENFOLD_RUNTIME_MAP="+p.runtimeMap()), p.enfold, args...)
	return e, err
}

// environment is the key of the server and of load.
func environment() []string {
	return []string{
		"ENFOLD_ROOT_ACCESS_KEY_ID=" + keyID, "ENFOLD_ROOT_SECRET_ACCESS_KEY=" + secret,
		"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret,
	}
}

// create makes the function and waits until it can be invoked.
func (e *enfold) create(ctx context.Context, binary string) error {
	code, err := bundle(binary)
	if err != nil {
		return err
	}
	if err := e.createRole(ctx); err != nil {
		return err
	}
	return e.createFunction(ctx, map[string]any{
		"FunctionName": functionName, "Runtime": "provided.al2023", "Handler": "bootstrap", "Code": map[string]any{"ZipFile": code},
	})
}

// createRole makes the role of all functions.
func (e *enfold) createRole(ctx context.Context) error {
	_, err := e.iam(ctx, url.Values{
		"Action": {"CreateRole"}, "RoleName": {"bench"}, "AssumeRolePolicyDocument": {lambdaTrust},
	})
	return err
}

// createFunction makes a function, with what all of them have, and waits until it can be invoked.
func (e *enfold) createFunction(ctx context.Context, in map[string]any) error {
	if err := e.register(ctx, in); err != nil {
		return err
	}
	return e.settled(ctx, fmt.Sprint(in["FunctionName"]))
}

// register makes a function. It may not be ready to be invoked.
func (e *enfold) register(ctx context.Context, in map[string]any) error {
	in["Role"], in["Timeout"] = "arn:aws:iam::000000000000:role/bench", 30
	if in["MemorySize"] == nil {
		in["MemorySize"] = memoryMB
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if _, err := e.call(ctx, "POST", "/2015-03-31/functions", body); err != nil {
		return fmt.Errorf("create the function: %w", err)
	}
	return nil
}

// bundle is a deployment package of a bootstrap.
func bundle(binary string) ([]byte, error) {
	exe, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(exe); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// configure changes the description, which makes every sandbox of the function one of yesterday's.
func (e *enfold) configure(ctx context.Context, name, description string) error {
	body := fmt.Appendf(nil, `{"Description":%q}`, description)
	if _, err := e.call(ctx, "PUT", functionPath(name)+"/configuration", body); err != nil {
		return fmt.Errorf("update the configuration: %w", err)
	}
	return e.settled(ctx, name)
}

// settled waits until a function is as it was last told to be.
func (e *enfold) settled(ctx context.Context, name string) error {
	for {
		out, err := e.call(ctx, "GET", functionPath(name)+"/configuration", nil)
		if err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		var c struct{ State, StateReason, LastUpdateStatus, LastUpdateStatusReason string }
		if err := json.Unmarshal(out.body, &c); err != nil {
			return err
		}
		switch {
		case c.State == "Failed", c.LastUpdateStatus == "Failed":
			return fmt.Errorf("the function failed: %s %s", c.StateReason, c.LastUpdateStatusReason)
		case c.State == "Active" && c.LastUpdateStatus == "Successful":
			return nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// residentMiB is the server's VmRSS.
func (e *enfold) residentMiB() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, errors.New("the process's status has no VmRSS")
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
