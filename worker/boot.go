package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

const (
	// bootPause is the longest pause after a boot that failed. It doubles with each that follows.
	bootPause = 10 * time.Minute
	// bootWords is how long a runtime that does not boot may take to say why, and bootText how many bytes of that are read.
	bootWords = 3 * time.Second
	bootText  = 16 << 10
)

// make makes one.
func (r *ready) make(s *shelf) {
	begun := time.Now()
	w, err := r.boot(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		s.pause = min(max(2*s.pause, time.Second), bootPause)
		s.retry = time.Now().Add(s.pause)
		if !r.closed {
			r.log.Warn("no runtime could be booted ahead", "runtime", s.key, "error", err, "again_in", s.pause)
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
		Args: s.args, Env: append(slices.Clone(s.env), "AWS_LAMBDA_RUNTIME_API="+api), Dir: "/var/task", Stdout: in, Stderr: in, Channel: s.channel,
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
			w.log.SetReadDeadline(time.Now())
		case <-w.Done():
			w.log.SetReadDeadline(time.Now().Add(bootWords)) // what it wrote is in the pipe
		case <-abort:
		}
	}()
	said := make([]byte, 512)
	n, err := w.log.Read(said)
	switch {
	case n == 1 && said[0] == 0:
		return w.log.SetReadDeadline(time.Time{})
	case n > 0:
		return fmt.Errorf("it wrote %q", r.rest(w.log, said[:n]))
	}
	return fmt.Errorf("it does not boot: %w", err)
}

// rest is all that a runtime writes which does not boot: its message comes in parts, at the beginning with some, at the end with
// others. Of much it is both.
func (r *ready) rest(log *os.File, said []byte) []byte {
	select {
	case <-r.stop:
		return said
	default:
	}
	log.SetReadDeadline(time.Now().Add(bootWords))
	more, _ := io.ReadAll(io.LimitReader(log, bootText)) // until its end, or the deadline
	said = append(said, more...)
	if len(said) <= 1024 {
		return said
	}
	return slices.Concat(said[:512], []byte(" ... "), said[len(said)-512:])
}
