package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// source gives the bytes of the next request. A signature holds for minutes and the body is the same, so one is made per
// second and sent by all clients: signing would cost the client as much as the rest of the request.
type source struct {
	o       *options
	creds   aws.Credentials
	current atomic.Pointer[signed]
	mu      sync.Mutex
}

type signed struct {
	bytes []byte
	at    time.Time
}

func newSource(o *options) (*source, error) {
	s := &source{o: o, creds: aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}}
	switch o.mode {
	case "plain":
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", o.address, len(o.body))
		s.current.Store(&signed{bytes: []byte(head + o.body)})
		return s, nil
	case "lambda":
		if s.creds.AccessKeyID == "" || s.creds.SecretAccessKey == "" {
			return nil, fmt.Errorf("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
		}
		return s, s.sign(time.Now())
	}
	return nil, fmt.Errorf("unknown mode %q", o.mode)
}

// next is the request to send at now.
func (s *source) next(now time.Time) ([]byte, error) {
	cur := s.current.Load()
	if s.o.mode == "plain" || now.Sub(cur.at) < time.Second || !s.mu.TryLock() {
		return cur.bytes, nil
	}
	defer s.mu.Unlock()
	if err := s.sign(now); err != nil {
		return nil, err
	}
	return s.current.Load().bytes, nil
}

// sign makes the request that the AWS SDK for Go would send.
func (s *source) sign(now time.Time) error {
	target := "http://" + s.o.address + "/2015-03-31/functions/" + url.PathEscape(s.o.function) + "/invocations"
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader([]byte(s.o.body)))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	hash := sha256.Sum256([]byte(s.o.body))
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Amz-Sdk-Invocation-Id", "5f3f2a36-4b8f-4d0c-9a5e-3c2f6d1e7b10")
	req.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	if err := v4.NewSigner().SignHTTP(context.Background(), s.creds, req, hex.EncodeToString(hash[:]), "lambda", s.o.region, now); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	req.Header.Set("User-Agent", "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26.0 md/GOOS#linux md/GOARCH#amd64 api/lambda#1.114.1")
	req.Header.Set("Accept-Encoding", "gzip")
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", req.URL.EscapedPath(), s.o.address, len(s.o.body))
	if err := req.Header.Write(&b); err != nil {
		return err
	}
	b.WriteString("\r\n" + s.o.body)
	s.current.Store(&signed{bytes: b.Bytes(), at: now})
	return nil
}
