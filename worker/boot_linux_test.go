package worker

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// mutteringWarmer starts a runtime that says why it does not boot, a part at a time.
type mutteringWarmer struct {
	fakeWarmer
	parts []string
}

func (f *mutteringWarmer) Warm(_ context.Context, _ []sandbox.Mount, c sandbox.Command) (sandbox.Warmed, error) {
	go func() {
		defer c.Stderr.Close()
		for _, part := range f.parts {
			if _, err := c.Stdout.WriteString(part); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return &fakeWarmed{done: make(chan struct{})}, nil
}

func TestBootFailureIsTold(t *testing.T) {
	long := strings.Repeat("at run.enfold.runtime.Waiting\n", 100)
	for _, c := range []struct {
		parts []string
		want  []string
	}{
		{[]string{`Exception in thread "main" `, "java.lang.IllegalStateException: no place\n\tat x\n"}, []string{"Exception in thread", "IllegalStateException: no place"}},
		{[]string{"Error: it is at the beginning\n", long}, []string{"Error: it is at the beginning"}},
		{[]string{long, "Error: it is at the end\n"}, []string{"Error: it is at the end"}},
		{[]string{strings.Repeat(long, 100)}, []string{"Waiting"}},
	} {
		r := &ready{driver: &mutteringWarmer{parts: c.parts}, stop: make(chan struct{})}
		_, err := r.boot(&shelf{})
		if err == nil {
			t.Fatalf("%q boots", c.parts)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		if n := len(err.Error()); n > 1500 {
			t.Errorf("the error has %d bytes", n)
		}
	}
}

// What cannot be booted is tried ever more rarely, and not never.
func TestBootFailurePauses(t *testing.T) {
	var log bytes.Buffer
	warmer := &mutteringWarmer{parts: []string{"no"}}
	r := &ready{driver: warmer, stop: make(chan struct{}), log: slog.New(slog.NewTextHandler(&log, nil))}
	s := &shelf{key: "java", wanted: time.Now()}
	last, sum := time.Duration(0), time.Duration(0)
	for range 12 {
		begun := time.Now()
		r.make(s)
		if s.pause < min(2*last, 10*time.Minute) || s.pause <= 0 || s.pause > 10*time.Minute || s.retry.Before(begun.Add(s.pause)) {
			t.Errorf("after a pause of %v one of %v, until %v from the start", last, s.pause, s.retry.Sub(begun))
		}
		last, sum = s.pause, sum+s.pause
	}
	if last != 10*time.Minute || sum > time.Hour {
		t.Errorf("the twelfth pause is %v, all together %v", last, sum)
	}
	if text := log.String(); strings.Count(text, "no runtime could be booted ahead") != 12 || !strings.Contains(text, "again_in=10m0s") {
		t.Error(text)
	}
	r.driver = &fakeWarmer{size: 1}
	if r.make(s); s.pause != 0 || len(s.waiting) != 1 {
		t.Errorf("after one that works the pause is %v, and %d wait", s.pause, len(s.waiting))
	}
	r.close()
}
