package http1

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answers are handlers whose answers must be those of net/http, down to the framing.
var answers = map[string]http.HandlerFunc{
	"nothing": func(http.ResponseWriter, *http.Request) {},
	"text":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
	"html":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	"typed": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "a/b")
		_, _ = io.WriteString(w, "<html>")
	},
	"no type wanted": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	},
	"encoded": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "<html>")
	},
	"status": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(418)
		w.WriteHeader(200)
		w.Header().Set("A", "too late")
		_, _ = io.WriteString(w, "hello")
	},
	"length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, err := io.WriteString(w, "hello")
		w.Header().Set("Content-Length", "6") // too late
		if err != nil {
			panic(err)
		}
	},
	"length of nothing": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") },
	"no content": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	},
	"not modified": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) },
	"large": func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		}
	},
	"flush": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hel")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "lo")
	},
	"flush first": func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "hello")
	},
	"flush with a length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "hello")
	},
	"fields": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("a", "1")
		w.Header().Add("A", " 2\t")
		w.Header()["x-lower"] = []string{"1"}
		w.Header()["Bad Name"] = []string{"1"}
		w.Header()["Bad\r\nName"] = []string{"1"}
		w.Header().Set("Split", "a\r\nB: c\nD: e")
		w.Header().Set("Date", "then")
	},
	"close": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
	"trailers": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "B, C")
		w.Header().Set("A", "1")
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("B", "2")
		w.Header().Set("C", "3")
		w.Header().Set(http.TrailerPrefix+"D", "4")
	},
	"late trailers": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		w.(http.Flusher).Flush() // without this net/http loses them
		w.Header().Set(http.TrailerPrefix+"D", "4")
	},
	"trailers of a long body": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		w.Header().Set(http.TrailerPrefix+"D", "4")
	},
	"not found":    http.NotFound,
	"redirect":     http.RedirectHandler("/x", http.StatusFound).ServeHTTP,
	"empty writes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) },
	"content": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Unix(0, 0), strings.NewReader(strings.Repeat("0123456789", 10_000)))
	},
}

// TestLikeNetHTTP asks both servers the same and compares what they say.
func TestLikeNetHTTP(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Query().Get("name")](w, r) }
	_, ours := start(t, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, &http.Server{Handler: http.HandlerFunc(h), ErrorLog: log.New(io.Discard, "", 0)}, l)
	for name := range answers {
		for _, head := range []string{"GET HTTP/1.1", "HEAD HTTP/1.1", "GET HTTP/1.0", "GET HTTP/1.0 keep-alive", "GET HTTP/1.1 close"} {
			switch {
			case name == "large" && head == "HEAD HTTP/1.1": // net/http does not count what it does not send
				continue
			case name == "trailers" || name == "close":
				if strings.Contains(head, "1.0") { // which knows neither
					continue
				}
			}
			got, want := ask(t, ours, name, head), ask(t, l.Addr().String(), name, head)
			if got != want {
				t.Errorf("%s, %s:\n     got %.500s\nnet/http %.500s", name, head, got, want)
			}
		}
	}
}

// ask tells an answer as a line.
func ask(t *testing.T, addr, name, head string) string {
	t.Helper()
	f := strings.Fields(head)
	c := dial(t, addr)
	connection := ""
	if len(f) > 2 {
		connection = "Connection: " + f[2] + "\r\n"
	}
	c.send(f[0] + " /?name=" + strings.ReplaceAll(name, " ", "+") + " " + f[1] + "\r\nHost: a\r\nRange: bytes=3-70000\r\n" + connection + "\r\n")
	resp, body, err := c.answer(f[0])
	if resp.Header.Get("Date") != "then" {
		resp.Header.Del("Date")
	}
	stays := false
	if !resp.Close {
		_, err := io.WriteString(c, "GET /?name=nothing HTTP/1.1\r\nHost: a\r\n\r\n")
		again, readErr := http.ReadResponse(c.r, nil)
		stays = err == nil && readErr == nil && again.StatusCode == 200
	}
	return fmt.Sprintf("%s %s, %d bytes, framed %v, closes %t, stays %t, %v, trailers %v, %v: %.50s", resp.Proto, resp.Status, resp.ContentLength,
		resp.TransferEncoding, resp.Close, stays, resp.Header, resp.Trailer, err, body)
}

// TestAgainstItself are a handler's mistakes that must not become the client's.
func TestAgainstItself(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"bad length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "-5")
			_, _ = io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK, 5 bytes"},
		{"two lengths", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"1", "2"}
			_, _ = io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK, 5 bytes"},
		{"more than its length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
			if _, err := io.WriteString(w, "!"); !errors.Is(err, http.ErrContentLength) {
				t.Error(err)
			}
		}, "HTTP/1.1 200 OK, 5 bytes"},
		{"transfer coding", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Transfer-Encoding", "chunked")
			_, _ = io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK, 5 bytes"},
		{"length of no content", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(204)
		}, "HTTP/1.1 204 No Content, 0 bytes"},
		{"unknown status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, "HTTP/1.1 599 Unknown, 0 bytes"},
		{"no status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(1000) }, "nothing"},
		{"large header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", strings.Repeat("a", 3*smallOutput))
			_, _ = io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK, 5 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := start(t, c.h)
			conn := dial(t, addr)
			conn.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if c.want == "nothing" {
				conn.closed()
				return
			}
			resp, body, err := conn.answer("GET")
			got := fmt.Sprintf("%s %s, %d bytes", resp.Proto, resp.Status, resp.ContentLength)
			if got != c.want || int64(len(body)) != resp.ContentLength || len(resp.TransferEncoding) > 0 || err != nil {
				t.Errorf("got %s %q %v, want %s", got, body, err, c.want)
			}
		})
	}
}
