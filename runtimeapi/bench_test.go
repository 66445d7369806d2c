package runtimeapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkInvoke is one invocation of a runtime that echoes, over loopback TCP, by a client that costs as little as a
// client can. net/http is the same two routes on the standard server, for comparison.
func BenchmarkInvoke(b *testing.B) {
	for _, size := range []int{16, 64 << 10} {
		inv := &Invocation{RequestID: testID, Payload: make([]byte, size), FunctionArn: testArn, TraceID: testTrace}
		b.Run(fmt.Sprintf("session/%d", size), func(b *testing.B) { benchSession(b, inv) })
		b.Run(fmt.Sprintf("net-http/%d", size), func(b *testing.B) { benchStandard(b, inv) })
	}
}

func benchSession(b *testing.B, inv *Invocation) {
	s, addr := serve(b)
	go echo(b, addr)
	ctx, cancel := context.WithTimeout(b.Context(), testTimeout)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if a, err := s.Run(ctx, inv); err != nil || len(a.Payload) != len(inv.Payload) {
			b.Fatal(a, err)
		}
	}
}

func benchStandard(b *testing.B, inv *Invocation) {
	events, answers := make(chan *Invocation), make(chan []byte)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathNext, func(w http.ResponseWriter, _ *http.Request) {
		in, ok := <-events
		if !ok {
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.RequestID)
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", in.FunctionArn)
		w.Header().Set("Lambda-Runtime-Trace-Id", in.TraceID)
		w.Header().Set("Content-Type", typeJSON)
		w.Header().Set("Content-Length", fmt.Sprint(len(in.Payload)))
		_, _ = w.Write(in.Payload)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		p, _ := io.ReadAll(r.Body)
		answers <- p
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "{\"status\":\"OK\"}\n")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(l) }()
	b.Cleanup(func() { srv.Close() })
	b.Cleanup(func() { close(events) })
	go echo(b, l.Addr().String())
	b.ReportAllocs()
	for b.Loop() {
		events <- inv
		if p := <-answers; len(p) != len(inv.Payload) {
			b.Fatal(len(p))
		}
	}
}

// echo is a runtime that answers every event with itself, until the connection ends.
func echo(tb testing.TB, addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Error(err)
		return
	}
	defer nc.Close()
	r := bufio.NewReaderSize(nc, 128<<10)
	next := []byte("GET " + pathNext + " HTTP/1.1\r\nHost: a\r\n\r\n")
	var payload, post []byte
	for {
		if _, err := nc.Write(next); err != nil {
			return
		}
		if payload, err = skipReply(r, payload); err != nil {
			return
		}
		post = fmt.Appendf(post[:0], "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pathResponse(testID), len(payload))
		if _, err := nc.Write(append(post, payload...)); err != nil {
			return
		}
		if payload, err = skipReply(r, payload); err != nil {
			return
		}
	}
}

// skipReply reads a reply with a Content-Length and returns its body in p.
func skipReply(r *bufio.Reader, p []byte) ([]byte, error) {
	n := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return p, err
		}
		if len(line) == 2 {
			break
		}
		if len(line) > 16 && string(line[:16]) == "Content-Length: " {
			for _, c := range line[16 : len(line)-2] {
				n = n*10 + int(c-'0')
			}
		}
	}
	if cap(p) < n {
		p = make([]byte, n)
	}
	_, err := io.ReadFull(r, p[:n])
	return p[:n], err
}
