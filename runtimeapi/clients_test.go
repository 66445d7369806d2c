package runtimeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"
)

// childEnv makes the test binary a Lambda function.
const childEnv = "RUNTIMEAPI_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		lambda.Start(function)
		return
	}
	goleak.VerifyTestMain(m)
}

// function is the Go function: it does what the event says.
func function(ctx context.Context, event struct{ Do, Text string }) (any, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	switch event.Do {
	case "fail":
		return nil, errors.New(event.Text)
	case "panic":
		panic(event.Text)
	case "stream":
		return io.MultiReader(strings.NewReader(event.Text), strings.NewReader(event.Text)), nil
	case "break":
		return io.MultiReader(strings.NewReader(event.Text), broken{}), nil
	case "context":
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "deadline": deadline.UnixMilli(),
			"custom": lc.ClientContext.Custom, "identity": lc.Identity.CognitoIdentityID, "tenant": lc.TenantID,
			"trace": ctx.Value("x-amzn-trace-id"),
		}, nil
	}
	return event.Text, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broke") }

// child starts a runtime as a process of its own, with nothing but the endpoint in its environment.
func child(t *testing.T, s *Session, addr string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + addr, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.WaitDelay = 10 * time.Millisecond // a shell's own child ends with the session
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", args[0], out.Bytes())
		}
	})
	wait(t, s.WaitReady)
}

