package test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

func credentialsOf(key, secret string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(key, secret, "")
}

// transport is shared by all clients of the tests, so that a client for each call leaves no connection for each call.
var transport = &http.Transport{MaxIdleConnsPerHost: 64}

var httpClient = &http.Client{Transport: transport}

// lambda is the real Lambda client of the Go SDK; it does not retry, so that errors are seen.
func (s *server) lambda(t testing.TB) *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: &s.url, Region: region, Credentials: credentialsOf(accessKey, secretKey), RetryMaxAttempts: 1, HTTPClient: httpClient,
	})
}

func (s *server) logs(t testing.TB) *cloudwatchlogs.Client {
	return cloudwatchlogs.New(cloudwatchlogs.Options{
		BaseEndpoint: &s.url, Region: region, Credentials: credentialsOf(accessKey, secretKey), RetryMaxAttempts: 1, HTTPClient: httpClient,
	})
}

func (s *server) sts(t testing.TB, key, secret string) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: &s.url, Region: region, Credentials: credentialsOf(key, secret), RetryMaxAttempts: 1, HTTPClient: httpClient,
	})
}

// file is one of a deployment package.
type file struct {
	name string
	body []byte
	mode os.FileMode
}

// zipOf makes a deployment package.
func zipOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(0o644 | f.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(f.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bootstrap is the deployment package of a function that brings its own runtime.
func bootstrap(t testing.TB, binary []byte) []byte {
	return zipOf(t, file{"bootstrap", binary, 0o755})
}

// create makes a function and waits until it is active. Missing members are those of a function with its own runtime.
func (s *server) create(t testing.TB, in lambda.CreateFunctionInput) {
	t.Helper()
	if in.Runtime == "" {
		in.Runtime = types.RuntimeProvidedal2023
	}
	if in.Handler == nil {
		in.Handler = aws.String("bootstrap")
	}
	if in.Role == nil {
		in.Role = aws.String(role)
	}
	if in.Environment == nil {
		in.Environment = &types.Environment{Variables: map[string]string{}}
	}
	in.Environment.Variables["ENFOLD_TEST_MARK"] = s.mark
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := s.lambda(t)
	if _, err := c.CreateFunction(ctx, &in); err != nil {
		t.Fatalf("create %s: %v", *in.FunctionName, err)
	}
	w := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	if err := w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: in.FunctionName}, time.Minute); err != nil {
		t.Fatalf("wait for %s: %v", *in.FunctionName, err)
	}
	t.Cleanup(func() {
		if s.running() {
			_, _ = c.DeleteFunction(context.Background(), &lambda.DeleteFunctionInput{FunctionName: in.FunctionName})
		}
	})
}

// outcome is what an invocation came to.
type outcome struct {
	payload string
	failed  string // FunctionError
	version string
	log     string
	id      string // request id
}

// invoke calls a function and expects the call, not the function, to succeed.
func (s *server) invoke(t testing.TB, function, event string) outcome {
	t.Helper()
	o, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: &function, Payload: []byte(event)})
	if err != nil {
		t.Fatalf("invoke %s: %v", function, err)
	}
	return o
}

func (s *server) tryInvoke(t testing.TB, c *lambda.Client, in *lambda.InvokeInput) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	in.LogType = types.LogTypeTail
	out, err := c.Invoke(ctx, in)
	if errors.Is(err, context.DeadlineExceeded) {
		s.dump(t) // where does it hang?
	}
	if err != nil {
		return outcome{}, err
	}
	log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		t.Errorf("LogResult of %s: %v", *in.FunctionName, err)
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	return outcome{string(out.Payload), aws.ToString(out.FunctionError), aws.ToString(out.ExecutedVersion), string(log), id}, nil
}

// fault is how an error looks to who calls: code, status and message.
func fault(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	status := 0
	var resp interface{ HTTPStatusCode() int }
	if errors.As(err, &resp) {
		status = resp.HTTPStatusCode()
	}
	return fmt.Sprintf("%d %s: %s", status, api.ErrorCode(), api.ErrorMessage())
}

// member reads one member of a JSON object as text.
func member(t testing.TB, object, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%q is not a JSON object: %v", object, err)
	}
	if v, ok := m[name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// name is the test's, as a function may be called.
func name(t testing.TB) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, t.Name()), "-")
}
