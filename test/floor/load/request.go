//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// source gives the bytes of requests. A signature holds for minutes, so a request that is the same every time is signed once a
// second and sent by all clients: signing would cost the client as much as the rest of it.
type source struct {
	o     *options
	creds aws.Credentials
	steps []*step
}

// step is one of the requests that make a round: --mode cycle has three.
type step struct {
	call    call
	current atomic.Pointer[signed]
	mu      sync.Mutex
}

// call is a request before it is signed.
type call struct {
	service, path string
	headers       map[string]string
	body          string
	receipt       bool // the body is of the message that the step before received: made anew every time
}

type signed struct {
	bytes []byte
	at    time.Time
}

func newSource(o *options) (*source, error) {
	s := &source{o: o, creds: aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}}
	if o.mode == "plain" {
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", o.address, len(o.body))
		st := &step{}
		st.current.Store(&signed{bytes: []byte(head + o.body), at: time.Now().AddDate(1, 0, 0)})
		s.steps = []*step{st}
		return s, nil
	}
	if s.creds.AccessKeyID == "" || s.creds.SecretAccessKey == "" {
		return nil, fmt.Errorf("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
	}
	calls, err := callsOf(o)
	for _, c := range calls {
		s.steps = append(s.steps, &step{call: c})
	}
	return s, err
}

// callsOf is what a round of the mode consists of.
func callsOf(o *options) ([]call, error) {
	invoke := call{
		service: "lambda", path: "/2015-03-31/functions/" + url.PathEscape(o.function) + "/invocations", body: o.body,
		headers: map[string]string{"Content-Type": "application/octet-stream"},
	}
	switch o.mode {
	case "lambda":
		return []call{invoke}, nil
	case "async":
		invoke.headers["X-Amz-Invocation-Type"] = "Event"
		return []call{invoke}, nil
	case "send":
		return []call{queueCall("SendMessage", map[string]any{"QueueUrl": o.queue, "MessageBody": o.body})}, nil
	case "cycle":
		remove := queueCall("DeleteMessage", nil)
		remove.receipt = true
		return []call{
			queueCall("SendMessage", map[string]any{"QueueUrl": o.queue, "MessageBody": o.body}),
			queueCall("ReceiveMessage", map[string]any{"QueueUrl": o.queue}), remove,
		}, nil
	}
	return nil, fmt.Errorf("unknown mode %q", o.mode)
}

func queueCall(op string, in any) call {
	body, err := json.Marshal(in)
	if err != nil {
		panic(err) // strings always marshal
	}
	return call{
		service: "sqs", path: "/", body: string(body),
		headers: map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + op},
	}
}

// next is the request of a step at now, after the answer of the step before.
func (s *source) next(st *step, now time.Time, answer []byte) ([]byte, error) {
	if st.call.receipt {
		var out struct {
			Messages []struct{ ReceiptHandle string }
		}
		if err := json.Unmarshal(answer, &out); err != nil || len(out.Messages) == 0 {
			return nil, fmt.Errorf("no message was received: %.100s", answer)
		}
		c := st.call
		body, err := json.Marshal(map[string]string{"QueueUrl": s.o.queue, "ReceiptHandle": out.Messages[0].ReceiptHandle})
		if err != nil {
			return nil, err
		}
		c.body = string(body)
		return s.sign(c, now)
	}
	cur := st.current.Load()
	if cur != nil && (now.Sub(cur.at) < time.Second || !st.mu.TryLock()) {
		return cur.bytes, nil
	}
	if cur == nil {
		st.mu.Lock()
	}
	defer st.mu.Unlock()
	b, err := s.sign(st.call, now)
	if err == nil {
		st.current.Store(&signed{bytes: b, at: now})
	}
	return b, err
}

// sign makes the request that the AWS SDK for Go would send.
func (s *source) sign(c call, now time.Time) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.o.address+c.path, bytes.NewReader([]byte(c.body)))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	hash := sha256.Sum256([]byte(c.body))
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Amz-Sdk-Invocation-Id", "5f3f2a36-4b8f-4d0c-9a5e-3c2f6d1e7b10")
	req.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	if err := v4.NewSigner().SignHTTP(context.Background(), s.creds, req, hex.EncodeToString(hash[:]), c.service, s.o.region, now); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	req.Header.Set("User-Agent", "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26.0 md/GOOS#linux md/GOARCH#amd64 api/"+c.service+"#1.114.1")
	req.Header.Set("Accept-Encoding", "gzip")
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", req.URL.EscapedPath(), s.o.address, len(c.body))
	if err := req.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n" + c.body)
	return b.Bytes(), nil
}