func startGo(t *testing.T) *Session {
	s, addr := serve(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child(t, s, addr, []string{childEnv + "=1"}, exe)
	return s
}

func TestGo(t *testing.T) {
	s := startGo(t)
	for _, tt := range []struct {
		name, event string
		stream      bool
		want        Answer
		streamed    string
	}{
		{name: "text", event: `{"text":"hi"}`, want: Answer{Payload: []byte(`"hi"`), ContentType: typeJSON, Bytes: 4}},
		{name: "error", event: `{"do":"fail","text":"no"}`, want: Answer{Failed: true, Payload: []byte(`{"errorMessage":"no","errorType":"errorString"}`), ContentType: typeJSON, ErrorType: "Runtime.Unknown", Bytes: 47}},
		{name: "stream", event: `{"do":"stream","text":"ab"}`, stream: true, want: Answer{Streamed: true, ContentType: typeBinary, Bytes: 4}, streamed: "abab"},
		{name: "stream collected", event: `{"do":"stream","text":"ab"}`, want: Answer{Payload: []byte("abab"), ContentType: typeBinary, Bytes: 4}},
		{name: "stream that breaks", event: `{"do":"break","text":"ab"}`, stream: true, want: Answer{
			Streamed: true, ContentType: typeBinary, Bytes: 2,
			StreamErrorType: "errorString", StreamErrorBody: []byte(`{"errorMessage":"broke","errorType":"errorString"}`),
		}, streamed: "ab"},
		{name: "large", event: `{"text":"` + long('x', 5<<20) + `"}`, want: Answer{Payload: []byte(`"` + long('x', 5<<20) + `"`), ContentType: typeJSON, Bytes: 5<<20 + 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv := &Invocation{RequestID: strings.ReplaceAll(tt.name, " ", "-"), Payload: []byte(tt.event), Deadline: time.Now().Add(testTimeout)}
			var stream bytes.Buffer
			if tt.stream {
				inv.Stream = &stream
			}
			o := <-run(t, s, inv)
			if o.err != nil {
				t.Fatal(o.err)
			}
			o.answer.checkEqual(t, &tt.want)
			if stream.String() != tt.streamed {
				t.Errorf("streamed %q", stream.String())
			}
			wait(t, s.WaitIdle)
		})
	}
}

func TestGoContext(t *testing.T) {
	s := startGo(t)
	deadline := time.Now().Add(testTimeout).Truncate(time.Millisecond)
	o := <-run(t, s, &Invocation{
		RequestID: testID, Payload: []byte(`{"do":"context"}`), Deadline: deadline, FunctionArn: testArn, TraceID: testTrace,
		ClientContext: `{"custom":{"k":"v"}}`, CognitoIdentity: `{"cognitoIdentityId":"me","cognitoIdentityPoolId":"p"}`, TenantID: "blue",
	})
	if o.err != nil {
		t.Fatal(o.err)
	}
	var got struct {
		ID, Arn, Identity, Tenant, Trace string
		Deadline                         int64
		Custom                           map[string]string
	}
	if err := json.Unmarshal(o.answer.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != testID || got.Arn != testArn || got.Identity != "me" || got.Tenant != "blue" || got.Trace != testTrace ||
		got.Deadline != deadline.UnixMilli() || got.Custom["k"] != "v" {
		t.Errorf("%+v", got)
	}
}

// TestGoPanics: the runtime answers with the stack and exits; a fresh process works in the same session.
func TestGoPanics(t *testing.T) {
	s := startGo(t)
	o := <-run(t, s, &Invocation{RequestID: testID, Payload: []byte(`{"do":"panic","text":"oh"}`), Deadline: time.Now().Add(testTimeout)})
	if o.err != nil || !o.answer.Failed || !strings.Contains(string(o.answer.Payload), `"errorMessage":"oh"`) {
		t.Fatal(o)
	}
	s.Begin()
	exe, _ := os.Executable()
	child(t, s, s.l.Addr().String(), []string{childEnv + "=1"}, exe)
	o = <-run(t, s, &Invocation{RequestID: "2", Payload: []byte(`{"text":"hi"}`), Deadline: time.Now().Add(testTimeout)})
	if o.err != nil || string(o.answer.Payload) != `"hi"` {
		t.Error(o)
	}
}

const python = `
import http.client, os
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
base = "/2018-06-01/runtime/invocation/"
c = http.client.HTTPConnection(api)
while True:
    c.request("GET", base + "next")
    r = c.getresponse()
    id, event = r.headers["Lambda-Runtime-Aws-Request-Id"], r.read()
    c.request("POST", base + id + "/response", event)
    r = c.getresponse()
    assert r.status == 202, r.status
    r.read()
`

const pythonURLLib = `
import os, urllib.request as u
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with u.urlopen(base + "next") as r:
        id, event = r.headers["Lambda-Runtime-Aws-Request-Id"], r.read()
    with u.urlopen(u.Request(base + id + "/response", event)) as r:
        assert r.status == 202, r.status
`

const pythonPipelined = `
import os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
s = socket.create_connection((host, int(port)))
f = s.makefile("rb")
base = b"/2018-06-01/runtime/invocation/"
NEXT = b"GET " + base + b"next HTTP/1.1\r\nHost: a\r\n\r\n"
def reply():
    head = {}
    status = f.readline().split()[1]
    while (line := f.readline()) != b"\r\n":
        k, v = line.split(b":", 1)
        head[k.lower()] = v.strip()
    return status, head, f.read(int(head[b"content-length"]))
s.sendall(NEXT)
while True:
    _, head, event = reply()
    id = head[b"lambda-runtime-aws-request-id"]
    s.sendall(b"POST " + base + id + b"/response HTTP/1.1\r\nHost: a\r\nContent-Length: " + str(len(event)).encode() + b"\r\n\r\n" + event + NEXT)
    status, _, _ = reply()
    assert status == b"202", status
`

const node = `
const http = require("http"), agent = new http.Agent({keepAlive: true, maxSockets: 1});
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":"), base = "/2018-06-01/runtime/invocation/";
const ask = (method, path, body) => new Promise((resolve, reject) => {
  const q = http.request({host, port, agent, method, path: base + path}, (r) => {
    const parts = [];
    r.on("data", (d) => parts.push(d)).on("end", () => resolve([r, Buffer.concat(parts)])).on("error", reject);
  }).on("error", reject);
  q.end(body);
});
(async () => {
  for (;;) {
    const [r, event] = await ask("GET", "next");
    const [a] = await ask("POST", r.headers["lambda-runtime-aws-request-id"] + "/response", event);
    if (a.statusCode !== 202) throw new Error(a.statusCode);
  }
})();
`

const nodeStreaming = `
const http = require("http");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":"), base = "/2018-06-01/runtime/invocation/";
const next = () => http.get({host, port, path: base + "next"}, (r) => {
  const parts = [];
  r.on("data", (d) => parts.push(d)).on("end", () => {
    const q = http.request({host, port, method: "POST", path: base + r.headers["lambda-runtime-aws-request-id"] + "/response", headers: {
      "Lambda-Runtime-Function-Response-Mode": "streaming", "Transfer-Encoding": "chunked",
      "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"}}, (a) => { a.resume(); a.on("end", next); });
    for (const p of parts) q.write(p);
    q.addTrailers({});
    q.end();
  });
});
next();
`

const curl = `
while true; do
  event=$(curl -sS -D head "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  id=$(tr -d '\r' <head | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
  printf %s "$event" | curl -sS -o reply --data-binary @- "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" || exit 1
done
`

const java = `
import java.io.*; import java.net.*;
class Echo {
  public static void main(String[] a) throws Exception {
    String base = "http://" + System.getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/";
    for (;;) {
      HttpURLConnection c = (HttpURLConnection) new URL(base + "next").openConnection();
      String id = c.getHeaderField("Lambda-Runtime-Aws-Request-Id");
      byte[] event = c.getInputStream().readAllBytes();
      c = (HttpURLConnection) new URL(base + id + "/response").openConnection();
      c.setRequestMethod("POST");
      c.setDoOutput(true);
      c.setFixedLengthStreamingMode(event.length);
      try (OutputStream o = c.getOutputStream()) { o.write(event); }
      if (c.getResponseCode() != 202) throw new IOException("" + c.getResponseCode());
      c.getInputStream().readAllBytes();
    }
  }
}
`

// TestOtherClients: runtimes in other languages, by the HTTP clients that people use there, echo events of all sizes.
func TestOtherClients(t *testing.T) {
	for _, tt := range []struct{ name, program, flag, text string }{
		{"python http.client", "python3", "-c", python},
		{"python urllib", "python3", "-c", pythonURLLib},
		{"python pipelined", "python3", "-c", pythonPipelined},
		{"node", "node", "-e", node},
		{"node streaming", "node", "-e", nodeStreaming},
		{"curl", "curl", "", curl},
		{"java", "java", "", java},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program, err := exec.LookPath(tt.program)
			if err != nil {
				t.Skipf("%s is not installed: %v", tt.program, err)
			}
			s, addr := serve(t)
			args := []string{program, tt.flag, tt.text}
			switch tt.name {
			case "curl":
				args = []string{"/bin/sh", "-c", "cd " + t.TempDir() + "\n" + tt.text}
			case "java":
				file := filepath.Join(t.TempDir(), "Echo.java")
				if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
				args = []string{program, "-Xshare:auto", "-XX:TieredStopAtLevel=1", file}
			}
			child(t, s, addr, nil, args...)
			for i, size := range []int{2, 2, 1 << 10, 100 << 10, 5 << 20, 2} {
				event := strings.Repeat("x", size)
				o := <-run(t, s, &Invocation{RequestID: testID, Payload: []byte(event), Deadline: time.Now().Add(testTimeout)})
				if o.err != nil || string(o.answer.Payload) != event {
					t.Fatalf("event %d of %d bytes: %v", i, size, o.err)
				}
			}
			wait(t, s.WaitIdle)
		})
	}
}

// TestStandardClient: Go's own client waits for 100 Continue and sees errors of bodies that it has not sent.
func TestStandardClient(t *testing.T) {
	s, p, ch := running(t, &Invocation{})
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: testTimeout, DisableCompression: true}}
	defer client.CloseIdleConnections()
	for _, tt := range []struct {
		name, path string
		size       int
		want       int
	}{
		{"wrong id", pathResponse("other"), 1 << 20, 400},
		{"right id", pathResponse(testID), 1 << 20, 202},
	} {
		req, _ := http.NewRequest("POST", "http://"+p.nc.RemoteAddr().String()+tt.path, bytes.NewReader(make([]byte, tt.size)))
		req.Header.Set("Expect", "100-continue")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %s", tt.name, resp.Status)
		}
	}
	if o := <-ch; o.err != nil || len(o.answer.Payload) != 1<<20 {
		t.Error(o.err)
	}
	p.next()
	wait(t, s.WaitIdle)
}
