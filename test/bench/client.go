//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// client calls the public API. Its connection is kept, as an SDK keeps it.
type client struct{ address string }

// answer is a response that was read to its end.
type answer struct {
	header http.Header
	body   []byte
	took   time.Duration // from the first byte sent to the last one read; signing is before
}

// call sends a signed request. What is not a success is an error.
func (c *client) call(ctx context.Context, method, path string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, "/invocations") {
		req.Header.Set("X-Amz-Log-Type", "Tail")
	}
	return c.send(ctx, "lambda", req, body)
}

// iam calls an operation of IAM, which speaks the query protocol.
func (c *client) iam(ctx context.Context, in url.Values) (*answer, error) {
	in.Set("Version", "2010-05-08")
	body := []byte(in.Encode())
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+c.address+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a, err := c.send(ctx, "iam", req, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.Get("Action"), err)
	}
	return a, nil
}

// send signs a request and reads the answer to its end.
func (c *client) send(ctx context.Context, service string, req *http.Request, body []byte) (*answer, error) {
	hash := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(hash[:]), service, "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	resp, text, took, err := connections.exchange(c.address, req)
	if err != nil {
		return nil, err
	}
	a := &answer{header: resp.Header, body: text, took: took}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %.500s", resp.Status, a.body)
	}
	return a, nil
}

// metrics is what the server counts, in Prometheus's text.
func (c *client) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/_enfold/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, text, _, err := connections.exchange(c.address, req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("metrics: %s", resp.Status)
	}
	return string(text), err
}

// metric is the value of one of them, empty if it is not counted yet. Name has its labels.
func (c *client) metric(ctx context.Context, name string) (string, error) {
	text, err := c.metrics(ctx)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", err
}

// functionPath is where a function is.
func functionPath(name string) string { return "/2015-03-31/functions/" + name }

// invoke answers with the end of the invocation's log too.
func (c *client) invoke(ctx context.Context, name string) (*answer, string, error) {
	return c.invokeWith(ctx, name, event)
}

// invokeWith is invoke of another event.
func (c *client) invokeWith(ctx context.Context, name, event string) (*answer, string, error) {
	a, err := c.call(ctx, "POST", functionPath(name)+"/invocations", []byte(event))
	if err != nil {
		return nil, "", err
	}
	if kind := a.header.Get("X-Amz-Function-Error"); kind != "" {
		return nil, "", fmt.Errorf("the function failed: %s", a.body)
	}
	log, err := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	return a, string(log), err
}
