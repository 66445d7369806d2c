package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// raw sends bytes and answers the status line of what comes back; empty if the server hangs up without a word.
func (s *server) raw(t testing.TB, send string) string {
	t.Helper()
	conn := s.dial(t)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		io.WriteString(conn, send) // the server may answer before it has read all
		conn.(*net.TCPConn).CloseWrite()
	}()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func (s *server) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// signed is a request that is signed by the real signer of the Go SDK.
func (s *server) signed(t testing.TB, method, path, service string, body []byte, header http.Header) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, req, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return req
}

func (s *server) roundTrip(t testing.TB, req *http.Request) (status int, header http.Header, body string) {
	t.Helper()
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// Strangers get health and, from the loopback, metrics, and nothing else.
func TestUnsigned(t *testing.T) {
	s := sharedServer(t)
	for _, tt := range []struct {
		method, path, body string
		header             http.Header
		status             int
		says               string
	}{
		{"GET", "/_enfold/health", "", nil, 200, `"status":"ok"`},
		{"GET", "/_enfold/metrics", "", nil, 200, "# HELP "},
		{"GET", "/2015-03-31/functions", "", nil, 403, "Missing Authentication Token"},
		{"POST", "/2015-03-31/functions/x/invocations", "{}", nil, 403, "Missing Authentication Token"},
		{"POST", "/", "{}", http.Header{"X-Amz-Target": {"Logs_20140328.DescribeLogGroups"}, "Content-Type": {"application/x-amz-json-1.1"}}, 0, "MissingAuthenticationToken"},
		{"POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 403, "MissingAuthenticationToken"},
		{"GET", "/_enfold/../2015-03-31/functions", "", nil, 403, ""},
		{"GET", "/_enfold/unknown", "", nil, 0, ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, s.url+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tt.header {
				req.Header[k] = v
			}
			status, header, body := s.roundTrip(t, req)
			if tt.status != 0 && status != tt.status || tt.status == 0 && (status < 400 || status >= 500) || !strings.Contains(body+header.Get("X-Amzn-Errortype"), tt.says) {
				t.Errorf("%d %s %s, want %d %s", status, header.Get("X-Amzn-Errortype"), body, tt.status, tt.says)
			}
			if strings.Contains(body, "functionName") || strings.Contains(body, "FunctionName") {
				t.Errorf("a stranger learns %s", body)
			}
		})
	}
}

// Bytes that are no request, or one that is too large, get an HTTP error, and the server goes on.
func TestHostileBytes(t *testing.T) {
	s := startServer(t)
	before := s.steady(t)
	for _, tt := range []struct{ name, send, want string }{
		{"noise", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", "HTTP/1.1 400"},
		{"a megabyte of headers", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("h", 1<<20) + "\r\n\r\n", "HTTP/1.1 431"},
		{"many headers", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-H: 1\r\n", 200_000) + "\r\n", "HTTP/1.1 431"},
		{"a long path", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 4"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 400"},
		{"length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 4"},
		{"a body that would be a terabyte", "POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n", "HTTP/1.1 4"},
		{"a chunk that would be", "POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "HTTP/1.1 4"},
		{"a signature of nonsense", "GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;;, Signature=zz\r\n\r\n", "HTTP/1.1 4"},
		{"a proxy request", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", "HTTP/1.1 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.raw(t, tt.send); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %s", got, tt.want)
			}
			s.health(t)
		})
	}
	s.settle(t, before)
}

// Deep and strange JSON is refused and not recursed into.
func TestHostileJSON(t *testing.T) {
	s := startServer(t)
	deep := strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000)
	logs := http.Header{"X-Amz-Target": {"Logs_20140328.DescribeLogGroups"}, "Content-Type": {"application/x-amz-json-1.1"}}
	for _, tt := range []struct {
		name, path, service string
		body                string
		header              http.Header
	}{
		{"deep, JSON RPC", "/", "logs", deep, logs},
		{"deep, REST", "/2015-03-31/functions", "lambda", deep, nil},
		{"an array for an object", "/2015-03-31/functions", "lambda", `[]`, nil},
		{"a number for a name", "/2015-03-31/functions", "lambda", `{"FunctionName":7}`, nil},
		{"a blob that is not base64", "/2015-03-31/functions", "lambda", `{"FunctionName":"f","Code":{"ZipFile":"***"}}`, nil},
		{"null bytes", "/", "logs", `{"logGroupNamePrefix":"a\u0000b"}`, logs},
		{"cut off", "/", "logs", `{"logGroupNamePrefix":"`, logs},
		{"gzip that is not", "/", "logs", "not gzip", http.Header{
			"X-Amz-Target": logs["X-Amz-Target"], "Content-Type": logs["Content-Type"], "Content-Encoding": {"gzip"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Now()
			status, _, body := s.roundTrip(t, s.signed(t, http.MethodPost, tt.path, tt.service, []byte(tt.body), tt.header))
			if status < 400 || status >= 500 {
				t.Errorf("%d %.300s", status, body)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	s.health(t)
}

// Clients that send a byte now and then are cut off; others do not notice them.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	before := s.steady(t)
	const clients = 200
	gone := make(chan time.Duration, clients)
	for range clients {
		conn := s.dial(t)
		go func() {
			defer conn.Close()
			begun := time.Now()
			io.WriteString(conn, "POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\n")
			for time.Since(begun) < 60*time.Second {
				conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
				if _, err := conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
					break
				}
				if _, err := io.WriteString(conn, "X"); err != nil {
					break
				}
			}
			gone <- time.Since(begun)
		}()
	}
	for range 20 {
		begun := time.Now()
		s.health(t)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("health took %v beside slow clients", took)
		}
	}
	for range clients {
		if d := <-gone; d > 45*time.Second {
			t.Errorf("a slow client was kept for %v", d)
			break
		}
	}
	s.settle(t, before)
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // net wraps nothing here
	return ok && e.Timeout()
}

// Ten thousand connections that say nothing take no sandbox's place and little memory.
func TestIdleConnections(t *testing.T) {
	const want = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < want+500 {
		t.Skipf("10,000 connections need 10,500 open files, the hard limit is %d: ulimit -Hn", limit.Max)
	}
	limit.Cur = min(limit.Max, 1<<20)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	s := startServer(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: aws.String("f"), Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.misbehave)}})
	s.invoke(t, "f", `{"do":"echo"}`)
	before, memory := s.steady(t), s.memory(t)
	var conns []net.Conn
	for i := range want {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
	}
	begun := time.Now()
	if o := s.invoke(t, "f", `{"do":"echo"}`); o.failed != "" {
		t.Errorf("beside idle connections: %+v", o)
	}
	s.health(t)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("invoke and health took %v beside idle connections", took)
	}
	if grew := s.memory(t) - memory; grew > 200<<20 {
		t.Errorf("10,000 idle connections take %d MB", grew>>20)
	}
	for _, c := range conns {
		c.Close()
	}
	s.settle(t, before)
}

// memory is the server's resident set in bytes.
func (s *server) memory(t testing.TB) int64 {
	t.Helper()
	var pages int64
	statm := readFile(t, fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if _, err := fmt.Sscan(string(statm), new(int64), &pages); err != nil {
		t.Fatal(err)
	}
	return pages * 4096
}
