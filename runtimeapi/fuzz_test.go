package runtimeapi

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
)

// FuzzConnection lets a runtime that has an event send anything. Whatever it is, it gets well-formed replies, Run ends
// with its context at the latest, and the next process works.
func FuzzConnection(f *testing.F) {
	response := "POST " + pathResponse(testID) + " HTTP/1.1\r\nHost: a\r\n"
	next := "GET " + pathNext + " HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, in := range []string{
		next,
		next + next,
		response + "Content-Length: 2\r\n\r\n{}" + next,
		response + "Content-Length: 5\r\n\r\n{}",
		response + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nLambda-Runtime-Function-Error-Type: x\r\n\r\n" + next,
		response + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
		response + "Lambda-Runtime-Function-Response-Mode: streaming\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1",
		"POST " + pathError(testID) + " HTTP/1.0\r\nContent-Type: application/vnd.aws.lambda.error.cause+json\r\nContent-Length: 2\r\n\r\n{}",
		"POST " + pathInit + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" + "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(in), len(in)/2, false)
		f.Add([]byte(in), len(in), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, split int, stream bool) {
		synctest.Test(t, func(t *testing.T) { anything(t, in, split, stream) })
	})
}

func anything(t *testing.T, in []byte, split int, stream bool) {
	l := newPipes()
	s := NewSession(l)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	inv := &Invocation{RequestID: testID, Payload: []byte("event")}
	if stream {
		inv.Stream = io.Discard
	}
	ran := make(chan outcome, 1)
	go func() {
		a, err := s.Run(ctx, inv)
		ran <- outcome{a, err}
	}()
	first := newPeer(t, l.dial())
	first.next()
	first.reply()

	p := newPeer(t, l.dial())
	var out bytes.Buffer
	go func() { _, _ = io.Copy(&out, p.nc) }()
	split = max(0, min(split, len(in)))
	go func() {
		_, _ = p.nc.Write(in[:split])
		_, _ = p.nc.Write(in[split:])
	}()
	synctest.Wait()
	p.nc.Close()
	cancel()
	o := <-ran
	synctest.Wait()
	if o.err == nil && len(o.answer.Payload) > len(in) {
		t.Errorf("an answer of %d bytes out of %d", len(o.answer.Payload), len(in))
	}
	if !bytes.Contains(in, []byte("HEAD")) {
		checkReplies(t, out.Bytes())
	}

	s.Begin()
	q := newPeer(t, l.dial())
	q.next()
	go func() { q.reply(); q.post(pathResponse("2"), "fine"); q.reply() }()
	a, err := s.Run(t.Context(), &Invocation{RequestID: "2"})
	synctest.Wait()
	if err != nil || string(a.Payload) != "fine" {
		t.Error("the next process:", a, err)
	}
}

func checkReplies(t *testing.T, out []byte) {
	r := bufio.NewReader(bytes.NewReader(out))
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		resp, err := http.ReadResponse(r, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
	}
}
