package worker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// make makes one.
func (r *ready) make(s *shelf) {
	begun := time.Now()
	w, err := r.boot(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		s.pause = min(max(2*s.pause, time.Second), time.Minute)
		s.retry = time.Now().Add(s.pause)
		if !r.closed {
			r.log.Warn("no runtime could be booted ahead", "runtime", s.key, "error", err)
		}
		return
	}
	s.pause = 0
	s.pace.Make(time.Since(begun))
	s.size = w.size
	if r.closed {
		r.discard(w)
		return
	}
	s.waiting = append(s.waiting, w)
}

// boot starts one and waits until it has booted.
func (r *ready) boot(s *shelf) (*waiting, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	api, _ := r.driver.Endpoints() // it connects before anybody waits for that
	box, err := r.driver.Warm(ctx, s.mounts, sandbox.Command{
		Args: s.args, Env: append(slices.Clone(s.env), "AWS_LAMBDA_RUNTIME_API="+api), Dir: "/var/task", Stdout: in, Stderr: in,
	})
	if err != nil {
		out.Close()
		return nil, err
	}
	w := &waiting{Warmed: box, log: out}
	if err := r.booted(w); err != nil {
		r.destroy(w)
		return nil, err
	}
	w.size = max(w.Memory(), minSize)
	return w, nil
}

// booted waits for the byte that says so.
func (r *ready) booted(w *waiting) error {
	if err := w.log.SetReadDeadline(time.Now().Add(bootLimit)); err != nil {
		return err
	}
	abort := make(chan struct{})
	defer close(abort)
	go func() {
		select {
		case <-r.stop:
		case <-w.Done():
		case <-abort:
			return
		}
		w.log.SetReadDeadline(time.Now())
	}()
	said := make([]byte, 512)
	n, err := w.log.Read(said)
	switch {
	case n == 1 && said[0] == 0:
		return w.log.SetReadDeadline(time.Time{})
	case n > 0:
		return fmt.Errorf("it wrote %q", said[:n])
	}
	return fmt.Errorf("it does not boot: %w", err)
}
