//go:build amd64 || arm64

package namespace

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// staticProgram builds a small program that writes a byte and ends.
func staticProgram(b *testing.B) string {
	dir := b.TempDir()
	src := filepath.Join(dir, "main.go")
	code := "package main\nimport \"syscall\"\nfunc main() { syscall.Write(1, []byte{'x'}) }\n"
	if err := os.WriteFile(src, []byte(code), 0o644); err != nil {
		b.Fatal(err)
	}
	exe := filepath.Join(dir, "main")
	c := exec.Command("go", "build", "-ldflags=-s -w", "-o", exe, src)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		b.Skipf("no Go compiler here: %v %s", err, out)
	}
	return exe
}

// BenchmarkCreateStart is Create and Start up to the first byte of a static program's output, with and without a stock of
// waiting sandboxes, beside a bare exec of the same program.
func BenchmarkCreateStart(b *testing.B) {
	exe := staticProgram(b)
	b.Run("exec", func(b *testing.B) {
		for b.Loop() {
			r, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			c := exec.Command(exe)
			c.Stdout = w
			if err := c.Start(); err != nil {
				b.Fatal(err)
			}
			r.Read(make([]byte, 1))
			b.StopTimer()
			c.Wait()
			r.Close()
			w.Close()
			b.StartTimer()
		}
	})
	for _, bc := range []struct {
		name  string
		stock int
	}{{"stock", 3}, {"fresh", -1}} {
		b.Run(bc.name, func(b *testing.B) { benchCreateStart(b, exe, bc.stock) })
	}
}

func benchCreateStart(b *testing.B, exe string, stock int) {
	d, err := New(Options{Stock: stock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	var create, start, usage, destroy time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		for stock > 0 && len(d.stock) < stock-1 {
			time.Sleep(time.Millisecond)
		}
		r, w, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		n++
		b.StartTimer()
		t0 := time.Now()
		s, err := d.Create(context.Background(), sandbox.Spec{
			ID: fmt.Sprint("s", n), Owner: "o", Mounts: []sandbox.Mount{{Source: filepath.Dir(exe), Target: "/var/task"}},
		})
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := s.Start(context.Background(), sandbox.Command{Args: []string{"/var/task/main"}, Dir: "/var/task", Stdout: w}); err != nil {
			b.Fatal(err)
		}
		r.Read(make([]byte, 1))
		t2 := time.Now()
		b.StopTimer()
		s.Usage()
		t3 := time.Now()
		s.Destroy()
		create, start, usage, destroy = create+t1.Sub(t0), start+t2.Sub(t1), usage+t3.Sub(t2), destroy+time.Since(t3)
		r.Close()
		b.StartTimer()
	}
	for name, d := range map[string]time.Duration{"create": create, "start": start, "usage": usage, "destroy": destroy} {
		b.ReportMetric(float64(d.Microseconds())/float64(n), name+"-µs/op")
	}
}

// BenchmarkUsage: the memory alone is what is read after each invocation.
func BenchmarkUsage(b *testing.B) {
	d, err := New(Options{Stock: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	s, err := d.Create(context.Background(), sandbox.Spec{ID: "bench", Owner: "o"})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("usage", func(b *testing.B) {
		for b.Loop() {
			s.Usage()
		}
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			s.MaxMemory()
		}
	})
}
