package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sigv4"
)

// request is a signed request of the server's root user, for what is called too often for a client of its own.
type request struct {
	service, path string // path is "/" if empty
	target        string // X-Amz-Target of the JSON protocol
	header        string // "Name: value"; may be empty
	body          any    // JSON
	form          map[string]string
}

// send sends a request and answers the body of a success.
func (s *server) send(ctx context.Context, r request) ([]byte, error) {
	header := http.Header{}
	var body []byte
	switch {
	case r.form != nil:
		form := url.Values{}
		for name, value := range r.form {
			form.Set(name, value)
		}
		body = []byte(form.Encode())
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	default:
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
		header.Set("Content-Type", "application/x-amz-json-1.0")
		if r.target != "" {
			header.Set("X-Amz-Target", r.target)
		}
	}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		header.Set(name, value)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/"+strings.TrimPrefix(r.path, "/"), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	sigv4.Sign(req, body, sigv4.Credentials{AccessKeyID: accessKey, Secret: []byte(secretKey), Region: region, Service: r.service}, time.Now())
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %s: %s", r.target, resp.Status, answer)
	}
	return answer, nil
}

// queue calls an operation of SQS, which must succeed.
func (s *server) queue(t testing.TB, op string, in map[string]any) []byte {
	t.Helper()
	b, err := s.send(t.Context(), request{service: "sqs", target: "AmazonSQS." + op, body: in})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// queueURL names a queue by a host that no client goes to: only the path counts.
func queueURL(name string) string { return "http://sqs/" + account + "/" + name }
