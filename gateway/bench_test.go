package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkWarmInvoke is what the front door adds to a small POST: Echo is net/http alone, Gateway is signature, routing,
// decoding, dispatch and encoding on top. The client is the same and cheap: one connection, a ready-made request.
func BenchmarkWarmInvoke(b *testing.B) {
	payload := `{"name":"` + strings.Repeat("x", 280) + `"}`
	b.Run("Echo", func(b *testing.B) {
		benchmark(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				b.Error(err)
			}
			_, _ = w.Write(body)
		}), payload)
	})
	b.Run("Gateway", func(b *testing.B) {
		h := newHouse()
		h.fake.echo = func(_ context.Context, in *echoInput) (*echoOutput, error) {
			return &echoOutput{Payload: in.Payload}, nil
		}
		benchmark(b, h, payload)
	})
}

func benchmark(b *testing.B, h http.Handler, payload string) {
	addr := listen(b, NewServer(h, nil))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := echo(payload)
	r.Header.Set("User-Agent", "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26 md/GOOS#linux md/GOARCH#amd64 api/lambda#1.114.1")
	r.Header.Set("Amz-Sdk-Invocation-Id", "959cf15e-0191-45c3-bbf8-b4b5f0afcfbf")
	r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	request := []byte(text(b, r, payload))
	answer := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(answer, nil)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServeHTTP is the gateway without a connection.
func BenchmarkServeHTTP(b *testing.B) {
	h := newHouse()
	h.fake.echo = func(_ context.Context, in *echoInput) (*echoOutput, error) {
		return &echoOutput{Payload: in.Payload}, nil
	}
	payload := `{"name":"` + strings.Repeat("x", 280) + `"}`
	r := echo(payload)
	r.Header.Set("Amz-Sdk-Invocation-Id", "959cf15e-0191-45c3-bbf8-b4b5f0afcfbf")
	r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
	body := strings.NewReader(payload)
	r.Body = io.NopCloser(body)
	w := &nowhere{}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(payload)
		w.header = http.Header{}
		h.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

// nowhere takes an answer and forgets it.
type nowhere struct {
	header http.Header
	status int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(status int)      { w.status = status }
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }
